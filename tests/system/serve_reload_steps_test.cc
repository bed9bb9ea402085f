// A reload step by step: whichever step fails, nothing changes; signals are handled meanwhile; and
// a certificate that is out of date concerns its own listener alone.

#include <signal.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/test_authority.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class ReloadStepsTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.File(name); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  // `name`.pem and `name`.key.
  void Issue(const std::string& name, test::IssuedCertificate::Validity validity) const {
    const test::IssuedCertificate leaf = root_.Leaf(name, validity);
    Write(name + ".pem", leaf.Pem());
    Write(name + ".key", leaf.KeyPem());
  }
  std::string Files(const std::string& name) const {
    return fmt::format("cert = \"{0}.pem\"\nkey = \"{0}.key\"\n", Path(name));
  }
  static std::string Body(const ServeProcess& server) {
    return RunProgram({"curl", "-sSk", "--max-time", "20", server.url()}).output;
  }

  // After the last connection has been closed. Fewer than before is no failure: the socket of an
  // earlier connection may still have been open when they were counted.
  static void ExpectNoMoreOpenFiles(const ServeProcess& server, std::size_t files) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (server.OpenFiles() > files && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_LE(server.OpenFiles(), files);
  }

  static constexpr test::IssuedCertificate::Validity kGood = {};
  static constexpr test::IssuedCertificate::Validity kExpired = {.from_s = -7200, .until_s = -60};
  static constexpr const char* kListener = "[[listener]]\nlisten = \"127.0.0.1:0\"\n";

  const test::IssuedCertificate root_ = test::IssuedCertificate::Root("root");
  TemporaryFolder folder_;
};

TEST_F(ReloadStepsTest, AFailureInAnyOfThemLeavesAllAsItWas) {
  Issue("own", kGood);
  Issue("other", kGood);
  const std::string good = kListener + Files("own") + "respond-bytes = 7\n";
  Write("config", good);
  ServeProcess server({"--config", Path("config"), "--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_EQ(Body(server), "abcdefg");
  // Without the latest connection, which may not be closed yet.
  while (server.output().find("\n0 connections now") == std::string::npos) {
    server.Signal(SIGUSR1);
    ASSERT_TRUE(server.WaitForNext("connections now")) << server.output();
  }
  const std::size_t files = server.OpenFiles();
  // Each mistake comes after two good listeners: an old one that would change, and a new one.
  const std::string before = kListener + Files("own") + "respond-bytes = 3\n" + kListener +
                             "self-signed = \"new\"\nrespond-bytes = 4\n" + kListener;
  const std::vector<std::string> bad = {
      "respond-bytes = \n",
      "frobnicate = 1\n",
      "listen = \"127.0.0.1:0\"\n",
      "respond-bytes = 3\ncert = \"/no/file\"\nkey = \"/no/file\"\n",
      fmt::format("respond-bytes = 3\ncert = \"{}\"\nkey = \"{}\"\n", Path("own.pem"),
                  Path("other.key")),
      "respond-bytes = 3\nsni = \"a.b=/no/file,/no/file\"\n",
      "respond-bytes = 3\nclient-auth = \"require\"\nclient-ca = \"/no/file\"\n",
      "respond-bytes = 3\ncipher-suites = \"NONSENSE\"\n",
      "respond-bytes = 3\ngroups = \"secp256k1\"\n",
      "root = \"/no/folder\"\n",
      "respond-bytes = 3\n[[listener]]\nlisten = \"192.0.2.1:1\"\necho = true\n",
  };
  for (const std::string& text : bad) {
    Write("config", before + text);
    server.Signal(SIGHUP);
    ASSERT_TRUE(server.WaitForNext("reload refused")) << text << server.output();
    EXPECT_EQ(Body(server), "abcdefg") << text;
    ExpectNoMoreOpenFiles(server, files);
  }
  Write("config", good);
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["reloads"], 1);
  EXPECT_EQ(statistics["reloads_refused"], bad.size());
  EXPECT_EQ(statistics["listeners"].size(), 2U);
}

// Listeners whose RSA keys take a good part of a second to make.
class SlowReloadTest : public ReloadStepsTest {
 protected:
  void SetUp() override {
    Write("config", "");
    server_ = std::make_unique<ServeProcess>(std::vector<std::string>{
        "--config", Path("config"), "--self-signed", "localhost", "--respond-bytes", "5"});
    ASSERT_TRUE(server_->running()) << server_->output();
    std::string slow;
    for (int i = 0; i < 5; ++i) slow += std::string(kListener) + "key-type = \"rsa\"\n";
    Write("config", slow);
  }
  std::unique_ptr<ServeProcess> server_;
};

TEST_F(SlowReloadTest, StatisticsArePrintedMeanwhile) {
  server_->Signal(SIGHUP);
  server_->Signal(SIGUSR1);
  ASSERT_TRUE(server_->WaitForOutput("reloaded")) << server_->output();
  const std::size_t told = server_->output().find("connections now");
  ASSERT_NE(told, std::string::npos) << server_->output();
  EXPECT_LT(told, server_->output().find("reloaded")) << server_->output();
  server_->StopCleanly();
}

TEST_F(SlowReloadTest, TheEndNeedNotWaitForIt) {
  server_->Signal(SIGHUP);
  server_->Signal(SIGTERM);
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["reloads"], 0);
  EXPECT_NE(server_->output().find("given up"), std::string::npos) << server_->output();
}

