#include "io/listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "io/connector.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

class Door final : public ListenerHandler {
 public:
  explicit Door(Ring& ring) { listener.emplace(ring, *this); }
  void OnAccepted(SocketId socket) override {
    sockets.push_back(socket);
    if (on_accepted) on_accepted();
  }
  void OnListenerClosed() override {
    EXPECT_FALSE(closed);
    closed = true;
    listener.reset();
  }
  std::optional<Listener> listener;
  std::vector<SocketId> sockets;
  std::function<void()> on_accepted;
  bool closed = false;
};

class Caller final : public ConnectHandler {
 public:
  explicit Caller(Ring& ring) : connector(ring, *this) {}
  void OnConnected(Status status, SocketId connected) override {
    EXPECT_EQ(status.ok(), connected != kNoSocket);
    outcome = status;
    socket = connected;
    done = true;
  }
  Connector connector;
  Status outcome;
  SocketId socket = kNoSocket;
  bool done = false;
};

// UBSan's check of virtual calls opens a pipe to look at the object, and takes its failure for a
// broken object: without descriptors every first virtual call is reported. The other builds run
// these tests.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define KTLSIM_TEST_HAS_UBSAN 1
#endif
#endif
#ifdef KTLSIM_TEST_HAS_UBSAN
constexpr bool kVirtualCallsNeedDescriptors = true;
#else
constexpr bool kVirtualCallsNeedDescriptors = false;
#endif

// While it lives, no descriptor is available. Kept short: sanitizers need descriptors of their own.
class NoDescriptors {
 public:
  NoDescriptors() {
    const int lowest_free = fcntl(0, F_DUPFD_CLOEXEC, 0);
    EXPECT_GE(lowest_free, 0);
    close(lowest_free);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest_free), .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_{};
};

class ListenerTest : public RingUnderTest {
 protected:
  void SetUp() override {
    ring = MakeRing();
    ASSERT_NE(ring, nullptr);
    door.emplace(*ring);
    ASSERT_TRUE(door->listener->Open(Address::Loopback(0), {}).ok());
    address = door->listener->LocalAddress().value();
  }
  void TearDown() override {
    for (auto& caller : callers) {
      ASSERT_TRUE(TurnUntil(*ring, [&] { return caller->done; }));
      if (caller->socket != kNoSocket) ring->Close(caller->socket, /*reset=*/true);
    }
    for (SocketId socket : door->sockets) ring->Close(socket, /*reset=*/true);
    if (door->listener) door->listener->Close();
    ASSERT_TRUE(TurnUntil(*ring, [&] { return door->closed; }));
    EXPECT_EQ(ring->Statistics().sockets, 0u);
    EXPECT_EQ(ring->Statistics().operations, 0u);
    EXPECT_EQ(ring->Statistics().timers, 0u);
  }
  Caller& Call() {
    callers.push_back(std::make_unique<Caller>(*ring));
    callers.back()->connector.Connect(address);
    return *callers.back();
  }
  bool Until(const std::function<bool()>& done) { return TurnUntil(*ring, done); }
  bool CanRunOut() const { return !real() || !kVirtualCallsNeedDescriptors; }
  // The next accept fails with EMFILE; the one after it would not.
  void FailToAccept() {
    std::optional<NoDescriptors> scoped;
    if (real()) {
      scoped.emplace();
    } else {
      network()->SetSocketsMax(2);  // the listener's and the caller's
    }
    ASSERT_TRUE(Until([&] { return door->listener->retries() == 1; }));
    if (!real()) network()->SetSocketsMax(MemoryNetworkOptions().sockets_max);
  }

  std::unique_ptr<Ring> ring;
  std::optional<Door> door;
  std::vector<std::unique_ptr<Caller>> callers;
  Address address;
};

KTLSIM_ON_BOTH_RINGS(ListenerTest);

TEST_P(ListenerTest, AcceptsAndConnects) {
  for (int i = 0; i < 50; ++i) Call();
  ASSERT_TRUE(Until([&] { return door->sockets.size() == 50; }));
}

TEST_P(ListenerTest, PauseLeavesConnectionsInTheBacklog) {
  ring->Turn(0);
  door->listener->Pause();
  while (ring->Turn(5 * kNsPerMs) != 0) {
  }
  Caller& caller = Call();
  ASSERT_TRUE(Until([&] { return caller.done; }));
  EXPECT_TRUE(caller.outcome.ok()) << "the kernel completes the connection";
  while (ring->Turn(5 * kNsPerMs) != 0) {
  }
  EXPECT_TRUE(door->sockets.empty());
  door->listener->Resume();
  door->listener->Pause();
  door->listener->Resume();
  ASSERT_TRUE(Until([&] { return door->sockets.size() == 1; }));
}

