// `--trace FILE`, and the probes at the same places.

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Slices {
  std::size_t calls = 0;
  std::map<std::string, std::size_t> of_lane;
  std::map<std::string, std::size_t> stages;
  std::map<std::string, std::string> processes;  // by the event's pid
};

// Each slice ends, in the slice that it began in, and not before it began.
Slices Read(const nlohmann::json& events) {
  Slices read;
  std::map<std::string, std::vector<std::pair<std::string, double>>> open;
  std::map<std::string, double> last;
  for (const nlohmann::json& event : events) {
    const std::string phase = event["ph"];
    const std::string name = event["name"];
    if (phase == "M") {
      read.processes[event["pid"].dump()] = event["args"]["name"];
      continue;
    }
    const std::string id = event["id"];
    const double ts = event["ts"];
    EXPECT_GE(ts, last[id]) << event;
    last[id] = ts;
    if (phase == "b") {
      if (open[id].empty()) {
        ++read.calls;
        ++read.of_lane[event["cat"]];
      } else {
        ++read.stages[name];
      }
      open[id].emplace_back(name, ts);
      continue;
    }
    EXPECT_EQ(phase, "e");
    if (open[id].empty()) {
      ADD_FAILURE() << "ends, and has not begun: " << event;
      continue;
    }
    EXPECT_EQ(open[id].back().first, name) << event;
    open[id].pop_back();
  }
  for (const auto& [id, slices] : open) EXPECT_TRUE(slices.empty()) << id;
  return read;
}

TEST(ServeTraceTest, EveryCallIsThereWithItsStages) {
  const TemporaryFolder folder;
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "10", "--processors", "1",
                       "--trace", folder.File("trace.json"), "--trace-sample", "1"});
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_EQ(RunProgram({"curl", "-sk", server.url()}).code, 0);
  const nlohmann::json statistics = server.StopCleanly();
  const nlohmann::json events = nlohmann::json::parse(ReadAll(folder.File("trace.json")), nullptr,
                                                      /*allow_exceptions=*/false);
  ASSERT_TRUE(events.is_array());
  const Slices read = Read(events);
  EXPECT_EQ(read.calls, statistics["calls"]["accepted"]);
  EXPECT_GT(read.of_lane.at("handshake"), 1U);
  EXPECT_GT(read.of_lane.at("record"), 1U);
  EXPECT_EQ(read.stages.at("queued"), read.calls);
  EXPECT_EQ(read.stages.at("served"), read.calls);
  EXPECT_EQ(read.stages.at("callback"), statistics["calls"]["callbacks"]);
  EXPECT_EQ(read.processes.at("1"), "processor 0 (io)");
  EXPECT_EQ(read.processes.at("0"), "ktlsim: one call in 1; 0 without a record, 0 beyond the size");
  // The legs of a connection are made on one async context.
  std::map<std::string, int> legs;
  for (const nlohmann::json& event : events) {
    if (event["name"] == "handshake call" && event["ph"] == "b") {
      ++legs[event["args"]["async_context"]];
    }
  }
  EXPECT_TRUE(std::ranges::any_of(legs, [](const auto& leg) { return leg.second >= 2; }));
}

TEST(ServeTraceTest, ASampleIsOneCallInSoMany) {
  const TemporaryFolder folder;
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_TRUE(server.running()) << server.output();
  const Finished load = RunProgram({test::CommandPath(),
                                    "load",
                                    "--connect",
                                    server.address(),
                                    "--insecure",
                                    "--mode",
                                    "request",
                                    "--connections",
                                    "4",
                                    "--seconds",
                                    "0.3",
                                    "--warm-up",
                                    "0",
                                    "--processors",
                                    "1",
                                    "--trace",
                                    folder.File("trace.json"),
                                    "--trace-sample",
                                    "50",
                                    "--json",
                                    folder.File("load.json")});
  const nlohmann::json result =
      nlohmann::json::parse(ReadAll(folder.File("load.json")), nullptr, false);
  ASSERT_TRUE(result.is_object()) << load.output;
  const double calls = result["calls"]["accepted"];
  const nlohmann::json events =
      nlohmann::json::parse(ReadAll(folder.File("trace.json")), nullptr, false);
  ASSERT_TRUE(events.is_array());
  const auto recorded = static_cast<double>(Read(events).calls);
  EXPECT_GE(recorded, calls / 50 - 4) << "each thread that submits is in the middle of a count";
  EXPECT_LE(recorded, calls / 50 + 4);
  server.StopCleanly();
}

