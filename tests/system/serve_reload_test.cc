// SIGHUP under traffic, several listeners, and what runs out: descriptors, the log's disk.

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

int Dial(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
  return socket;
}

class ServeReloadTest : public testing::Test {
 protected:
  std::string cert() const { return folder_.File("cert.pem"); }
  std::string key() const { return folder_.File("key.pem"); }
  std::string config() const { return folder_.File("serve.toml"); }

  void MakeCertificate(const std::string& name) {
    const Finished made = RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                      "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                      "/CN=" + name, "-keyout", key(), "-out", cert()});
    ASSERT_EQ(made.code, 0) << made.output;
  }
  // The name in the certificate that a new client gets.
  static std::string NameShown(const ServeProcess& server) {
    const Finished client = RunProgram({"openssl", "s_client", "-connect", server.address()});
    const std::size_t at = client.output.find("subject=CN = ");
    if (at == std::string::npos) return client.output;
    return client.output.substr(at + 13, client.output.find('\n', at) - at - 13);
  }
  void WriteConfig(const std::string& text) { std::ofstream(config()) << text; }

  TemporaryFolder folder_;
};

TEST_F(ServeReloadTest, NewConnectionsGetTheNewCertificateAndOldOnesGoOn) {
  MakeCertificate("first");
  ServeProcess server({"--cert", cert(), "--key", key(), "--respond-bytes", "1000"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(NameShown(server), "first");
  ChildProcess download({"curl", "-sSk", "-N", "--limit-rate", "10M", "-o", folder_.File("copy"),
                         server.url("/bytes/10000000")});
  ASSERT_TRUE(WaitForContent(folder_.File("copy")));

  MakeCertificate("second");
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reloaded")) << server.output();
  EXPECT_EQ(NameShown(server), "second");

  std::ofstream(cert()) << "no certificate";
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reload refused")) << server.output();
  EXPECT_EQ(NameShown(server), "second");
  EXPECT_EQ(download.Wait(), 0) << download.output();
  EXPECT_EQ(std::filesystem::file_size(folder_.File("copy")), 10000000U);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["reloads"], 1);
  EXPECT_EQ(statistics["reloads_refused"], 1);
}

TEST_F(ServeReloadTest, NoRequestIsLostWhileItReloads) {
  MakeCertificate("name");
  ServeProcess server({"--cert", cert(), "--key", key(), "--respond-bytes", "1000"});
  ASSERT_TRUE(server.running()) << server.output();
  // New connections all the time, and all of them get a response.
  ChildProcess curl({"bash", "-c",
                     fmt::format("for i in $(seq 40); do curl -sSk -o /dev/null {} || exit 9; "
                                 "echo answered $i; done",
                                 server.url())});
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(curl.WaitForOutput(fmt::format("answered {}\n", 3 * i))) << curl.output();
    server.Signal(SIGHUP);
  }
  EXPECT_EQ(curl.Wait(), 0) << curl.output();
  EXPECT_EQ(server.StopCleanly()["connections"], 40);
}

TEST_F(ServeReloadTest, AFileSaysWhatEachListenerDoes) {
  WriteConfig(
      "self-signed = \"localhost\"\n[[listener]]\nlisten = \"127.0.0.1:0\"\n"
      "respond-bytes = 7\n");
  ServeProcess server({"--config", config(), "--echo"});  // --listen is added by ServeProcess
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(server.WaitForOutput("listening on"));
  // The listener of the file comes first.
  EXPECT_EQ(RunProgram({"curl", "-sSk", server.url()}).output, "abcdefg");
  WriteConfig(
      "self-signed = \"localhost\"\n[[listener]]\nlisten = \"127.0.0.1:0\"\n"
      "respond-bytes = 3\n");
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reloaded")) << server.output();
  EXPECT_EQ(RunProgram({"curl", "-sSk", server.url()}).output, "abc");
  WriteConfig("self-singed = 1\n");
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("did you mean")) << server.output();
  EXPECT_EQ(RunProgram({"curl", "-sSk", server.url()}).output, "abc");
  server.Signal(SIGUSR1);
  ASSERT_TRUE(server.WaitForOutput("connections now")) << server.output();
  EXPECT_EQ(server.StopCleanly()["listeners"].size(), 2U);
}

