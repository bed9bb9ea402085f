// `ktlsim stress`: a short run does all that it can do, breaks nothing, and says so.

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

struct StressResult {
  Finished finished;
  nlohmann::json json;

  std::uint64_t Count(const std::string& activity) const {
    std::uint64_t count = 0;
    for (const nlohmann::json& outcome : json["activities"][activity]) {
      count += outcome.get<std::uint64_t>();
    }
    return count;
  }
};

StressResult Stress(const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  ChildProcess::Arguments all = {test::CommandPath(),       "stress", "--seed", "20", "--json",
                                 folder.File("stress.json")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  StressResult result{RunProgram(all, "", std::chrono::seconds(90)), {}};
  std::ifstream file(folder.File("stress.json"));
  result.json = nlohmann::json::parse(file, nullptr, false);
  EXPECT_EQ(CheckResult("stress", result.json), "") << result.finished.output;
  return result;
}

TEST(StressTest, DoesEverythingAndBreaksNothing) {
  const StressResult result = Stress({"--seconds", "2.5"});
  ASSERT_EQ(result.finished.code, 0) << result.finished.output;
  ASSERT_TRUE(result.json.is_object()) << result.finished.output;
  EXPECT_EQ(result.json["violations"], 0);
  EXPECT_EQ(result.json["seed"], 20);
  ASSERT_EQ(result.json["activities"].size(), 36U);
  for (const auto& [activity, outcomes] : result.json["activities"].items()) {
    EXPECT_GT(result.Count(activity), 0U) << activity << " never happened";
  }
  const nlohmann::json& calls = result.json["own_calls"];
  EXPECT_GT(calls["accepted"], 100);
  EXPECT_EQ(calls["accepted"], calls["completed"]);
  EXPECT_GT(calls["cancelled"], 0);
  EXPECT_GT(calls["timed_out"], 0);
  EXPECT_GT(calls["refused"], 0);
  EXPECT_GT(result.json["server_ends"]["completed"], 10);
  EXPECT_NE(result.finished.output.find("0 violations"), std::string::npos);
}

TEST(StressTest, FaultsAreOnlyThoseThatAreNamed) {
  const StressResult result =
      Stress({"--seconds", "0.5", "--connections", "8", "--faults", "cancel"});
  ASSERT_EQ(result.finished.code, 0) << result.finished.output;
  for (const char* none : {"garbage", "reset", "misuse", "early-delete", "queue-limit", "restart",
                           "full-queue", "stop-in-flight", "restart-under-load", "fork"}) {
    EXPECT_EQ(result.Count(none), 0U) << none;
  }
  EXPECT_GT(result.Count("cancel"), 0U);
  EXPECT_GT(result.Count("conversation"), 0U);
}

// The counts of all rounds and of all starts in them.
TEST(StressTest, CountsTheLibrarysCallsByLane) {
  const StressResult result = Stress({"--seconds", "1.5", "--connections", "4", "--notify", "pool",
                                      "--faults", "restart-under-load,cancel,full-queue"});
  ASSERT_EQ(result.finished.code, 0) << result.finished.output;
  const nlohmann::json& calls = result.json["calls"];
  std::uint64_t completed = 0;
  std::uint64_t cancelled = 0;
  for (const nlohmann::json& lane : calls["lanes"]) {
    completed += lane["completed"].get<std::uint64_t>();
    cancelled += lane["cancelled"].get<std::uint64_t>();
  }
  EXPECT_EQ(calls["accepted"], completed);
  EXPECT_EQ(calls["cancelled"], cancelled);
  EXPECT_EQ(cancelled, result.json["own_calls"]["cancelled"]);
  EXPECT_GE(completed, result.json["own_calls"]["completed"].get<std::uint64_t>());
  EXPECT_EQ(result.json["library"]["notify"], "pool");
  EXPECT_EQ(calls["callbacks_on_processors"], 0);
  EXPECT_GT(calls["callbacks"], 0);
}

// Only the calls, the stops and starts, and the forks.
TEST(StressTest, KeepsItsOrderWhileTheLibraryStopsAndStarts) {
  const StressResult result = Stress(
      {"--seconds", "1.5", "--connections", "4", "--faults", "restart-under-load,fork,cancel"});
  ASSERT_EQ(result.finished.code, 0) << result.finished.output;
  EXPECT_EQ(result.json["violations"], 0);
  EXPECT_GT(result.Count("restart-under-load"), 5U);
  EXPECT_GT(result.Count("fork"), 0U);
  EXPECT_EQ(result.Count("restart"), 0U);
  const nlohmann::json& calls = result.json["own_calls"];
  EXPECT_EQ(calls["accepted"], calls["completed"]);
}

TEST(StressTest, DialsAServerOfAnotherProcess) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "100"});
  ASSERT_TRUE(server.running()) << server.output();
  const StressResult result =
      Stress({"--seconds", "1", "--connections", "8", "--connect", server.address()});
  EXPECT_EQ(result.finished.code, 0) << result.finished.output;
  EXPECT_GT(result.Count("request"), 0U);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_GT(statistics["established"], 0) << statistics;
}

}  // namespace
}  // namespace ktlsim::system_tests