TEST(ServeTraceTest, TheFileEndsInOrderAtItsLimit) {
  const TemporaryFolder folder;
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "10", "--trace",
                       folder.File("trace.json"), "--trace-sample", "1", "--trace-limit", "64K"});
  ASSERT_TRUE(server.running()) << server.output();
  for (int i = 0; i < 10; ++i) ASSERT_EQ(RunProgram({"curl", "-sk", server.url()}).code, 0);
  server.StopCleanly();
  EXPECT_NE(server.output().find("it ends early, at 65536 bytes"), std::string::npos)
      << server.output();
  EXPECT_LE(std::filesystem::file_size(folder.File("trace.json")), 65536U);
  const nlohmann::json events =
      nlohmann::json::parse(ReadAll(folder.File("trace.json")), nullptr, false);
  ASSERT_TRUE(events.is_array());
  EXPECT_GT(Read(events).calls, 10U);
}

TEST(ServeTraceTest, TheFileOfAKilledServerIsReadableToItsLastLine) {
  const TemporaryFolder folder;
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "10", "--trace",
                       folder.File("trace.json"), "--trace-sample", "1"});
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_EQ(RunProgram({"curl", "-sk", server.url()}).code, 0);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string text = ReadAll(folder.File("trace.json"));
  while (text.find("\"handshake call\"") == std::string::npos &&
         std::chrono::steady_clock::now() < until) {
    text = ReadAll(folder.File("trace.json"));
  }
  server.Signal(SIGKILL);
  text = ReadAll(folder.File("trace.json"));
  const std::size_t last = text.rfind("},\n");
  ASSERT_NE(last, std::string::npos) << text;
  EXPECT_TRUE(nlohmann::json::parse(text.substr(0, last + 1) + "]", nullptr, false).is_array());
}

#if __has_include(<sys/sdt.h>)
constexpr bool kProbesBuilt = true;
#else
constexpr bool kProbesBuilt = false;
#endif

TEST(ServeTraceTest, TheProbesAreInTheProgram) {
  if (!kProbesBuilt) GTEST_SKIP() << "systemtap-sdt-dev is not installed";
  const Finished notes = RunProgram({"readelf", "-n", test::CommandPath()});
  ASSERT_EQ(notes.code, 0) << notes.output;
  for (const char* name : {"call_accept", "call_start", "call_publish", "call_callback"}) {
    EXPECT_NE(notes.output.find(fmt::format("Provider: ktlsim\n    Name: {}\n", name)),
              std::string::npos)
        << name << " in\n"
        << notes.output;
  }
}

// What the README says, with this program.
TEST(ServeTraceTest, BpftraceCountsWhatTheReadmeSaysWhereItIsPermitted) {
  if (!kProbesBuilt) GTEST_SKIP() << "systemtap-sdt-dev is not installed";
  if (access("/usr/bin/bpftrace", X_OK) != 0) GTEST_SKIP() << "bpftrace is not installed";
  const Finished permitted = RunProgram({"bpftrace", "-e", "BEGIN { printf(\"works\"); exit(); }"});
  if (permitted.output.find("works") == std::string::npos) {
    GTEST_SKIP() << "bpftrace is not permitted here: " << permitted.output;
  }
  std::string line = ReadAll(test::SourceRoot() + "/README.md");
  const std::size_t begin = line.find("bpftrace -e ");
  ASSERT_NE(begin, std::string::npos);
  line = line.substr(begin, line.find("```", begin) - begin);
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_TRUE(server.running()) << server.output();
  const auto replace = [&line](const std::string& from, const std::string& to) {
    for (std::size_t at = line.find(from); at != std::string::npos; at = line.find(from, at)) {
      line.replace(at, from.size(), to);
      at += to.size();
    }
  };
  replace("build/release/bin/ktlsim", test::CommandPath());
  replace("127.0.0.1:8443", server.address());
  const Finished counted = RunProgram({"sh", "-c", line}, "", std::chrono::seconds(60));
  EXPECT_NE(counted.output.find("@calls[1]: "), std::string::npos) << counted.output;
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
