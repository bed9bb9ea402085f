// `ktlsim run` finds nothing wrong with itself.

#include <signal.h>

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

nlohmann::json RunKtlsim(const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  ChildProcess::Arguments all = {KTLSIM_COMMAND, "run", "--json", folder.File("run.json")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Finished run = RunProgram(all, "", std::chrono::seconds(60));
  EXPECT_EQ(run.code, 0) << run.output;
  std::ifstream file(folder.File("run.json"));
  nlohmann::json result = nlohmann::json::parse(file, nullptr, false);
  EXPECT_TRUE(result.is_object()) << run.output;
  return result;
}

void ExpectSound(const nlohmann::json& result, std::size_t operations) {
  EXPECT_EQ(result["errors"], 0);
  EXPECT_TRUE(result["valid"].get<bool>()) << result["reasons"];
  EXPECT_TRUE(result["rundown_clean"].get<bool>()) << result["rundown"];
  ASSERT_EQ(result["operations"].size(), operations);
  for (const nlohmann::json& row : result["operations"]) {
    EXPECT_GT(row["count"], 0) << row;
    const bool shared = result["placement"] == "pool" &&
                        row["operation"].get<std::string>().find("handshake") != std::string::npos;
    EXPECT_EQ(row["server_cpu_ns"].is_null(), shared) << row;
    EXPECT_EQ(row["server_cpu_ns_per_operation"].is_null(), shared) << row;
    if (!shared) {
      EXPECT_GT(row["server_cpu_ns"], 0) << row;
    }
    EXPECT_LE(row["latency_ns"]["p50"], row["latency_ns"]["p99"]) << row;
    EXPECT_LE(row["latency_ns"]["p99"], row["latency_ns"]["max"]) << row;
  }
}

TEST(RunTest, MeasuresEveryOperationWithoutErrors) {
  ExpectSound(RunKtlsim({"--seconds", "1"}), 8);
}

TEST(RunTest, RunsWithACryptoPoolAndOneVersion) {
  const nlohmann::json result =
      RunKtlsim({"--seconds", "0.5", "--placement", "pool", "--tls", "1.2", "--connections", "8"});
  ExpectSound(result, 6);
  EXPECT_EQ(result["placement"], "pool");
}

TEST(RunTest, TheShortestTimeThatIsAllowedIsEnough) {
  ExpectSound(RunKtlsim({"--seconds", "0.1"}), 8);
}

TEST(RunTest, ASignalPrintsWhatIsFinished) {
  const TemporaryFolder folder;
  ChildProcess run({KTLSIM_COMMAND, "run", "--seconds", "1", "--json", folder.File("run.json")});
  // The third phase has begun, so two are finished.
  ASSERT_TRUE(run.WaitForOutput("full handshake 1.3")) << run.output();
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait(), 1) << run.output();
  EXPECT_NE(run.output().find("verdict: NOT VALID: a signal ended it early"), std::string::npos)
      << run.output();
  std::ifstream file(folder.File("run.json"));
  const nlohmann::json result = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(result.is_object()) << run.output();
  EXPECT_EQ(result["operations"].size(), 2U);
  EXPECT_FALSE(result["valid"].get<bool>());
}

}  // namespace
}  // namespace ktlsim::system_tests
