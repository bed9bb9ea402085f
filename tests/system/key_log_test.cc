// --key-log and SSLKEYLOGFILE: the secrets are those that OpenSSL found on the other side of the
// same connections, and nothing is recorded unless it is asked for.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/load_process.h"
#include "tests/system/openssl_server.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

constexpr const char* kWarning = "a reader of them can decrypt the traffic";

std::set<std::string> Secrets(const std::string& path) {
  std::ifstream file(path);
  std::set<std::string> secrets;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("#")) secrets.insert(line);
  }
  return secrets;
}

unsigned Mode(const std::string& path) {
  struct stat facts{};
  return stat(path.c_str(), &facts) == 0 ? facts.st_mode & 0777U : 0;
}

class KeyLogTest : public testing::TestWithParam<const char*> {
 protected:
  KeyLogTest() : old_(std::string(GetParam()) == "1.2") {}

  std::size_t SecretsPerConnection() const { return old_ ? 1 : 5; }
  Finished Client(const ServeProcess& server, const std::string& key_log) const {
    return RunProgram({"openssl", "s_client", "-connect", server.address(),
                       old_ ? "-tls1_2" : "-tls1_3", "-keylogfile", key_log, "-ign_eof"},
                      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  }

  const bool old_;
  TemporaryFolder folder_;
};

TEST_P(KeyLogTest, OfTheServerIsThatOfItsClient) {
  const std::string ours = folder_.File("ours");
  const std::string theirs = folder_.File("theirs");
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5", "--key-log", ours});
  ASSERT_TRUE(server.running()) << server.output();
  for (int i = 0; i < 3; ++i) {
    const Finished client = Client(server, theirs);
    EXPECT_NE(client.output.find("\r\n\r\nabcde"), std::string::npos) << client.output;
  }
  EXPECT_TRUE(server.WaitForOutput(kWarning)) << server.output();
  EXPECT_NE(server.output().find("TLS secrets are recorded"), std::string::npos);
  EXPECT_NE(server.output().find(ours), std::string::npos) << "the file is named";
  server.StopCleanly();
  EXPECT_EQ(Secrets(ours).size(), 3 * SecretsPerConnection());
  EXPECT_EQ(Secrets(ours), Secrets(theirs));
  EXPECT_EQ(Mode(ours), 0600U);
}

TEST_P(KeyLogTest, OfTheClientIsThatOfItsServer) {
  const std::string ours = folder_.File("ours");
  const std::string theirs = folder_.File("theirs");
  OpensslServer server({"-keylogfile", theirs});
  ASSERT_TRUE(server.running());
  const LoadResult result = Load(server.address().ToString(),
                                 {"--mode", "handshake", "--connections", "4", "--insecure",
                                  "--seconds", "0.2", "--tls", GetParam(), "--key-log", ours});
  EXPECT_NE(result.output.find(kWarning), std::string::npos) << result.output;
  const std::set<std::string> recorded = Secrets(ours);
  EXPECT_GE(recorded.size(), 4 * SecretsPerConnection());
  // s_server closes its file after each line; its file may have lines of connections that ended
  // early.
  const std::set<std::string> known = Secrets(theirs);
  for (const std::string& line : recorded) EXPECT_TRUE(known.contains(line)) << line;
}

TEST_P(KeyLogTest, TheEnvironmentIsHeededAndNeverSilently) {
  const std::string ours = folder_.File("ours");
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5", "--log-level", "off"},
                      {"env", "SSLKEYLOGFILE=" + ours});
  ASSERT_TRUE(server.running()) << server.output();
  Client(server, folder_.File("theirs"));
  server.StopCleanly();
  EXPECT_EQ(Secrets(ours), Secrets(folder_.File("theirs")));
  EXPECT_NE(server.output().find(kWarning), std::string::npos) << server.output();
  EXPECT_NE(server.output().find("SSLKEYLOGFILE"), std::string::npos) << server.output();
}

TEST_P(KeyLogTest, OutlivesAReloadAndARename) {
  const std::string ours = folder_.File("ours");
  const std::string theirs = folder_.File("theirs");
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5", "--key-log", ours});
  ASSERT_TRUE(server.running()) << server.output();
  Client(server, theirs);
  std::filesystem::rename(ours, folder_.File("moved"));
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reloaded")) << server.output();
  Client(server, theirs);
  server.StopCleanly();
  std::set<std::string> both = Secrets(folder_.File("moved"));
  EXPECT_EQ(both.size(), SecretsPerConnection());
  both.merge(Secrets(ours));
  EXPECT_EQ(both, Secrets(theirs));
}

INSTANTIATE_TEST_SUITE_P(Versions, KeyLogTest, testing::Values("1.2", "1.3"));

TEST(KeyLogUseTest, AFullDiskEndsNoConnection) {
  ServeProcess server(
      {"--self-signed", "localhost", "--respond-bytes", "5", "--key-log", "/dev/full"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_TRUE(server.Answers());
  EXPECT_TRUE(server.Answers());
  server.StopCleanly();
  const std::string& output = server.output();
  const std::string told = "the key log cannot be written, connections go on";
  const std::size_t at = output.find(told);
  ASSERT_NE(at, std::string::npos) << output;
  EXPECT_EQ(output.find(told, at + 1), std::string::npos) << output;
  EXPECT_NE(output.find("lines of the key log /dev/full could not be written"), std::string::npos)
      << output;
}

TEST(KeyLogUseTest, WhatCannotBeWrittenIsRefusedAtOnce) {
  const std::vector<std::vector<std::string>> commands = {
      {"serve", "--listen", "127.0.0.1:0", "--self-signed", "localhost", "--echo"},
      {"serve", "--check", "--listen", "127.0.0.1:0", "--self-signed", "localhost", "--echo"},
      {"load", "127.0.0.1:1"},
      {"run"}};
  for (const std::vector<std::string>& command : commands) {
    ChildProcess::Arguments option = {test::CommandPath()};
    option.insert(option.end(), command.begin(), command.end());
    ChildProcess::Arguments variable = {"env", "SSLKEYLOGFILE=/nonexistent/keys"};
    variable.insert(variable.end(), option.begin(), option.end());
    option.insert(option.end(), {"--key-log", "/nonexistent/keys"});
    const Finished refused = RunProgram(option);
    EXPECT_EQ(refused.code, 2) << refused.output;
    EXPECT_NE(refused.output.find("--key-log: /nonexistent/keys: "), std::string::npos)
        << refused.output;
    const Finished also = RunProgram(variable);
    EXPECT_EQ(also.code, 2) << also.output;
    EXPECT_NE(also.output.find("the environment variable SSLKEYLOGFILE: /nonexistent/keys: "),
              std::string::npos)
        << also.output;
  }
}

}  // namespace
}  // namespace ktlsim::system_tests
