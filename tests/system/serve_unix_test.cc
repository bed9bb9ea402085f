// Unix-domain sockets and names: real clients connect over them, backends listen on them, and no
// other program's file is touched.

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

using Arguments = std::vector<std::string>;

class ServeUnixTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.File(name); }
  std::string Unix(const std::string& name) const { return "unix:" + Path(name); }
  bool There(const std::string& name) const {
    struct stat status{};
    return lstat(Path(name).c_str(), &status) == 0;
  }
  // Whether a connection to the socket is accepted.
  bool Accepts(const std::string& name) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    Path(name).copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool accepted =
        connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(client);
    return accepted;
  }
  void Write(const std::string& text) const { std::ofstream(Path("config")) << text; }
  static Arguments With(Arguments arguments) {
    const Arguments rest = {"--self-signed", "localhost", "--respond-bytes", "5"};
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return arguments;
  }
  static Finished Serve(const Arguments& arguments) {
    Arguments command = {test::CommandPath(), "serve"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command);
  }
  // The body that curl gets over the socket.
  std::string Curl(const std::string& name) const {
    return RunProgram({"curl", "-sSk", "--max-time", "20", "--unix-socket", Path(name),
                       "https://localhost/"})
        .output;
  }
  static std::string CurlTo(const std::string& authority) {
    return RunProgram({"curl", "-sSk", "--max-time", "20", "https://" + authority + "/"}).output;
  }

  TemporaryFolder folder_;
};

TEST_F(ServeUnixTest, CurlAndOpensslComeInOverTheSocket) {
  ServeProcess server(With({"--listen", Unix("s"), "--log-level", "debug"}));
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(server.WaitForOutput("listening on " + Unix("s"))) << server.output();
  EXPECT_EQ(Curl("s"), "abcde");
  const Finished openssl = RunProgram({"openssl", "s_client", "-unix", Path("s")});
  EXPECT_NE(openssl.output.find("BEGIN CERTIFICATE"), std::string::npos) << openssl.output;
  EXPECT_TRUE(server.Answers());  // TCP works as well
  EXPECT_TRUE(server.WaitForOutput("peer=unix:")) << server.output();
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["listeners"][1]["address"], Unix("s"));
  EXPECT_FALSE(There("s"));
}

TEST_F(ServeUnixTest, EveryProcessorAcceptsOnTheOneSocket) {
  ServeProcess server(With({"--listen", Unix("s"), "--processors", "3"}));
  ASSERT_TRUE(server.running()) << server.output();
  for (const char* mode : {"handshake", "request"}) {
    const LoadResult load = Load(Unix("s"), {"--insecure", "--mode", mode, "-c", "8"});
    ExpectSound(load);
    EXPECT_EQ(load.json["peer"], Unix("s"));
  }
  server.StopCleanly();
  EXPECT_FALSE(There("s"));
}

TEST_F(ServeUnixTest, AnAbstractNameNeedsNoFile) {
  const std::string name = fmt::format("ktlsim-{}", getpid());
  ServeProcess server(With({"--listen", "unix:@" + name}));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(RunProgram({"curl", "-sSk", "--max-time", "20", "--abstract-unix-socket", name,
                        "https://localhost/"})
                .output,
            "abcde");
  EXPECT_EQ(Serve(With({"--listen", "unix:@" + name})).code, 2);
  server.StopCleanly();
}

TEST_F(ServeUnixTest, AKilledServersSocketIsReplacedALiveOnesIsInUse) {
  {
    ServeProcess killed(With({"--listen", Unix("s")}));
    ASSERT_TRUE(killed.running()) << killed.output();
    killed.Signal(SIGKILL);
    nlohmann::json nothing;
    killed.Stop(&nothing);
  }
  ASSERT_TRUE(There("s"));
  // The kernel ends a killed process's ring, which holds the socket, a little later.
  while (Accepts("s")) std::this_thread::yield();
  ServeProcess server(With({"--listen", Unix("s")}));
  ASSERT_TRUE(server.running()) << server.output();
  const Finished refused = Serve(With({"--listen", Unix("s")}));
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("another path"), std::string::npos) << refused.output;
  // The check says so, but only warns, since the server is running.
  const Finished beside = Serve(With({"--listen", Unix("s"), "--check"}));
  EXPECT_EQ(beside.code, 0) << beside.output;
  EXPECT_NE(beside.output.find("in use"), std::string::npos) << beside.output;
  EXPECT_EQ(Curl("s"), "abcde");
  server.StopCleanly();
}

TEST_F(ServeUnixTest, TheCheckTellsWhatStandsInTheWayAndLeavesNothing) {
  std::ofstream(Path("file")) << "precious";
  struct Case {
    std::string listen;
    std::string told;
  };
  const std::vector<Case> cases = {
      {Unix("file"), "no socket"},
      {Unix("none/s"), "make its folder"},
      {"unix:/" + std::string(120, 'a'), "107 bytes"},
      {"no-such-host.invalid:1", "has no address"},
      {"/run/s", "did you mean unix:/run/s?"},
  };
  for (const auto& [listen, told] : cases) {
    const Finished checked = Serve(With({"--listen", listen, "--check"}));
    EXPECT_EQ(checked.code, 2) << listen;
    EXPECT_NE(checked.output.find(told), std::string::npos) << checked.output;
    EXPECT_NE(checked.output.find("--listen"), std::string::npos) << checked.output;
  }
  EXPECT_EQ(Serve(With({"--listen", Unix("s"), "--check"})).code, 0);
  EXPECT_FALSE(There("s"));
  EXPECT_TRUE(There("file"));
}