// Makes a connection with openssl s_client that offers the session in `file` and keeps the newest
// session there; returns the output.
class ServeSessionsTest : public ServeReloadTest,
                          public testing::WithParamInterface<std::vector<std::string>> {
 protected:
  std::string Connect(const ServeProcess& server, bool offers) const {
    const std::string file = folder_.File("session");
    ChildProcess::Arguments arguments = {"openssl",        "s_client",  "-connect",
                                         server.address(), "-sess_out", file};
    for (const std::string& more : GetParam()) arguments.push_back(more);
    if (offers) arguments.insert(arguments.end(), {"-sess_in", file});
    // Until the response is there, and with it the ticket; "Connection: close" ends the connection.
    arguments.insert(arguments.end(), {"-ign_eof"});
    const std::string told =
        RunProgram(arguments, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").output;
    if (told.find("Reused, ") != std::string::npos) return "resumed";
    return told.find("New, ") != std::string::npos ? "new" : told;
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, ServeSessionsTest,
                         testing::Values(std::vector<std::string>{"-tls1_3"},
                                         std::vector<std::string>{"-tls1_2"},
                                         std::vector<std::string>{"-tls1_2", "-no_ticket"}));

TEST_P(ServeSessionsTest, GoOnOverAReloadThatDoesNotConcernThem) {
  for (const bool self_signed : {true, false}) {
    MakeCertificate("name");
    ServeProcess server(
        self_signed
            ? std::vector<std::string>{"--self-signed", "name", "--respond-bytes", "5"}
            : std::vector<std::string>{"--cert", cert(), "--key", key(), "--respond-bytes", "5"});
    ASSERT_TRUE(server.running()) << server.output();
    EXPECT_EQ(Connect(server, false), "new");
    EXPECT_EQ(Connect(server, true), "resumed");
    for (int i = 0; i < 3; ++i) {
      server.Signal(SIGHUP);
      ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
      EXPECT_EQ(Connect(server, true), "resumed") << self_signed << i;
    }
    if (!self_signed) {
      MakeCertificate("name");
      server.Signal(SIGHUP);
      ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
      EXPECT_EQ(Connect(server, true), "new");
      EXPECT_EQ(Connect(server, true), "resumed");
    }
    server.StopCleanly();
  }
}

// Two listeners, and a download of some seconds through the first, which the file describes.
class ServeDrainTest : public ServeReloadTest {
 protected:
  static constexpr std::size_t kBytes = 30'000'000;

  void SetUp() override {
    WriteConfig("[[listener]]\nlisten = \"127.0.0.1:0\"\nrespond-bytes = 7\n");
    server_ = std::make_unique<ServeProcess>(std::vector<std::string>{
        "--config", config(), "--self-signed", "localhost", "--echo", "--drain-timeout", "30s"});
    ASSERT_TRUE(server_->running()) << server_->output();
    const std::string start = "listening on 127.0.0.1:";
    const std::size_t first = server_->output().find(start);
    std::size_t second = 0;
    while ((second = server_->output().find(start, first + 1)) == std::string::npos ||
           server_->output().find('\n', second) == std::string::npos) {
      ASSERT_TRUE(server_->WaitForNext("\n")) << server_->output();
    }
    second_port_ = std::stoi(server_->output().substr(second + start.size()));
    download_ = std::make_unique<ChildProcess>(
        ChildProcess::Arguments{"curl", "-sSk", "-N", "--limit-rate", "10M", "-o", copy(),
                                server_->url("/bytes/" + std::to_string(kBytes))});
    ASSERT_TRUE(WaitForContent(copy()));
  }
  std::string copy() const { return folder_.File("copy"); }
  bool Downloading() const { return std::filesystem::file_size(copy()) < kBytes; }
  void ExpectDownloaded() {
    EXPECT_EQ(download_->Wait(), 0) << download_->output();
    EXPECT_EQ(std::filesystem::file_size(copy()), kBytes);
  }

  std::unique_ptr<ServeProcess> server_;
  std::unique_ptr<ChildProcess> download_;
  int second_port_ = 0;
};

TEST_F(ServeDrainTest, NobodyIsAcceptedAnywhereWhileOneListenerDrains) {
  server_->Signal(SIGTERM);
  for (int socket = 0; (socket = Dial(second_port_)) >= 0;) close(socket);
  EXPECT_TRUE(Downloading()) << "the second listener went on until the first had drained";
  ExpectDownloaded();
  server_->StopCleanly();
}

TEST_F(ServeDrainTest, AListenerThatIsGoneDrainsWhileSignalsAreHeeded) {
  WriteConfig("");
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForOutput("reloaded")) << server_->output();
  server_->Signal(SIGUSR1);
  ASSERT_TRUE(server_->WaitForOutput("connections now")) << server_->output();
  EXPECT_TRUE(Downloading()) << "signals waited until the listener had drained";
  ExpectDownloaded();
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["ends"]["completed"], 1) << statistics.dump(2);
}

