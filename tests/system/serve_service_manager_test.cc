// `ktlsim serve` under a service manager: what it says when it listens, reloads, drains, and while
// it is well.

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/descriptor.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class ServeServiceManagerTest : public testing::Test {
 protected:
  ServeServiceManagerTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.File("notify");
    std::memcpy(address.sun_path, path.data(), path.size());
    bound_ =
        bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    const timeval limit{.tv_sec = 30, .tv_usec = 0};
    setsockopt(socket_.number(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  // The next message; empty: none came in time.
  std::string Next() const {
    std::array<char, 4096> text{};
    const ssize_t bytes = recv(socket_.number(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(bytes > 0 ? bytes : 0)};
  }
  // The next one that is not from the watchdog.
  std::string NextState() const {
    std::string text = Next();
    while (text == "WATCHDOG=1") text = Next();
    return text;
  }
  std::vector<std::string> Environment(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> launcher = {"env", "NOTIFY_SOCKET=" + folder_.File("notify")};
    launcher.insert(launcher.end(), more.begin(), more.end());
    return launcher;
  }

  TemporaryFolder folder_;
  Descriptor socket_;
  bool bound_ = false;
};

TEST_F(ServeServiceManagerTest, TellsEachStateInItsOrder) {
  ASSERT_TRUE(bound_);
  const std::string config = folder_.Write("serve.toml", "respond-bytes = 3\n");
  ServeProcess server({"--self-signed", "localhost", "--config", config}, Environment());
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(Next(), "READY=1\nSTATUS=listening on " + server.address());
  server.Signal(SIGHUP);
  EXPECT_TRUE(Next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(Next(), "READY=1\nSTATUS=listening on " + server.address());
  // One that is refused ends as well: the server is as it was.
  std::ofstream(config) << "nonsense = 3\n";
  server.Signal(SIGHUP);
  EXPECT_TRUE(Next().starts_with("RELOADING=1\n"));
  EXPECT_TRUE(Next().starts_with("READY=1\n"));
  EXPECT_TRUE(server.Answers());
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(Next(), "STOPPING=1\nSTATUS=draining");
  EXPECT_EQ(statistics["reloads"], 1);
  EXPECT_EQ(statistics["reloads_refused"], 1);
}

TEST_F(ServeServiceManagerTest, FeedsTheWatchdogUntilItDrains) {
  ASSERT_TRUE(bound_);
  ServeProcess server(
      {"--self-signed", "localhost", "--respond-bytes", "3", "--drain-timeout", "7s"},
      Environment({"WATCHDOG_USEC=200000"}));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_TRUE(Next().starts_with("READY=1\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Next(), "WATCHDOG=1");
  // Read at once: a socket that nobody reads is soon full, and then what comes is lost.
  server.Signal(SIGTERM);
  EXPECT_EQ(NextState(), "STOPPING=1\nSTATUS=draining\nWATCHDOG=1\nWATCHDOG_USEC=67000000");
  server.StopCleanly();
}

TEST_F(ServeServiceManagerTest, OneThatIsGoneIsAWarning) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "3"},
                      {"env", "NOTIFY_SOCKET=" + folder_.File("nobody")});
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_TRUE(server.WaitForOutput("the service manager does not know")) << server.output();
  EXPECT_TRUE(server.Answers());
  server.StopCleanly();
}

TEST_F(ServeServiceManagerTest, AnEnvironmentThatCannotBeUsedIsRefused) {
  const ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "3"},
                            {"env", "NOTIFY_SOCKET=here"});
  EXPECT_FALSE(server.running());
  EXPECT_NE(server.output().find("NOTIFY_SOCKET is \"here\""), std::string::npos)
      << server.output();
}

}  // namespace
}  // namespace ktlsim::system_tests