TEST_F(ServeUnixTest, AReloadAddsKeepsAndRemovesSockets) {
  const auto listener = [this](const std::string& name, int bytes) {
    return fmt::format("[[listener]]\nlisten = \"{}\"\nrespond-bytes = {}\n", Unix(name), bytes);
  };
  Write("respond-bytes = 5\n" + listener("a", 6));
  ServeProcess server({"--config", Path("config"), "--self-signed", "localhost"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(Curl("a"), "abcdef");
  const auto reload = [&](const std::string& text) {
    Write("respond-bytes = 5\n" + text);
    server.Signal(SIGHUP);
    ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
  };
  struct stat before{};
  struct stat after{};
  ASSERT_EQ(stat(Path("a").c_str(), &before), 0);
  reload(listener("a", 7) + listener("b", 8));
  ASSERT_EQ(stat(Path("a").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(Curl("a"), "abcdefg");
  EXPECT_EQ(Curl("b"), "abcdefgh");
  reload(listener("b", 9));
  EXPECT_FALSE(There("a"));
  EXPECT_EQ(Curl("b"), "abcdefghi");
  reload(listener("a", 3));
  EXPECT_FALSE(There("b"));
  EXPECT_EQ(Curl("a"), "abc");
  EXPECT_EQ(server.StopCleanly()["reloads_refused"], 0);
  EXPECT_FALSE(There("a"));
}

TEST_F(ServeUnixTest, AReloadThatIsRefusedLeavesNoSocketBehind) {
  Write("respond-bytes = 5\n");
  ServeProcess server({"--config", Path("config"), "--self-signed", "localhost"});
  ASSERT_TRUE(server.running()) << server.output();
  Write(fmt::format("respond-bytes = 5\n[[listener]]\nlisten = [\"{}\",\n\"{}\"]\n", Unix("a"),
                    Unix("none/b")));
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForNext("reload refused")) << server.output();
  EXPECT_TRUE(server.WaitForOutput(Path("config") + ":4: key `listen`: ")) << server.output();
  EXPECT_FALSE(There("a"));
  server.StopCleanly();
}

// A file that another server has put there meanwhile stays.
TEST_F(ServeUnixTest, AnotherServersSocketStays) {
  ServeProcess server(With({"--listen", Unix("s")}));
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_EQ(rename(Path("s").c_str(), Path("old").c_str()), 0);
  ServeProcess other(With({"--listen", Unix("s")}));
  ASSERT_TRUE(other.running()) << other.output();
  server.StopCleanly();
  EXPECT_TRUE(There("s"));
  EXPECT_EQ(Curl("s"), "abcde");
  other.StopCleanly();
}

TEST_F(ServeUnixTest, ABackendBehindASocketHearsWhoTheClientIs) {
  std::string heard;
  TcpBackend backend(
      [&heard](int socket) {
        heard = ReadUntil(socket, "*/*\r\n\r\n");  // the header itself begins with empty lines
        WriteAll(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
      },
      Path("backend"));
  ServeProcess server({"--listen", Unix("s"), "--self-signed", "localhost", "--upstream",
                       Unix("backend"), "--proxy-protocol"});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(Curl("s"), "hi");
  ASSERT_GE(heard.size(), 232U);
  EXPECT_EQ(heard.substr(12, 2), "\x21\x31");  // AF_UNIX, stream
  EXPECT_EQ(heard.substr(16, 108), std::string(108, '\0'));
  EXPECT_EQ(std::string(heard.c_str() + 124), Path("s"));
  server.StopCleanly();
}

TEST_F(ServeUnixTest, ABackendThatIsGoneIsNamed) {
  ServeProcess server({"--self-signed", "localhost", "--upstream", Unix("nobody")});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_FALSE(server.Answers());
  EXPECT_TRUE(server.WaitForOutput("backend=" + Unix("nobody"))) << server.output();
  server.StopCleanly();
}

TEST_F(ServeUnixTest, EveryAddressOfANameIsListenedOnAndForwardedTo) {
  ServeProcess server(With({"--listen", "localhost:0"}));
  ASSERT_TRUE(server.running()) << server.output();
  server.Answers();
  nlohmann::json statistics;
  std::vector<std::string> addresses;
  const std::string start = "listening on ";
  for (std::size_t at = server.output().find(start); at != std::string::npos;
       at = server.output().find(start, at + 1)) {
    const std::size_t begin = at + start.size();
    addresses.push_back(server.output().substr(begin, server.output().find('\n', begin) - begin));
  }
  ASSERT_GE(addresses.size(), 2U) << server.output();
  for (const std::string& address : addresses) EXPECT_EQ(CurlTo(address), "abcde") << address;
  server.StopCleanly();
}

TEST_F(ServeUnixTest, AColonAndAPortAreEveryAddress) {
  const std::string port = std::to_string(UnusedPort());
  ServeProcess server(With({"--listen", ":" + port}));
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(server.WaitForOutput(":" + port + "\n")) << server.output();
  EXPECT_EQ(CurlTo("127.0.0.1:" + port), "abcde");
  if (server.output().find("listening on [::]:" + port) != std::string::npos) {
    EXPECT_EQ(CurlTo("[::1]:" + port), "abcde");
  }
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
