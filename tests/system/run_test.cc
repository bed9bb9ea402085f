// `ktlsim run` passes its own checks.

#include <signal.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

nlohmann::json RunKtlsim(const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  ChildProcess::Arguments all = {test::CommandPath(), "run", "--json", folder.File("run.json")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Finished run = RunProgram(all, "", std::chrono::seconds(60));
  EXPECT_EQ(run.code, 0) << run.output;
  std::ifstream file(folder.File("run.json"));
  nlohmann::json result = nlohmann::json::parse(file, nullptr, false);
  EXPECT_TRUE(result.is_object()) << run.output;
  return result;
}

// The library's own counters after a run.
void ExpectEveryCallCounted(const nlohmann::json& calls) {
  std::uint64_t completed = 0;
  std::uint64_t notified = 0;
  for (const nlohmann::json& lane : calls["lanes"]) {
    completed += lane["completed"].get<std::uint64_t>();
    notified += lane["notified"]["calls"].get<std::uint64_t>();
    EXPECT_EQ(lane["depth"], 0) << lane;
    EXPECT_EQ(lane["served"]["calls"].get<std::uint64_t>() == 0,
              lane["served"]["p99_below_ns"].is_null());
  }
  EXPECT_GT(completed, 0U);
  EXPECT_EQ(calls["accepted"], completed);
  EXPECT_EQ(calls["completed"], completed);
  if (calls["timed_one_in"] != 1) return;
  EXPECT_EQ(calls["callbacks"], notified);
  for (const nlohmann::json& lane : calls["lanes"]) {
    EXPECT_EQ(lane["queued"]["calls"], lane["completed"]) << lane;
    EXPECT_EQ(lane["served"]["calls"], lane["completed"]) << lane;
  }
}

void ExpectSound(const nlohmann::json& result, std::size_t operations) {
  EXPECT_EQ(CheckResult("run", result), "");
  ExpectEveryCallCounted(result["calls"]);
  EXPECT_EQ(result["errors"], 0);
  EXPECT_TRUE(result["valid"].get<bool>()) << result["reasons"];
  EXPECT_TRUE(result["rundown_clean"].get<bool>()) << result["rundown"];
  ASSERT_EQ(result["operations"].size(), operations);
  for (const nlohmann::json& row : result["operations"]) {
    EXPECT_GT(row["count"], 0) << row;
    const bool shared = result["library"]["placement"] == "pool" &&
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
  ExpectSound(RunKtlsim({"--seconds", "0.3"}), 10);
}

TEST(RunTest, RunsWithACryptoPoolAndOneVersion) {
  const nlohmann::json result =
      RunKtlsim({"--seconds", "0.5", "--placement", "pool", "--tls", "1.2", "--connections", "8"});
  ExpectSound(result, 8);
  EXPECT_EQ(result["library"]["placement"], "pool");
  EXPECT_GT(result["library"]["crypto_processors"], 0);
}

// Lanes of both sides, and every call timed.
TEST(RunTest, TellsWhatCallsWaitedFor) {
  const nlohmann::json result =
      RunKtlsim({"--seconds", "0.2", "--tls", "1.3", "--time-every-call", "--queue-depth", "512"});
  ExpectSound(result, 8);
  EXPECT_EQ(result["calls"]["timed_one_in"], 1);
  EXPECT_EQ(result["library"]["queue_depth"], 512);
  EXPECT_EQ(result["library"]["time_every_call"], true);
  std::set<std::string> seen;
  for (const nlohmann::json& lane : result["calls"]["lanes"]) {
    if (lane["completed"] == 0) continue;
    seen.insert(lane["role"].get<std::string>() + " " + lane["lane"].get<std::string>());
  }
  EXPECT_EQ(seen, (std::set<std::string>{"client handshake", "client record", "server handshake",
                                         "server record"}));
  EXPECT_EQ(result["certificate"]["kind"], "EC");
  EXPECT_EQ(result["certificate"]["names"], nlohmann::json({"localhost"}));
  EXPECT_EQ(result["operations"][0]["negotiated"]["group"], "X25519");
}

// What a context saves that is maintained: the last two rows before the bulk.
TEST(RunTest, AuthenticatesAndSignsRequests) {
  const nlohmann::json result =
      RunKtlsim({"--seconds", "0.3", "--tls", "1.3", "--connections", "40"});
  ExpectSound(result, 8);
  const nlohmann::json& first = result["operations"][5];
  const nlohmann::json& maintained = result["operations"][6];
  EXPECT_EQ(first["operation"], "first authentication 1.3");
  EXPECT_EQ(first["statuses"]["2xx"], first["count"]);
  EXPECT_EQ(maintained["operation"], "signed request 1.3");
  EXPECT_EQ(maintained["statuses"]["4xx"], 0);
  EXPECT_EQ(result["digest"]["contexts"], 2);
  // Of one of the two, which signs for at least half of the connections.
  EXPECT_GE(result["digest"]["nonce_count_max"].get<std::uint64_t>(),
            maintained["count"].get<std::uint64_t>() / 2);
}

TEST(RunTest, CallbacksComeWhereTheyAreWanted) {
  const nlohmann::json on_processor = RunKtlsim({"--seconds", "0.1", "--tls", "1.3"});
  EXPECT_EQ(on_processor["library"]["notify"], "on-processor");
  EXPECT_GT(on_processor["calls"]["callbacks"], 0);
  EXPECT_EQ(on_processor["calls"]["callbacks_on_processors"], on_processor["calls"]["callbacks"]);
  const nlohmann::json pool = RunKtlsim({"--seconds", "0.1", "--tls", "1.3", "--notify", "pool"});
  ExpectSound(pool, 8);
  EXPECT_EQ(pool["library"]["notify"], "pool");
  EXPECT_GT(pool["calls"]["callbacks"], 0);
  // Those of the guard of Digest, which goes on on the connection's processor in any case.
  EXPECT_LT(pool["calls"]["callbacks_on_processors"], pool["calls"]["callbacks"]);
}

TEST(RunTest, AnArgumentThatIsNoUtf8IsReplacedInTheResult) {
  const TemporaryFolder folder;
  const std::string name = folder.File("\xff.json");
  const Finished run =
      RunProgram({test::CommandPath(), "run", "--seconds", "0.1", "--tls", "1.2", "--json", name},
                 "", std::chrono::seconds(60));
  EXPECT_EQ(run.code, 0) << run.output;
  std::ifstream file(name);
  const nlohmann::json result = nlohmann::json::parse(file, nullptr, false);
  EXPECT_EQ(CheckResult("run", result), "");
  const nlohmann::json& line = result["command_line"];
  ASSERT_EQ(line.size(), 8U);
  EXPECT_EQ(line[1], "run");
  EXPECT_NE(line[7].get<std::string>().find("/\xef\xbf\xbd.json"), std::string::npos);
}

TEST(RunTest, TheShortestTimeThatIsAllowedIsEnough) {
  ExpectSound(RunKtlsim({"--seconds", "0.1"}), 10);
}

TEST(RunTest, ASignalPrintsWhatIsFinished) {
  const TemporaryFolder folder;
  ChildProcess run(
      {test::CommandPath(), "run", "--seconds", "1", "--json", folder.File("run.json")});
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
