// Addresses to listen on: one that another program uses, one that no program may use, and what is
// said about them at the start, by --check and by a reload.

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

class ServeListenTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.File(name); }
  void Write(const std::string& text) const { std::ofstream(Path("config")) << text; }
  std::vector<std::string> Config() const {
    return {"--config", Path("config"), "--self-signed", "localhost"};
  }
  static std::string Listener(const std::string& address, int bytes) {
    return fmt::format("[[listener]]\nlisten = \"{}\"\nrespond-bytes = {}\n", address, bytes);
  }
  static Finished Run(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {test::CommandPath(), "serve"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command);
  }
  static std::string Body(const std::string& url) {
    return RunProgram({"curl", "-sSk", "--max-time", "20", url}).output;
  }

  TemporaryFolder folder_;
};

TEST_F(ServeListenTest, ASecondServerIsRefusedUnlessItSharesThePort) {
  const std::vector<std::string> plain = {"--self-signed", "localhost", "--respond-bytes", "5"};
  ServeProcess first(plain);
  ASSERT_TRUE(first.running()) << first.output();
  std::vector<std::string> same = plain;
  same.insert(same.end(), {"--listen", first.address()});
  const Finished refused = Run(same);
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("in use"), std::string::npos) << refused.output;
  EXPECT_NE(refused.output.find("--reuse-port"), std::string::npos) << refused.output;
  EXPECT_TRUE(first.Answers());

  same.emplace_back("--reuse-port");
  ServeProcess second(same);
  ASSERT_TRUE(second.running()) << second.output();
  EXPECT_EQ(second.StopCleanly()["listeners"].size(), 2U);
  EXPECT_TRUE(first.Answers());
  first.StopCleanly();
}

// The server's own sockets never count as another program's, wherever they are.
TEST_F(ServeListenTest, AReloadMayUseAddressesOfItsOwn) {
  const std::string port = std::to_string(UnusedPort());
  const auto listener = [&port](const std::string& host, int bytes) {
    return Listener(host + ":" + port, bytes);
  };
  Write("respond-bytes = 5\n" + listener("127.0.0.1", 6));
  ServeProcess server(Config());
  ASSERT_TRUE(server.running()) << server.output();
  // All addresses in addition to the one, then instead of it, then the one again.
  for (const std::string& text :
       {listener("127.0.0.1", 6) + listener("*", 7), listener("*", 7), listener("127.0.0.1", 8)}) {
    Write("respond-bytes = 5\n" + text);
    server.Signal(SIGHUP);
    ASSERT_TRUE(server.WaitForNext("reloaded")) << text << server.output();
  }
  EXPECT_EQ(Body("https://127.0.0.1:" + port + "/"), "abcdefgh");
  EXPECT_EQ(server.StopCleanly()["reloads_refused"], 0);
}

TEST_F(ServeListenTest, AReloadIsRefusedAnAddressOfAnotherProgram) {
  ServeProcess other({"--self-signed", "localhost", "--respond-bytes", "4"});
  ASSERT_TRUE(other.running()) << other.output();
  Write("respond-bytes = 5\n");
  ServeProcess server(Config());
  ASSERT_TRUE(server.running()) << server.output();
  Write("respond-bytes = 5\n" + Listener(other.address(), 6));
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForNext("reload refused")) << server.output();
  const std::string told = Path("config") + ":3: key `listen`: " + other.address();
  EXPECT_TRUE(server.WaitForOutput(told)) << server.output();
  EXPECT_EQ(Body(server.url()), "abcde");
  server.StopCleanly();
  other.StopCleanly();
}

TEST_F(ServeListenTest, TheCheckBinds) {
  Write("echo = true\n[[listener]]\nlisten = [\"127.0.0.1:0\",\n\"192.0.2.1:1\"]\n");
  const Finished nobodys = Run({"--config", Path("config"), "--self-signed", "name", "--check"});
  EXPECT_EQ(nobodys.code, 2) << nobodys.output;
  EXPECT_NE(nobodys.output.find(Path("config") + ":4: key `listen`: 192.0.2.1:1: "),
            std::string::npos)
      << nobodys.output;
  // While the server runs, an address that it uses is only a warning.
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "5"});
  ASSERT_TRUE(server.running()) << server.output();
  const Finished beside =
      Run({"--listen", server.address(), "--self-signed", "name", "--echo", "--check"});
  EXPECT_EQ(beside.code, 0) << beside.output;
  EXPECT_NE(beside.output.find("warning: --listen: " + server.address() + ": in use"),
            std::string::npos)
      << beside.output;
  EXPECT_TRUE(server.Answers());
  server.StopCleanly();
}

TEST_F(ServeListenTest, ALowPortForAUserNamesTheCapability) {
  unsigned first = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first;
  if (first <= 443) GTEST_SKIP() << "every user may bind port 443 here";
  std::vector<std::string> command;
  if (geteuid() == 0) command = {"setpriv", "--bounding-set", "-net_bind_service", "--"};
  command.insert(command.end(), {test::CommandPath(), "serve", "--listen", "127.0.0.1:443",
                                 "--self-signed", "name", "--echo"});
  const Finished refused = RunProgram(command);
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("CAP_NET_BIND_SERVICE"), std::string::npos) << refused.output;
  EXPECT_NE(refused.output.find("a port from " + std::to_string(first)), std::string::npos)
      << refused.output;
}

// Mistakes that show only when files are read and sockets opened.
TEST_F(ServeListenTest, AReloadTellsTheLineOfWhatIsWrong) {
  Write("echo = true\n");
  ServeProcess server(Config());
  ASSERT_TRUE(server.running()) << server.output();
  struct Case {
    std::string text;  // from line 4
    std::string told;
  };
  const std::vector<Case> cases = {
      {"cert = \"/no/file\"\nkey = \"/no/file\"\n", ":4: key `cert`: "},
      {"sni = [\"a.b=/no/file,/no/file\"]\n", ":4: key `sni`: a.b: "},
      {"client-auth = \"require\"\nclient-ca = \"/no/file\"\n", ":5: key `client-ca`"},
      {"cipher-suites = \"NONSENSE\"\n", ":4: key `cipher-suites`"},
      {"groups = \"secp256k1\"\n", ":4: key `groups`"},
      {"\nroot = \"/no/folder\"\n", ":5: key `root`: /no/folder"},
  };
  for (const auto& [text, told] : cases) {
    Write("echo = true\n[[listener]]\nlisten = \"127.0.0.1:0\"\n" + text);
    server.Signal(SIGHUP);
    ASSERT_TRUE(server.WaitForNext(Path("config") + told)) << text << server.output();
  }
  EXPECT_EQ(server.StopCleanly()["reloads_refused"], cases.size());
}

}  // namespace
}  // namespace ktlsim::system_tests
