// `ktlsim load` against our own server and `openssl s_server`: its report is what happened.

#include <csignal>
#include <future>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/system/load_process.h"
#include "tests/system/openssl_server.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.running()) << server_.output(); }

  std::vector<std::string> Trusting(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--ca", server_.ExportCertificate()});
    return arguments;
  }

  ServeProcess server_{{"--self-signed", "localhost", "--respond-bytes", "100"}};
};

TEST_F(LoadTest, RequestsAreThoseThatTheServerAnswered) {
  const LoadResult result = Load(server_.address(), Trusting({"--connections", "4"}));
  ExpectSound(result);
  EXPECT_EQ(result.row()["negotiated"]["tls_version"], "TLS 1.3");
  const nlohmann::json statistics = server_.StopCleanly();
  // The warm-up's and the last ones are not in the result; one connection fetched the certificate.
  EXPECT_EQ(statistics["established"], 5) << statistics;
  EXPECT_GT(result.row()["bytes"], 100 * result.row()["count"].get<long>());
}

TEST_F(LoadTest, TheResultSaysHowItWasMade) {
  const LoadResult result =
      Load(server_.address(), Trusting({"--connections", "3", "--tls", "1.2", "--groups", "P-256",
                                        "--notify", "pool", "--processors", "1"}));
  ExpectSound(result);
  const nlohmann::json& json = result.json;
  EXPECT_EQ(json["schema"], "ktlsim-load/2");
  EXPECT_EQ(json["tool"]["name"], "ktlsim");
  EXPECT_GE(json["duration_s"], 0.6);
  EXPECT_EQ(json["command_line"][1], "load");
  EXPECT_EQ(json["settings"]["connections"], 3);
  EXPECT_EQ(json["settings"]["warm_up_s"], 0.1);
  EXPECT_EQ(json["settings"]["seconds"], 0.5);
  EXPECT_EQ(json["settings"]["groups"], "P-256");
  EXPECT_TRUE(json["settings"]["cipher_suites"].is_null());
  EXPECT_TRUE(json["settings"]["rate_asked_per_s"].is_null());
  EXPECT_TRUE(json["not_begun"].is_null());
  EXPECT_EQ(json["library"]["processors"], 1);
  EXPECT_TRUE(json["library"]["crypto_processors"].is_null());
  EXPECT_TRUE(json["library"]["queue_wait_limit_ms"].is_null());
  EXPECT_EQ(json["calls"]["callbacks_on_processors"], 0);
  EXPECT_EQ(result.row()["negotiated"]["tls_version"], "TLS 1.2");
  EXPECT_EQ(result.row()["negotiated"]["group"], "P-256");
  EXPECT_EQ(json["server_certificate"]["kind"], "EC");
  EXPECT_EQ(json["server_certificate"]["curve"], "P-256");
  EXPECT_EQ(json["server_certificate"]["names"], nlohmann::json({"localhost"}));
  EXPECT_TRUE(json["client_certificate"].is_null());
  // Both sides report the same certificate.
  const nlohmann::json statistics = server_.StopCleanly();
  EXPECT_EQ(statistics["listeners"][0]["certificate"], json["server_certificate"]);
}

TEST_F(LoadTest, HandshakesFullAndResumed) {
  for (const char* version : {"1.2", "1.3"}) {
    ExpectSound(Load(server_.address(),
                     Trusting({"--mode", "handshake", "--tls", version, "--connections", "2"})));
    ExpectSound(Load(server_.address(), Trusting({"--mode", "handshake", "--resume", "--tls",
                                                  version, "--connections", "2"})));
  }
  const nlohmann::json statistics = server_.StopCleanly();
  EXPECT_GT(statistics["handshakes_resumed"], 4) << statistics;
}

TEST_F(LoadTest, OpenLoopKeepsItsTimetable) {
  const LoadResult result =
      Load(server_.address(), Trusting({"--connections", "4", "--rate", "200", "--seconds", "1"}));
  // As many as were due, whatever the machine does meanwhile: late operations are late, not left
  // out. On a machine that was busy elsewhere at the end, some have not begun, and the verdict says
  // so.
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  EXPECT_EQ(ReasonsButTheMachine(result.json), std::vector<std::string>()) << result.output;
  const long done = result.row()["count"].get<long>() + result.row()["late"].get<long>() +
                    result.json["not_begun"].get<long>();
  EXPECT_NEAR(static_cast<double>(done), 200, 20);
}

TEST_F(LoadTest, OpenLoopBeyondWhatTheServerCanTellsOfIt) {
  const LoadResult result = Load(
      server_.address(), Trusting({"--connections", "1", "--rate", "2000000", "--seconds", "0.3"}));
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_FALSE(result.json["valid"].get<bool>());
  EXPECT_EQ(result.json["reasons"][0]["reason"], "rate_not_held") << result.json["reasons"];
  EXPECT_EQ(result.json["errors"], 0);
  EXPECT_GT(result.json["not_begun"], 0);
  EXPECT_NE(result.output.find("verdict: NOT VALID: the rate was not held"), std::string::npos)
      << result.output;
  // An operation counts from its intended time, so the backlog is in the latency.
  EXPECT_GT(result.row()["latency_ns"]["p99"], 10'000'000);
}

TEST_F(LoadTest, BulkCountsBytes) {
  const LoadResult result =
      Load(server_.address(),
           Trusting({"--mode", "bulk", "--path", "/bytes/3000000", "--connections", "2"}));
  ExpectSound(result);
  EXPECT_GT(result.row()["bytes"], 3'000'000);
}