TEST_F(SlowReloadTest, WhatIsAskedForMeanwhileIsReadOnceMore) {
  server_->Signal(SIGHUP);
  server_->Signal(SIGUSR1);
  ASSERT_TRUE(server_->WaitForOutput("connections now")) << server_->output();
  Write("config", "");
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForOutput("reloaded listeners=1\n")) << server_->output();
  server_->StopCleanly();
}

TEST_F(ReloadStepsTest, AnExpiredCertificateConcernsItsOwnListenerAlone) {
  Issue("late", kExpired);
  Issue("good", kGood);
  const std::string text = kListener + Files("good") + "respond-bytes = 5\n" + kListener +
                           Files("late") + "respond-bytes = 6\n";
  Write("config", text);
  ServeProcess server({"--config", Path("config"), "--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(server.WaitForOutput("late.pem: the certificate has expired")) << server.output();
  EXPECT_EQ(Body(server), "abcde");
  server.Signal(SIGUSR1);
  ASSERT_TRUE(server.WaitForOutput("connections now"));
  // Once it is renewed, it is served.
  Issue("late", kGood);
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reloaded listeners=3")) << server.output();
  // A listener whose new certificate is out of date keeps the one that it has.
  Issue("good", kExpired);
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("good.pem: the certificate has expired")) << server.output();
  ASSERT_TRUE(server.WaitForNext("reloaded listeners=3")) << server.output();
  EXPECT_EQ(Body(server), "abcde");
  EXPECT_EQ(server.StopCleanly()["listeners"].size(), 3U);
}

TEST_F(ReloadStepsTest, AnExpiredCertificateIsServedWhenThatIsAskedFor) {
  Issue("late", kExpired);
  Issue("good", kGood);
  const std::string sni = fmt::format("late.test={0}.pem,{0}.key", Path("late"));
  const auto shown = [](const ServeProcess& server, const std::string& name) {
    const std::string output =
        RunProgram({"openssl", "s_client", "-connect", server.address(), "-servername", name})
            .output;
    return output.find("subject=CN = late") != std::string::npos ? "late" : "good";
  };
  for (const bool serve : {false, true}) {
    Write("config", Files("good") + "echo = true\nsni = \"" + sni + "\"\nexpired = \"" +
                        (serve ? "serve" : "refuse") + "\"\n");
    ServeProcess server({"--config", Path("config")});
    ASSERT_TRUE(server.running()) << server.output();
    ASSERT_TRUE(server.WaitForOutput("late.test: the certificate has expired"));
    EXPECT_EQ(shown(server, "late.test"), serve ? "late" : "good");
    EXPECT_EQ(shown(server, "localhost"), std::string("good"));
    server.StopCleanly();
  }
  Write("config", Files("late") + "echo = true\nexpired = \"serve\"\n");
  ServeProcess server({"--config", Path("config")});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(shown(server, "localhost"), std::string("late"));
  server.StopCleanly();
}

TEST_F(ReloadStepsTest, TheCheckWarnsOfOneAndRefusesWhenNothingIsLeft) {
  Issue("late", kExpired);
  const std::vector<std::string> check = {test::CommandPath(), "serve", "--config", Path("config"),
                                          "--check"};
  Write("config", kListener + Files("late") + "echo = true\n");
  const Finished nothing = RunProgram(check);
  EXPECT_EQ(nothing.code, 2) << nothing.output;
  EXPECT_NE(nothing.output.find("--expired serve"), std::string::npos) << nothing.output;
  Write("config", kListener + Files("late") + "echo = true\n" + kListener +
                      "self-signed = \"localhost\"\necho = true\n");
  const Finished warned = RunProgram(check);
  EXPECT_EQ(warned.code, 0) << warned.output;
  EXPECT_NE(warned.output.find("warning"), std::string::npos) << warned.output;
}

}  // namespace
}  // namespace ktlsim::system_tests