TEST_P(ListenerTest, PausesFromInsideItsHandler) {
  door->on_accepted = [&] {
    door->listener->Pause();
    door->listener->Resume();
  };
  for (int i = 0; i < 20; ++i) Call();
  ASSERT_TRUE(Until([&] { return door->sockets.size() == 20; }));
}

TEST_P(ListenerTest, ClosesFromInsideItsHandler) {
  door->on_accepted = [&] { door->listener->Close(); };
  for (int i = 0; i < 10; ++i) Call();
  ASSERT_TRUE(Until([&] { return door->closed; }));
  EXPECT_EQ(door->sockets.size(), 1u);
}

TEST_P(ListenerTest, ClosesWhilePaused) {
  door->listener->Pause();
  while (ring->Turn(5 * kNsPerMs) != 0) {
  }
  door->listener->Close();
  door->listener->Close();
  EXPECT_FALSE(door->closed);
  ASSERT_TRUE(Until([&] { return door->closed; }));
}

// The process runs out of descriptors; accepting continues by itself when descriptors are available
// again. The kernel notes the limit when an accept is submitted: here in the first turn.
TEST_P(ListenerTest, RetriesWhenDescriptorsRunOut) {
  if (!CanRunOut()) GTEST_SKIP() << "UBSan's vptr check needs free descriptors";
  Call();
  FailToAccept();
  EXPECT_EQ(door->listener->last_failure().code(), EMFILE);
  EXPECT_TRUE(door->sockets.empty());
  ASSERT_TRUE(Until([&] { return door->sockets.size() == 1; }));
}

TEST_P(ListenerTest, PausesAndClosesWhileItWaitsToRetry) {
  if (!CanRunOut()) GTEST_SKIP() << "UBSan's vptr check needs free descriptors";
  Call();
  FailToAccept();
  EXPECT_EQ(ring->Statistics().timers, 1u);
  door->listener->Resume();
  EXPECT_EQ(ring->Statistics().timers, 1u) << "resuming does not hasten the retry";
  door->listener->Pause();
  EXPECT_EQ(ring->Statistics().timers, 0u);
  door->listener->Close();
  ASSERT_TRUE(Until([&] { return door->closed; }));
}

TEST_P(ListenerTest, OpenFailureIsAStatusAndMayBeRepaired) {
  Door second(*ring);
  EXPECT_EQ(second.listener->Open(address, {.share_port = false}).code(), EADDRINUSE);
  ASSERT_TRUE(second.listener->Open(Address::Loopback(0), {}).ok());
  second.listener->Close();
  ASSERT_TRUE(Until([&] { return second.closed; }));
}

// What keeps two programs from sharing a port by accident, though each shares it among its loops.
TEST_P(ListenerTest, TheFirstOfAPortMeetsNobodyAndLetsOthersJoin) {
  const ListenOptions first{.first_of_port = true};
  Door second(*ring);
  EXPECT_EQ(second.listener->Open(address, first).code(), EADDRINUSE);
  ASSERT_TRUE(second.listener->Open(Address::Loopback(0), first).ok());
  const Address shared = second.listener->LocalAddress().value();
  Door third(*ring);
  EXPECT_EQ(third.listener->Open(shared, first).code(), EADDRINUSE);
  EXPECT_EQ(third.listener->Open(shared, {.share_port = false}).code(), EADDRINUSE);
  ASSERT_TRUE(third.listener->Open(shared, {}).ok());
  second.listener->Close();
  third.listener->Close();
  ASSERT_TRUE(Until([&] { return second.closed && third.closed; }));
}

TEST_P(ListenerTest, ConnectorTellsRefusalAndWrongFamily) {
  const SocketId unused = ring->Listen(Address::Loopback(0), {}).value();
  const Address nobody = ring->LocalAddress(unused).value();
  ring->Close(unused);
  Caller caller(*ring);
  caller.connector.Connect(nobody);
  EXPECT_TRUE(caller.connector.connecting());
  ASSERT_TRUE(Until([&] { return caller.done; }));
  EXPECT_EQ(caller.outcome.code(), ECONNREFUSED);

  caller.done = false;
  caller.connector.Connect(Address());
  EXPECT_FALSE(caller.done) << "reported in a later turn";
  ASSERT_TRUE(Until([&] { return caller.done; }));
  EXPECT_EQ(caller.outcome.code(), EAFNOSUPPORT);
  EXPECT_FALSE(caller.connector.connecting());
}

TEST_P(ListenerTest, ConnectorCancelIsToldOnce) {
  Caller& caller = Call();
  caller.connector.Cancel();
  caller.connector.Cancel();
  ASSERT_TRUE(Until([&] { return caller.done; }));
}

}  // namespace
}  // namespace ktlsim::io
