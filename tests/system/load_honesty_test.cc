// What goes wrong under `ktlsim load` shows in its percentiles or in its verdict; and what it
// writes is read by others.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/child_process.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

// Without the lines in which its reader says where it was read from, and without the mean, whose
// last digit each language rounds in its own way.
std::string TableOf(const std::string& hgrm) {
  const std::size_t table = hgrm.find(" Value ");
  const std::size_t mean = hgrm.find("#[Mean");
  const std::size_t rest = hgrm.find("#[Max");
  if (table == std::string::npos || mean == std::string::npos || rest == std::string::npos) {
    return "not a table: " + hgrm;
  }
  const std::size_t begin = hgrm.rfind('\n', table) + 1;
  return hgrm.substr(begin, mean - begin) + hgrm.substr(rest);
}

double MeanOf(const std::string& hgrm) {
  const std::string before = "#[Mean    = ";
  const std::size_t mean = hgrm.find(before);
  return mean == std::string::npos ? -1 : std::stod(hgrm.substr(mean + before.size()));
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

// A pause within the run, and how much of it was measured.
struct Paused {
  LoadResult result;
  std::int64_t measured_ns = 0;
};

// The server stands still for a second, once the load has begun. Where that second lies in the
// measured time is the machine's affair, and the result tells it.
Paused LoadWithAPause(ServeProcess* server, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  ChildProcess::Arguments all = {test::CommandPath(),
                                 "load",
                                 "--connect",
                                 server->address(),
                                 "--insecure",
                                 "--warm-up",
                                 "0.1",
                                 "--seconds",
                                 "1.6",
                                 "--json",
                                 folder.File("load"),
                                 "--drain",
                                 "30"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  ChildProcess load(all);
  EXPECT_TRUE(load.WaitForOutput(" s ...")) << load.output();
  load.WaitForOutput("verdict", std::chrono::milliseconds(400));
  server->Signal(SIGSTOP);
  const std::uint64_t from = MonotonicClock::Now();
  load.WaitForOutput("verdict", std::chrono::seconds(1));
  const std::uint64_t until = MonotonicClock::Now();
  server->Signal(SIGCONT);
  Paused paused;
  paused.result.code = load.Wait();
  paused.result.output = load.output();
  paused.result.json = nlohmann::json::parse(TextOf(folder.File("load")), nullptr, false);
  if (!paused.result.json.is_object()) return paused;
  const nlohmann::json& measured = paused.result.json["measured_monotonic_ns"];
  paused.measured_ns =
      static_cast<std::int64_t>(std::min(until, measured["until"].get<std::uint64_t>())) -
      static_cast<std::int64_t>(std::max(from, measured["from"].get<std::uint64_t>()));
  return paused;
}

// The shorter the measured part, the less there is to see.
constexpr std::int64_t kUnseenNs = 400'000'000;

TEST_F(LoadHonestyTest, APauseIsInTheOpenLoopsPercentiles) {
  const Paused paused = LoadWithAPause(&server_, {"--connections", "4", "--rate", "100"});
  ASSERT_TRUE(paused.result.json.is_object()) << paused.result.output;
  EXPECT_EQ(paused.result.json["errors"], 0) << paused.result.output;
  const nlohmann::json& latency = paused.result.row()["latency_ns"];
  // Those due at its beginning waited for all of it.
  EXPECT_GE(latency["max"].get<std::int64_t>(), paused.measured_ns - kUnseenNs);
  EXPECT_GE(latency["p99"].get<std::int64_t>(), paused.measured_ns - kUnseenNs)
      << paused.result.output;
}

TEST_F(LoadHonestyTest, APauseThatTheClosedLoopHidesIsInTheVerdict) {
  const Paused paused = LoadWithAPause(&server_, {"--connections", "2"});
  ASSERT_TRUE(paused.result.json.is_object()) << paused.result.output;
  EXPECT_EQ(paused.result.json["errors"], 0) << paused.result.output;
  const nlohmann::json& latency = paused.result.row()["latency_ns"];
  EXPECT_GE(latency["max"].get<std::int64_t>(), paused.measured_ns - kUnseenNs);
  // Where a slow machine has so few operations that the p99 shows it, nothing is hidden.
  EXPECT_TRUE(HasReason(paused.result.json, "pause_hidden") ||
              latency["p99"].get<std::int64_t>() >= (paused.measured_ns - kUnseenNs) / 2)
      << paused.result.output;
}

TEST(LoadErrorsTest, AServerThatResetsIsAnError) {
  TcpBackend resets([](int socket) {
    const sockaddr
        nowhere{};  // AF_UNSPEC: tcp(7)'s way to reset a connection that others hold open
    static_cast<void>(connect(socket, &nowhere, sizeof(nowhere)));
  });
  const LoadResult result = Load(resets.address(), {"--connections", "2", "--insecure"});
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_EQ(CheckResult("load", result.json), "");
  EXPECT_TRUE(HasReason(result.json, "nothing_done")) << result.output;
  EXPECT_EQ(result.row()["count"], 0);
  EXPECT_GT(result.json["errors"].get<long>() + result.json["warm_up_errors"].get<long>(), 0);
}

TEST(LoadErrorsTest, AServerThatAnswers503IsAnError) {
  TcpBackend overloaded([](int socket) {
    while (ReadUntil(socket, "\r\n\r\n").ends_with("\r\n\r\n") &&
           WriteAll(socket, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")) {
    }
  });
  ServeProcess server({"--self-signed", "localhost", "--upstream", overloaded.address()});
  ASSERT_TRUE(server.running()) << server.output();
  const LoadResult result = Load(server.address(), {"--connections", "2", "--insecure"});
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_EQ(CheckResult("load", result.json), "");
  EXPECT_TRUE(HasReason(result.json, "operations_failed")) << result.output;
  EXPECT_GT(result.json["errors"], 0);
  EXPECT_GT(result.row()["statuses"]["5xx"], 0);
  EXPECT_NE(result.output.find("status 503"), std::string::npos) << result.output;
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
    const long due = row["latency_ns"]["count"].get<long>() + row["not_begun"].get<long>();
    EXPECT_GT(due, 0) << row["operation"] << result.output;
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
  const std::string reader = "/usr/share/java/hdrhistogram.jar";
  if (access(reader.c_str(), R_OK) != 0) GTEST_SKIP() << "libhdrhistogram-java is not installed";
  if (RunProgram({"java", "-version"}).code != 0) GTEST_SKIP() << "there is no java here";
  const std::string hlog = folder_.File("load.hlog");
  const std::string hgrm = folder_.File("load.hgrm");
  const LoadResult result =
      Measure({"--connections", "2", "--hlog", hlog, "--hgrm", hgrm, "--rate", "200"});
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  const Finished read =
      RunProgram({"java", "-cp", reader, "org.HdrHistogram.HistogramLogProcessor", "-i", hlog, "-o",
                  folder_.File("read"), "-outputValueUnitRatio", "1000"},
                 "", std::chrono::seconds(60));
  ASSERT_EQ(read.code, 0) << read.output;
  const std::string theirs = TextOf(folder_.File("read.hgrm"));
  const auto total = fmt::format("Total count    = {:12d}]", result.row()["count"].get<long>());
  EXPECT_NE(theirs.find(total), std::string::npos) << theirs;
  // The log has what was completed in time, the table also what came later.
  for (const char* const later : {"late", "unfinished", "not_begun"}) {
    if (result.row()[later] != 0) return;
  }
  EXPECT_EQ(TableOf(TextOf(hgrm)), TableOf(theirs));
  EXPECT_NEAR(MeanOf(TextOf(hgrm)), MeanOf(theirs), 0.002);
}

TEST_F(LoadHonestyTest, ResultsMergeIntoOne) {
  const std::string one = folder_.File("one.json");
  const LoadResult result = Measure({"--connections", "2"});
  std::ofstream(one) << result.json;
  const std::string two = folder_.File("two.json");
  nlohmann::json elsewhere = result.json;
  elsewhere["host"]["kernel"] = "of another machine";
  std::ofstream(two) << elsewhere;
  const std::string all = folder_.File("all.json");
  const Finished merge = RunProgram({test::CommandPath(), "report", "merge", one, two, "-o", all},
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
  const std::string deep = folder_.File("deep.json");
  std::ofstream(deep) << R"({"schema": "ktlsim-load/2", "operations": )"
                      << std::string(100'000, '[') << std::string(100'000, ']') << "}";
  for (const std::string& none : {std::string("/dev/null"), deep, test::CommandPath()}) {
    for (const std::vector<std::string>& files : {std::vector{one, none}, std::vector{none}}) {
      ChildProcess::Arguments arguments = {test::CommandPath(), "report", "merge"};
      arguments.insert(arguments.end(), files.begin(), files.end());
      const Finished bad = RunProgram(arguments, "", std::chrono::seconds(60));
      EXPECT_EQ(bad.code, 2) << bad.output;
      EXPECT_NE(bad.output.find(none), std::string::npos) << bad.output;
    }
  }
}

}  // namespace
}  // namespace ktlsim::system_tests
