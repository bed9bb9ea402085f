#include "tests/system/load_process.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

#include <gtest/gtest.h>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

LoadResult Load(const std::string& peer, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  ChildProcess::Arguments all = {
      test::CommandPath(), "load", "--connect", peer,
      "--warm-up",         "0.1",  "--json",    folder.File("load.json")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (std::find(all.begin(), all.end(), "--seconds") == all.end()) {
    all.insert(all.end(), {"--seconds", "0.5"});
  }
  const Finished run = RunProgram(all, "", std::chrono::seconds(60));
  LoadResult result{run.code, run.output, {}};
  std::ifstream file(folder.File("load.json"));
  result.json = nlohmann::json::parse(file, nullptr, false);
  return result;
}

bool HasReason(const nlohmann::json& json, const std::string& name) {
  return std::any_of(json["reasons"].begin(), json["reasons"].end(),
                     [&name](const nlohmann::json& reason) { return reason["reason"] == name; });
}

std::vector<std::string> ReasonsButTheMachine(const nlohmann::json& json) {
  const bool open_loop = !json["settings"]["rate_asked_per_s"].is_null();
  const std::vector<std::string> machine =
      open_loop ? std::vector<std::string>{"generator_late", "rate_not_held"}
                : std::vector<std::string>{"generator_busy", "pause_hidden"};
  std::vector<std::string> names;
  for (const nlohmann::json& reason : json["reasons"]) {
    std::string name = reason["reason"].get<std::string>();
    if (std::find(machine.begin(), machine.end(), name) == machine.end()) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

void ExpectSound(const LoadResult& result) {
  ASSERT_TRUE(result.json.is_object()) << result.output;
  EXPECT_EQ(ReasonsButTheMachine(result.json), std::vector<std::string>()) << result.output;
  EXPECT_EQ(result.json["valid"], result.json["reasons"].empty());
  EXPECT_EQ(result.code, result.json["valid"].get<bool>() ? 0 : 1) << result.output;
  EXPECT_EQ(CheckResult("load", result.json), "");
  EXPECT_EQ(result.json["errors"], 0);
  EXPECT_TRUE(result.json["rundown_clean"].get<bool>());
  EXPECT_GT(result.row()["count"], 0);
  EXPECT_LE(result.row()["latency_ns"]["p50"], result.row()["latency_ns"]["p99"]);
  EXPECT_LE(result.row()["latency_ns"]["p99"], result.row()["latency_ns"]["max"]);
}

}  // namespace ktlsim::system_tests