TEST_F(LoadTest, AnUntrustedServerIsAnError) {
  const LoadResult result = Load(server_.address(), {"--connections", "1"});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.output.find("SEC_E_UNTRUSTED_ROOT"), std::string::npos) << result.output;
  ExpectSound(Load(server_.address(), {"--connections", "1", "--insecure"}));
}

TEST_F(LoadTest, AWrongAnswerIsAnError) {
  const LoadResult result = Load(
      server_.address(), Trusting({"--path", "/bytes/999999999999999999", "--connections", "1"}));
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.output.find("status 4"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("statuses: 4xx "), std::string::npos) << result.output;
  EXPECT_EQ(result.json["reasons"][0]["reason"], "operations_failed") << result.json["reasons"];
  // The user decides which statuses are errors.
  const LoadResult wanted = Load(
      server_.address(),
      Trusting({"--path", "/bytes/999999999999999999", "--connections", "1", "--success", "4xx"}));
  ExpectSound(wanted);
  EXPECT_EQ(wanted.row()["statuses"]["4xx"], wanted.row()["count"]);
  EXPECT_EQ(Load(server_.address(), Trusting({"--connections", "1", "--success", "404"})).code, 1);
}

// The kernel of a frozen server still accepts connections and requests.
TEST_F(LoadTest, WhatNeverComesBackIsInTheFigures) {
  ASSERT_TRUE(server_.Answers());
  server_.Signal(SIGSTOP);
  const LoadResult result =
      Load(server_.address(), {"--connections", "3", "--insecure", "--drain", "0.2"});
  server_.Signal(SIGCONT);
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_FALSE(result.json["valid"].get<bool>());
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  EXPECT_EQ(result.row()["unfinished"], 3);
  // The operations began in the warm-up, and were given up after the drain.
  EXPECT_GE(result.row()["oldest_unfinished_ns"], 700'000'000);
  EXPECT_GE(result.row()["latency_ns"]["p50"], 700'000'000);
  EXPECT_NE(result.output.find("waiting for 3 connections"), std::string::npos) << result.output;
}

TEST_F(LoadTest, AClosedLoopSaysWhatItHides) {
  const LoadResult result = Load(server_.address(), Trusting({"--connections", "1"}));
  ExpectSound(result);
  EXPECT_NE(result.output.find("closed loop: "), std::string::npos) << result.output;
}

// Refused for a while, then served: the load goes on, and the warm-up's errors do not count.
TEST(LoadRedialTest, AServerThatComesLateIsMeasured) {
  std::string address;
  {
    ServeProcess early({"--self-signed", "localhost", "--respond-bytes", "10"});
    ASSERT_TRUE(early.running()) << early.output();
    address = early.address();
    early.StopCleanly();
  }
  std::future<LoadResult> load = std::async(std::launch::async, [&] {
    return Load(address, {"--connections", "4", "--insecure", "--warm-up", "3"});
  });
  ServeProcess late({"--listen", address, "--self-signed", "localhost", "--respond-bytes", "10"});
  const LoadResult result = load.get();
  ExpectSound(result);
  EXPECT_TRUE(result.json["warm_up_errors"].is_number());
}

TEST(LoadUsageTest, NobodyListensAndBadOptions) {
  const LoadResult refused = Load("127.0.0.1:1", {"--connections", "2", "--seconds", "30"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.output.find("Connection refused"), std::string::npos) << refused.output;
  // Nothing was measured: null, "-", and never 0 ns.
  EXPECT_EQ(CheckResult("load", refused.json), "");
  EXPECT_TRUE(refused.row()["negotiated"].is_null());
  EXPECT_TRUE(refused.row()["latency_ns"]["p50"].is_null());
  EXPECT_TRUE(refused.row()["client_cpu_ns_per_operation"].is_null());
  EXPECT_TRUE(refused.json["server_certificate"].is_null());
  EXPECT_EQ(refused.output.find(" 0 ns"), std::string::npos) << refused.output;
  EXPECT_EQ(Load("nonsense", {}).code, 2);
  EXPECT_EQ(Load("localhost:1", {"--cert", "/dev/null"}).code, 2);
  EXPECT_EQ(Load("localhost:1", {"--path", "no slash"}).code, 2);
}

TEST(LoadOpensslTest, TalksToAnotherServer) {
  OpensslServer server({});
  ASSERT_TRUE(server.running());
  const std::string peer = server.address().ToString();
  for (const std::vector<std::string>& mode :
       {std::vector<std::string>{"--mode", "request"},
        {"--mode", "handshake"},
        {"--mode", "handshake", "--resume"},
        {"--mode", "handshake", "--resume", "--tls", "1.2"}}) {
    std::vector<std::string> arguments = {"--connections", "1", "--ca", server.certificate()};
    arguments.insert(arguments.end(), mode.begin(), mode.end());
    ExpectSound(Load(peer, arguments));
  }
}

TEST(LoadOpensslTest, AServerWithoutTicketsIsNamedAsSuch) {
  OpensslServer server({"-num_tickets", "0"});
  ASSERT_TRUE(server.running());
  const LoadResult result =
      Load(server.address().ToString(), {"--mode", "handshake", "--resume", "--tls", "1.3",
                                         "--connections", "2", "--ca", server.certificate()});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.output.find("does the server send tickets?"), std::string::npos)
      << result.output;
}

}  // namespace
}  // namespace ktlsim::system_tests
