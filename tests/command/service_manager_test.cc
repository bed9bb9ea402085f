#include "kernel_sim/command/service_manager.h"

#include <ktlsim/sspi_ext.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kProcess = 77;

// A service manager's end.
class Receiver {
 public:
  explicit Receiver(const std::string& name)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool abstract = name.front() == '@';
    if (abstract) address.sun_path[0] = '\0';
    const std::size_t bytes = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);
    bound_ = bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address),
                  static_cast<socklen_t>(bytes)) == 0;
  }
  bool bound() const { return bound_; }
  // The next datagram; empty: there is none.
  std::string Next() const {
    std::array<char, 4096> text{};
    const ssize_t bytes = recv(socket_.number(), text.data(), text.size(), MSG_DONTWAIT);
    return {text.data(), static_cast<std::size_t>(bytes > 0 ? bytes : 0)};
  }

 private:
  Descriptor socket_;
  bool bound_ = false;
};

ServiceEnvironment Environment(const std::string& socket, std::uint64_t watchdog_us = 0) {
  return {.notify_socket = socket, .watchdog_us = watchdog_us, .error = {}};
}

TEST(ServiceEnvironmentTest, TakesWhatSystemdSets) {
  const ServiceEnvironment none = ParseServiceEnvironment(nullptr, "1000", nullptr, kProcess);
  EXPECT_TRUE(none.notify_socket.empty() && none.watchdog_us == 0 && none.error.empty());
  EXPECT_TRUE(ParseServiceEnvironment("", nullptr, nullptr, kProcess).error.empty());
  const ServiceEnvironment all = ParseServiceEnvironment("/run/n", "30000000", "77", kProcess);
  EXPECT_EQ(all.notify_socket, "/run/n");
  EXPECT_EQ(all.watchdog_us, 30000000U);
  EXPECT_EQ(all.error, "");
  EXPECT_EQ(ParseServiceEnvironment("@n", "5", nullptr, kProcess).watchdog_us, 5U);
  // The longest that systemd can set, its "infinity", and all above a day: none.
  const ServiceEnvironment never =
      ParseServiceEnvironment("@n", "18446744073709551615", nullptr, kProcess);
  EXPECT_EQ(never.watchdog_us, 0U);
  EXPECT_EQ(never.error, "");
  EXPECT_EQ(ParseServiceEnvironment("@n", "86400000000", nullptr, kProcess).watchdog_us,
            86400000000U);
  EXPECT_EQ(ParseServiceEnvironment("@n", "86400000001", nullptr, kProcess).watchdog_us, 0U);
  // The watchdog of another process, which has started this one.
  const ServiceEnvironment other = ParseServiceEnvironment("@n", "5", "78", kProcess);
  EXPECT_EQ(other.watchdog_us, 0U);
  EXPECT_EQ(other.error, "");
}

TEST(ServiceEnvironmentTest, RefusesWhatCannotBeUsed) {
  const std::string long_path = "/" + std::string(107, 'x');
  for (const char* socket : {"run/n", "vsock:2:1", "/", "@", long_path.c_str()}) {
    const ServiceEnvironment wrong = ParseServiceEnvironment(socket, nullptr, nullptr, kProcess);
    EXPECT_NE(wrong.error.find("NOTIFY_SOCKET"), std::string::npos) << socket;
    EXPECT_TRUE(wrong.notify_socket.empty()) << socket;
  }
  EXPECT_EQ(
      ParseServiceEnvironment(("/" + std::string(106, 'x')).c_str(), nullptr, nullptr, kProcess)
          .error,
      "");
  for (const char* limit : {"", "x", "-1", "0", "99999999999999999999"}) {
    EXPECT_NE(ParseServiceEnvironment("/n", limit, nullptr, kProcess).error.find("WATCHDOG_USEC"),
              std::string::npos)
        << limit;
  }
  EXPECT_NE(ParseServiceEnvironment("/n", "5", "me", kProcess).error.find("WATCHDOG_PID"),
            std::string::npos);
}

