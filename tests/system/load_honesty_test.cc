// What goes wrong under `ktlsim load` shows in its percentiles or in its verdict; and what it
// writes is read by others.

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/child_process.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

bool HasReason(const nlohmann::json& json, const std::string& name) {
  for (const nlohmann::json& reason : json["reasons"]) {
    if (reason["reason"] == name) return true;
  }
  return false;
}

// Without the two lines in which its reader says where it was read from.
std::string WithoutOrigin(const std::string& hgrm) {
  const std::size_t table = hgrm.find(" Value ");
  return table == std::string::npos ? hgrm : hgrm.substr(hgrm.rfind('\n', table) + 1);
}

std::string TextOf(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class LoadHonestyTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.running()) << server_.output(); }

  LoadResult Measure(std::vector<std::string> arguments) {
    arguments.emplace_back("--insecure");
    return Load(server_.address(), arguments);
  }

  TemporaryFolder folder_;
  ServeProcess server_{{"--self-signed", "localhost", "--respond-bytes", "100"}};
};

TEST_F(LoadHonestyTest, AServerFrozenToTheEndIsInTheOpenLoopsPercentiles) {
  ASSERT_TRUE(server_.Answers());
  server_.Signal(SIGSTOP);
  const LoadResult result =
      Measure({"--connections", "2", "--rate", "100", "--drain", "0.2", "--seconds", "0.5"});
  server_.Signal(SIGCONT);
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(HasReason(result.json, "unfinished")) << result.output;
  EXPECT_TRUE(HasReason(result.json, "rate_not_held")) << result.output;
  EXPECT_GE(result.row()["latency_ns"]["p99"], 500'000'000) << result.output;
}

TEST_F(LoadHonestyTest, TooFewSamplesForAPercentile) {
  const LoadResult result = Measure({"--connections", "1", "--rate", "100", "-p", "50,99.999"});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(HasReason(result.json, "too_few_samples")) << result.output;
  EXPECT_EQ(result.row()["percentiles"][1]["percentile"], 99.999);
  EXPECT_FALSE(result.row()["percentiles"][1]["enough_samples"].get<bool>());
}

TEST_F(LoadHonestyTest, EveryKindOfAMixHasItsRow) {
  const LoadResult result = Measure(
      {"--connections", "12", "--mix",
       "request=40,full=10,resumed=20,bulk=10@/bytes/100000,upload=10,churn=5,churn-resumed=5",
       "--body-bytes", "10k", "--arrivals", "poisson", "--rate", "300"});
  EXPECT_EQ(CheckResult("load", result.json), "");
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  ASSERT_EQ(result.json["operations"].size(), 7U);
  for (const nlohmann::json& row : result.json["operations"]) {
    EXPECT_GT(row["latency_ns"]["count"], 0) << row["operation"] << result.output;
  }
}

TEST_F(LoadHonestyTest, RepeatsHaveAnInterval) {
  const LoadResult result = Measure({"--connections", "2", "--repeat", "3", "--seconds", "0.2"});
  EXPECT_EQ(CheckResult("load", result.json), "");
  EXPECT_EQ(result.row()["repeats"].size(), 3U);
  const nlohmann::json& rate = result.row()["confidence"]["rate_per_s"];
  EXPECT_LE(rate["low"], rate["mean"]);
  EXPECT_GE(rate["high"], rate["mean"]);
}

// By HdrHistogram of Java, which has made the formats.
TEST_F(LoadHonestyTest, HdrHistogramReadsOurLog) {
  const std::string hlog = folder_.File("load.hlog");
  const std::string hgrm = folder_.File("load.hgrm");
  const LoadResult result =
      Measure({"--connections", "2", "--hlog", hlog, "--hgrm", hgrm, "--rate", "200"});
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  const Finished read = RunProgram(
      {"java", "-cp", "/usr/share/java/hdrhistogram.jar", "org.HdrHistogram.HistogramLogProcessor",
       "-i", hlog, "-o", folder_.File("read"), "-outputValueUnitRatio", "1000"},
      "", std::chrono::seconds(60));
  ASSERT_EQ(read.code, 0) << read.output;
  const std::string theirs = TextOf(folder_.File("read.hgrm"));
  const auto total = fmt::format("Total count    = {:12d}]", result.row()["count"].get<long>());
  EXPECT_NE(theirs.find(total), std::string::npos) << theirs;
  if (result.row()["late"] == 0) {
    EXPECT_EQ(WithoutOrigin(TextOf(hgrm)), WithoutOrigin(theirs));
  }
}

TEST_F(LoadHonestyTest, ResultsMergeIntoOne) {
  const std::string one = folder_.File("one.json");
  const LoadResult result = Measure({"--connections", "2"});
  std::ofstream(one) << result.json;
  const std::string all = folder_.File("all.json");
  const Finished merge = RunProgram({test::CommandPath(), "report", "merge", one, one, "-o", all},
                                    "", std::chrono::seconds(60));
  EXPECT_EQ(merge.code, result.code) << merge.output;
  const nlohmann::json merged = nlohmann::json::parse(TextOf(all), nullptr, false);
  EXPECT_EQ(CheckResult("load", merged), "");
  const nlohmann::json& row = merged["operations"][0];
  EXPECT_EQ(row["count"], 2 * result.row()["count"].get<long>());
  EXPECT_EQ(row["latency_ns"]["count"], 2 * result.row()["latency_ns"]["count"].get<long>());
  EXPECT_EQ(row["latency_ns"]["p50"], result.row()["latency_ns"]["p50"]);
  EXPECT_EQ(row["time_series"].size(), result.row()["time_series"].size());
  EXPECT_EQ(merged["merged"].size(), 2U);
  const Finished bad = RunProgram({test::CommandPath(), "report", "merge", one, "/dev/null"}, "",
                                  std::chrono::seconds(60));
  EXPECT_EQ(bad.code, 2);
}

}  // namespace
}  // namespace ktlsim::system_tests
