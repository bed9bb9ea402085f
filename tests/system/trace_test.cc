// KTLSIM_TRACE: each event says when, on which processor, in which lane, and with which status.

#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

// One handshake, or a few, with the client's trace in the output.
std::string Traced(const ServeProcess& server, const std::string& form) {
  const Finished run =
      RunProgram({"env", "KTLSIM_TRACE=" + form, test::CommandPath(), "load", server.address(),
                  "--insecure", "--mode", "handshake", "--connections", "1", "--rate", "10",
                  "--seconds", "0.2", "--warm-up", "0", "--processors", "1"},
                 "", std::chrono::seconds(60));
  EXPECT_LE(run.code, 1)
      << run.output;  // 1: a busy machine, on which latencies are not to be believed
  return run.output;
}

TEST(TraceTest, JsonHasOneObjectALine) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  std::istringstream lines(Traced(server, "json"));
  double last = 0;
  int published = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("{\"time_s\"")) continue;
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(event.is_object()) << line;
    EXPECT_GT(event["thread_id"], 0) << line;
    if (event["event"] != "async_publish" || event["lane"] != "handshake") continue;
    ++published;
    EXPECT_GE(event["time_s"], last) << "one processor, so in order: " << line;
    last = event["time_s"];
    EXPECT_EQ(event["processor"], 0) << line;
    EXPECT_EQ(event["thread"], "ktlsim-io") << line;
    EXPECT_TRUE(event["status_name"].is_string()) << line;
    // The credential is acquired, then the first leg returns its token.
    if (published > 2) continue;
    EXPECT_EQ(event["status"], published == 1 ? "0x0" : "0x90312") << line;
    EXPECT_EQ(event["status_name"], published == 1 ? "SEC_E_OK" : "SEC_I_CONTINUE_NEEDED") << line;
  }
  EXPECT_GT(published, 2);
}

TEST(TraceTest, TextNamesLaneProcessorAndStatus) {
  ServeProcess server({"--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::string output = Traced(server, "text");
  EXPECT_NE(output.find(" processor=0 "), std::string::npos) << output;
  EXPECT_NE(output.find(" lane=handshake status=0x90312 SEC_I_CONTINUE_NEEDED\n"),
            std::string::npos)
      << output;
}

}  // namespace
}  // namespace ktlsim::system_tests