TEST(ServiceManagerTest, TellsEachStateInOneDatagram) {
  const test::TemporaryFolder folder;
  const std::string abstract = "@ktlsim-test-" + std::to_string(getpid());
  for (const std::string& name : {folder.File("notify"), abstract}) {
    const Receiver receiver(name);
    ASSERT_TRUE(receiver.bound()) << name;
    const ServiceManager manager(Environment(name));
    EXPECT_TRUE(manager.present());
    EXPECT_TRUE(manager.Ready("listening on\nSTOPPING=1").ok());
    EXPECT_EQ(receiver.Next(), "READY=1\nSTATUS=listening on STOPPING=1");
    EXPECT_TRUE(manager.Reloading().ok());
    const std::string reloading = receiver.Next();
    EXPECT_TRUE(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC=")) << reloading;
    EXPECT_GT(std::stoull(reloading.substr(reloading.find("USEC=") + 5)), 0U);
    EXPECT_TRUE(manager.Stopping(5'000'000'000).ok());
    EXPECT_EQ(receiver.Next(), "STOPPING=1\nSTATUS=draining");
    EXPECT_EQ(receiver.Next(), "");
  }
}

TEST(ServiceManagerTest, ManyAddressesFitIntoADatagramOfSystemd) {
  EXPECT_EQ(ListeningOn(std::vector<std::string>{"127.0.0.1:1"}), "listening on 127.0.0.1:1");
  EXPECT_EQ(ListeningOn(std::vector<std::string>{"a:1", "b:2", "c:3", "d:4", "e:5"}),
            "listening on a:1, b:2, c:3, d:4, e:5");
  EXPECT_EQ(ListeningOn(std::vector<std::string>(300, "a:1")),
            "listening on a:1, a:1, a:1, a:1, a:1 and 295 more");
  const std::string long_path = "unix:/" + std::string(300, 'x');
  EXPECT_EQ(ListeningOn(std::vector<std::string>(5, long_path)),
            "listening on " + long_path + ", " + long_path + " and 3 more");
  const test::TemporaryFolder folder;
  const Receiver receiver(folder.File("notify"));
  const ServiceManager manager(Environment(folder.File("notify")));
  EXPECT_TRUE(manager.Ready(std::string(5000, 'x')).ok());
  EXPECT_EQ(receiver.Next(),
            "READY=1\nSTATUS=" + std::string(ServiceManager::kStatusBytesMax, 'x'));
}

TEST(ServiceManagerTest, TheWatchdogWaitsForTheDrain) {
  const test::TemporaryFolder folder;
  const Receiver receiver(folder.File("notify"));
  const ServiceManager manager(Environment(folder.File("notify"), 4000));
  EXPECT_EQ(manager.beat_interval_ns(), 1'000'000U);
  EXPECT_TRUE(manager.Stopping(5'000'000'000).ok());
  EXPECT_EQ(receiver.Next(), "STOPPING=1\nSTATUS=draining\nWATCHDOG=1\nWATCHDOG_USEC=65000000");
  EXPECT_TRUE(manager.Stopping(0).ok());
  EXPECT_EQ(receiver.Next(), "STOPPING=1\nSTATUS=draining\nWATCHDOG=1\nWATCHDOG_USEC=86400000000");
}

TEST(ServiceManagerTest, AManagerThatIsGoneIsAStatusAndNewsOnce) {
  const test::TemporaryFolder folder;
  ServiceManager manager(Environment(folder.File("nobody")));
  const Status told = manager.Ready("x");
  EXPECT_EQ(told.category(), Category::kIo);
  EXPECT_EQ(told.code(), ENOENT);
  EXPECT_TRUE(manager.IsNews(told));
  EXPECT_FALSE(manager.IsNews(manager.Ready("x")));
  EXPECT_FALSE(manager.IsNews(Status()));
  EXPECT_TRUE(manager.IsNews(told));

  ServiceManager none({});
  EXPECT_FALSE(none.present());
  EXPECT_TRUE(none.Ready("x").ok());
  EXPECT_TRUE(none.Beat().ok());
  EXPECT_EQ(none.beat_interval_ns(), 0U);
}

// Beats until `beats` were sent; false: that did not happen in time.
bool BeatUntil(ServiceManager& manager, const Receiver& receiver, int beats) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (beats > 0 && std::chrono::steady_clock::now() < deadline) {
    if (!manager.Beat().ok()) return false;
    // Without one a processor has not run its work item yet.
    if (receiver.Next() == "WATCHDOG=1") --beats;
    std::this_thread::yield();
  }
  return beats == 0;
}

// Holds a processor until it is let go.
struct Stopper : WorkItem {
  Stopper() : WorkItem([](WorkItem& item) { static_cast<Stopper&>(item).Hold(); }) {}
  void Hold() {
    inside.store(true);
    inside.notify_one();
    hold.wait(true);
  }
  std::atomic<bool> hold{true};
  std::atomic<bool> inside{false};
};

// The last one is a crypto processor, if there are any.
void LastProcessorStarvesTheWatchdog(ULONG placement) {
  const test::TemporaryFolder folder;
  const Receiver receiver(folder.File("notify"));
  Stopper stopper;
  ServiceManager manager(Environment(folder.File("notify"), 30'000'000));
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 2;
  options.Placement = placement;
  options.cCryptoProcessors = placement == KTLSIM_PLACEMENT_POOL ? 1 : 0;
  ASSERT_EQ(KtlsimStart(&options), SEC_E_OK);
  EXPECT_TRUE(BeatUntil(manager, receiver, 3));
  SECURITY_STATUS failure = SEC_E_OK;
  sspi::Runtime::Instance().Executive(&failure)->processors().back()->ring().Post(stopper);
  stopper.inside.wait(false);
  // The items of before were posted ahead of the stopper: once all have run, one more is fed, and
  // the item that it posts here stays where it is.
  EXPECT_TRUE(BeatUntil(manager, receiver, 1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(manager.Beat().ok());
  EXPECT_EQ(receiver.Next(), "");
  stopper.hold.store(false);
  stopper.hold.notify_one();
  EXPECT_TRUE(BeatUntil(manager, receiver, 2));
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
}

TEST(ServiceManagerTest, AProcessorThatHangsStarvesTheWatchdog) {
  LastProcessorStarvesTheWatchdog(KTLSIM_PLACEMENT_INLINE);
}

TEST(ServiceManagerTest, ACryptoProcessorThatHangsStarvesTheWatchdog) {
  LastProcessorStarvesTheWatchdog(KTLSIM_PLACEMENT_POOL);
}

}  // namespace
}  // namespace ktlsim::command
