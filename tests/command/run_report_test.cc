#include "kernel_sim/command/run_report.h"

#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

std::string Printed(const RunReport& report) {
  char* text = nullptr;
  std::size_t bytes = 0;
  std::FILE* out = open_memstream(&text, &bytes);
  PrintRunReport(report, out);
  std::fclose(out);
  std::string result(text, bytes);
  std::free(text);
  return result;
}

RunReport Report() {
  RunReport report;
  report.machine.build_type = "Release";
  report.machine.optimized = true;
  ResultRow row;
  row.operation = "op";
  row.operations = 2000;
  row.bytes = 4'000'000'000;
  row.seconds = 2;
  row.cpu_ns = 100'000'000;
  report.rows.push_back(row);
  return report;
}

TEST(RunReportTest, DividesRight) {
  const RunReport report = Report();
  const ResultRow& row = report.rows.front();
  EXPECT_DOUBLE_EQ(row.rate(), 1000);
  EXPECT_DOUBLE_EQ(row.megabytes_per_second(), 2000);
  EXPECT_DOUBLE_EQ(row.cpu_ns_per_operation(), 50'000);
  EXPECT_DOUBLE_EQ(row.cpu_seconds_per_gigabyte(), 0.025);
  EXPECT_DOUBLE_EQ(ResultRow().rate(), 0);
  EXPECT_DOUBLE_EQ(ResultRow().cpu_ns_per_operation(), 0);
}

TEST(RunReportTest, TellsBulkPerByte) {
  RunReport report = Report();
  EXPECT_NE(Printed(report).find("1000 /s        50 us"), std::string::npos) << Printed(report);
  report.rows.front().bulk = true;
  EXPECT_NE(Printed(report).find("2000 MB/s   0.025 s/GB"), std::string::npos) << Printed(report);
}

TEST(RunReportTest, SaysWhatFailed) {
  RunReport report = Report();
  EXPECT_NE(Printed(report).find("verdict: valid\n"), std::string::npos);
  report.rows.front().errors = 3;
  report.rows.front().error_texts = {"it broke"};
  report.rundown.counters = {{"credentials", 0}, {"security_contexts", 2}};
  const std::string text = Printed(report);
  EXPECT_NE(text.find("error: it broke"), std::string::npos);
  EXPECT_NE(text.find("NOT VALID: operations failed, and are in no percentile unless they timed "
                      "out: op, 3 errors"),
            std::string::npos);
  EXPECT_NE(text.find("left over after the end: 2 security_contexts\n"), std::string::npos);
}

TEST(RunReportTest, DebugBuildsSaySoLoudly) {
  RunReport report = Report();
  EXPECT_EQ(Printed(report).find("NOTHING"), std::string::npos);
  report.machine.optimized = false;
  EXPECT_NE(Printed(report).find("mean NOTHING"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::command