TEST_F(ServeReloadTest, AnAddressThatCannotBeHadChangesNothing) {
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &length), 0);
  WriteConfig("[[listener]]\nlisten = \"127.0.0.1:0\"\nrespond-bytes = 7\n");
  ServeProcess server({"--config", config(), "--self-signed", "localhost", "--echo"});
  ASSERT_TRUE(server.running()) << server.output();
  WriteConfig(fmt::format("[[listener]]\nlisten = \"127.0.0.1:{}\"\nrespond-bytes = 3\n",
                          ntohs(address.sin_port)));
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reload refused")) << server.output();
  EXPECT_NE(server.output().find("end the program that listens there"), std::string::npos)
      << server.output();
  EXPECT_EQ(RunProgram({"curl", "-sSk", server.url()}).output, "abcdefg");
  close(taken);
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForOutput("reloaded")) << server.output();
  EXPECT_EQ(
      RunProgram({"curl", "-sSk", fmt::format("https://localhost:{}/", ntohs(address.sin_port))})
          .output,
      "abc");
  server.StopCleanly();
}

TEST_F(ServeReloadTest, RecoversWhenDescriptorsHaveRunOut) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5", "--processors", "1"},
                      {"prlimit", "--nofile=30:30"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_NE(server.output().find("warning"), std::string::npos) << server.output();
  std::vector<int> sockets;
  for (int i = 0; i < 40; ++i) sockets.push_back(Dial(server.port()));
  // Until an accept has found no descriptor.
  while (server.output().find("accepting failed") == std::string::npos) {
    server.Signal(SIGUSR1);
    ASSERT_TRUE(server.WaitForNext("connections now")) << server.output();
  }
  for (const int socket : sockets) close(socket);
  EXPECT_TRUE(server.Answers());
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_GT(statistics["accepts_failed"], 0);
  EXPECT_EQ(statistics["connections"], 41) << "every connection was accepted in the end";
}

TEST_F(ServeReloadTest, AFullDiskUnderTheLogStopsNothing) {
  ServeProcess server(
      {"--self-signed", "localhost", "--respond-bytes", "5", "--log-file", "/dev/full"});
  ASSERT_TRUE(server.running()) << server.output();
  const int socket = Dial(server.port());
  const std::string garbage = "this is no TLS";
  ASSERT_EQ(send(socket, garbage.data(), garbage.size(), 0), static_cast<ssize_t>(garbage.size()));
  char byte = 0;
  while (recv(socket, &byte, 1, 0) > 0) {
  }
  close(socket);
  EXPECT_TRUE(server.Answers());
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_GE(statistics["log_lines_lost"].get<int>(), 2);
}

TEST_F(ServeReloadTest, TellsWhyAHandshakeFailed) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5", "--tls", "1.3",
                       "--log-file", folder_.File("log"), "--log-json"});
  ASSERT_TRUE(server.running()) << server.output();
  RunProgram({"openssl", "s_client", "-tls1_2", "-connect", server.address()});
  server.StopCleanly();
  std::ifstream log(folder_.File("log"));
  std::string line;
  bool told = false;
  while (std::getline(log, line)) {
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(entry.is_object()) << line;
    if (entry["event"] != "handshake failed") continue;
    told = true;
    EXPECT_EQ(entry["leg"], "1");
    EXPECT_EQ(entry["alert-sent"], "protocol_version") << line;
    EXPECT_EQ(entry["alert-received"], "none") << line;
    EXPECT_TRUE(entry["peer"].get<std::string>().starts_with("127.0.0.1:")) << line;
    EXPECT_NE(entry["reason"].get<std::string>().find("a version of TLS we do not accept"),
              std::string::npos);
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace ktlsim::system_tests
