#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "kernel_sim/base/level.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

void ExpectNothingLeft(Ring& ring) {
  const RingStatistics statistics = ring.Statistics();
  EXPECT_EQ(statistics.sockets, 0u);
  EXPECT_EQ(statistics.operations, 0u);
  EXPECT_EQ(statistics.buffers_lent, 0u);
  EXPECT_EQ(statistics.timers, 0u);
}

class RingTest : public RingUnderTest {};
KTLSIM_ON_BOTH_RINGS(RingTest);

class CountingTimer : public Timer {
 public:
  explicit CountingTimer(Ring& on) : ring(on) {}
  void OnTimer() override {
    EXPECT_EQ(CurrentLevel(), Level::kDispatch);
    fired_ns = ring.NowNs();
    ++calls;
  }
  Ring& ring;
  std::uint64_t fired_ns = 0;
  int calls = 0;
};

TEST_P(RingTest, CarriesBytesBothWaysAndTellsTheEnd) {
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  Receiver at_server;
  Receiver at_client;
  Sender send;
  ring->StartReceive(at_server, pair.server);
  ring->StartReceive(at_client, pair.client);
  const std::string text = Pattern(3000000);
  ring->StartSend(send, pair.client, AsBytes(text));
  ASSERT_TRUE(TurnUntil(*ring, [&] { return send.ended && at_server.text.size() == text.size(); }));
  EXPECT_TRUE(send.outcome.ok());
  EXPECT_TRUE(at_server.text == text);
  ring->ShutdownSend(pair.client);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return at_server.ended; }));
  EXPECT_TRUE(at_server.end.ok());
  ring->Cancel(at_client);
  ring->Cancel(at_client);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return at_client.ended; }));
  EXPECT_EQ(at_client.end.code(), ECANCELED);
  ring->Cancel(at_client);  // ended: no-op
  ring->Close(pair.client);
  ring->Close(pair.server);
  ExpectNothingLeft(*ring);
}

TEST_P(RingTest, IdleTurnMakesNoSystemCall) {
  auto ring = MakeRing();
  ring->Turn(0);
  const std::uint64_t enters = ring->Statistics().enters;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ring->Turn(0), 0u);
  EXPECT_EQ(ring->Statistics().enters, enters);
}

TEST_P(RingTest, WaitsNoLongerThanTold) {
  auto ring = MakeRing();
  ring->Turn(0);
  const std::uint64_t before = ring->NowNs();
  EXPECT_EQ(ring->Turn(3 * kNsPerMs), 0u);
  EXPECT_GE(ring->NowNs(), before + 3 * kNsPerMs);
}

TEST_P(RingTest, TimerEndsTheWaitAndIsNeverEarly) {
  auto ring = MakeRing();
  CountingTimer timer(*ring);
  CountingTimer stopped(*ring);
  for (std::uint64_t wait : {std::uint64_t{0}, kNsPerUs, 300 * kNsPerUs, 2 * kNsPerMs}) {
    timer.calls = 0;
    const std::uint64_t deadline = ring->NowNs() + wait;
    ring->StartTimer(timer, deadline);
    ring->StartTimer(stopped, deadline);
    ring->StopTimer(stopped);
    EXPECT_EQ(ring->Statistics().timers, 1u);
    while (timer.calls == 0) ring->Turn(kWaitForever);
    EXPECT_GE(timer.fired_ns, deadline);
  }
  EXPECT_EQ(stopped.calls, 0);
  ExpectNothingLeft(*ring);
}

TEST_P(RingTest, EmptySendEndsFromALaterTurn) {
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  Sender send;
  ring->StartSend(send, pair.client, {});
  EXPECT_FALSE(send.ended);
  EXPECT_TRUE(send.in_flight());
  ring->Turn(kWaitForever);
  EXPECT_TRUE(send.ended);
  EXPECT_TRUE(send.outcome.ok());
  ring->Close(pair.client);
  ring->Close(pair.server);
}

TEST_P(RingTest, SocketFailuresAreStatuses) {
  auto ring = MakeRing();
  EXPECT_EQ(ring->OpenStream(4711).status().code(), EAFNOSUPPORT);
  const SocketId listener = ring->Listen(Address::Loopback(0), {.share_port = false}).value();
  const Address taken = ring->LocalAddress(listener).value();
  EXPECT_EQ(ring->Listen(taken, {.share_port = false}).status().code(), EADDRINUSE);
  ring->Close(listener);

  Connection connection;
  const SocketId socket = ring->OpenStream(AF_INET).value();
  ring->StartConnect(connection, socket, taken);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return connection.ended; }));
  EXPECT_EQ(connection.outcome.code(), ECONNREFUSED);
  ring->Close(socket);
  ExpectNothingLeft(*ring);
}

TEST_P(RingTest, SharedPortServesTwoRings) {
  auto ring = MakeRing();
  const SocketId first = ring->Listen(Address::Loopback(0), {}).value();
  const Result<SocketId> second = ring->Listen(ring->LocalAddress(first).value(), {});
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  ring->Close(first);
  ring->Close(second.value());
}

TEST_P(RingTest, IPv6Connects) {
  auto ring = MakeRing();
  Result<SocketId> listener = ring->Listen(Address::Parse("[::1]:0").value(), {});
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.status().ToString();
  Connection connection;
  const SocketId socket = ring->OpenStream(AF_INET6).value();
  ring->StartConnect(connection, socket, ring->LocalAddress(*listener).value());
  ASSERT_TRUE(TurnUntil(*ring, [&] { return connection.ended; }));
  EXPECT_TRUE(connection.outcome.ok()) << connection.outcome.ToString();
  ring->Close(socket, /*reset=*/true);
  ring->Close(*listener);
}

// A full backlog drops the handshake: the connection attempt hangs until it is cancelled.
TEST_P(RingTest, CancelsAConnectThatHangs) {
  auto ring = MakeRing();
  const SocketId listener = ring->Listen(Address::Loopback(0), {.backlog = 0}).value();
  const Address address = ring->LocalAddress(listener).value();
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<SocketId> sockets;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(ring->OpenStream(AF_INET).value());
    connections.push_back(std::make_unique<Connection>());
    ring->StartConnect(*connections.back(), sockets.back(), address);
  }
  const auto ended = [&] {
    return std::count_if(connections.begin(), connections.end(), [](auto& c) { return c->ended; });
  };
  ASSERT_TRUE(TurnUntil(*ring, [&] { return ended() != 0; }));
  while (ring->Turn(5 * kNsPerMs) != 0) {
  }
  const auto hanging = 8 - ended();
  EXPECT_GT(hanging, 0);
  for (auto& connection : connections) ring->Cancel(*connection);
  for (auto& connection : connections) {
    ASSERT_TRUE(TurnUntil(*ring, [&] { return connection->ended; }));
  }
  EXPECT_EQ(std::count_if(connections.begin(), connections.end(),
                          [](auto& c) { return c->outcome.code() == ECANCELED; }),
            hanging);
  for (SocketId socket : sockets) ring->Close(socket, /*reset=*/true);
  ring->Close(listener);
  ExpectNothingLeft(*ring);
}

// Every place that an operation can be in when it is cancelled, on a ring with room for almost
// nothing.
class CancelTest : public RingUnderTest {
 protected:
  template <typename Check>
  void OnSmallRings(Check check) {
    for (const bool submit_when_full : {true, false}) {
      SCOPED_TRACE(submit_when_full);
      auto ring = MakeRing({.submission_entries = 4,
                            .receive_buffers = 1,
                            .receive_buffer_bytes = 64,
                            .submit_when_full = submit_when_full});
      const Pair pair = Connect(*ring);
      check(*ring, pair);
      ring->Close(pair.client, /*reset=*/true);
      ring->Close(pair.server, /*reset=*/true);
      ExpectNothingLeft(*ring);
    }
  }
};

KTLSIM_ON_BOTH_RINGS(CancelTest);

TEST_P(CancelTest, BeforeAndAfterItWasSubmittedAndHalfDone) {
  const std::string text = Pattern(std::size_t{16} << 20);
  OnSmallRings([&](Ring& ring, const Pair& pair) {
    for (int turns = 0; turns < 3; ++turns) {
      Receiver receive;
      Sender send;
      ring.StartReceive(receive, pair.client);
      ring.StartSend(send, pair.client, AsBytes(text));
      for (int i = 0; i < turns; ++i) ring.Turn(0);
      ring.Cancel(receive);
      ring.Cancel(send);
      EXPECT_FALSE(receive.ended);
      EXPECT_FALSE(send.ended);
      ASSERT_TRUE(TurnUntil(ring, [&] { return receive.ended && send.ended; }));
      EXPECT_EQ(receive.end.code(), ECANCELED);
      EXPECT_EQ(send.outcome.code(), ECANCELED);
    }
  });
}

// And cancelled by a parked request: more than the queue holds, all at once.
TEST_P(CancelTest, Parked) {
  OnSmallRings([](Ring& ring, const Pair&) {
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    const SocketId listener = ring.Listen(Address::Loopback(0), {}).value();
    for (int i = 0; i < 40; ++i) {
      acceptors.push_back(std::make_unique<Acceptor>());
      ring.StartAccept(*acceptors.back(), listener);
    }
    for (int i = 0; i < 20; ++i) ring.Cancel(*acceptors[static_cast<std::size_t>(i)]);
    ring.Turn(0);
    for (auto& acceptor : acceptors) ring.Cancel(*acceptor);
    for (auto& acceptor : acceptors) {
      ASSERT_TRUE(TurnUntil(ring, [&] { return acceptor->ended; }));
      EXPECT_EQ(acceptor->end.code(), ECANCELED);
    }
    ring.Close(listener);
  });
}

// Its only buffer is held.
TEST_P(CancelTest, Starved) {
  OnSmallRings([](Ring& ring, const Pair& pair) {
    const std::string text = Pattern(100);
    Sender send;
    ring.StartSend(send, pair.client, AsBytes(text));
    Receiver hoarder;
    hoarder.hold = true;
    ring.StartReceive(hoarder, pair.server);
    ASSERT_TRUE(
        TurnUntil(ring, [&] { return send.ended && ring.Statistics().buffers_exhausted > 0; }));
    ring.Cancel(hoarder);
    EXPECT_FALSE(hoarder.ended);
    ASSERT_TRUE(TurnUntil(ring, [&] { return hoarder.ended; }));
    EXPECT_EQ(hoarder.end.code(), ECANCELED);
    hoarder.held.clear();
  });
}

TEST_P(CancelTest, EndingAlready) {
  OnSmallRings([](Ring& ring, const Pair& pair) {
    Sender empty;
    ring.StartSend(empty, pair.client, {});
    ring.Cancel(empty);
    ASSERT_TRUE(TurnUntil(ring, [&] { return empty.ended; }));
  });
}

// A cancellation belongs to one start: the next one with the same address is not touched.
TEST_P(RingTest, CancelDoesNotReachTheNextStart) {
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  const std::string text = "x";
  class Restarter : public Receiver {
   public:
    void OnReceiveEnded(Status reason) override {
      Receiver::OnReceiveEnded(reason);
      if (restart != nullptr) {
        ended = false;
        std::exchange(restart, nullptr)->StartReceive(*this, socket);
      }
    }
    Ring* restart = nullptr;
    SocketId socket = kNoSocket;
  } receive;
  receive.socket = pair.server;
  for (int i = 0; i < 200; ++i) {
    receive.ended = false;
    receive.restart = ring.get();
    receive.text.clear();
    ring->StartReceive(receive, pair.server);
    if (i % 2 == 0) ring->Turn(0);
    ring->Cancel(receive);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.restart == nullptr; }));
    Sender send;
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(TurnUntil(*ring, [&] { return send.ended && receive.text == text; }));
    EXPECT_FALSE(receive.ended);
    ring->Cancel(receive);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.ended; }));
  }
  ring->Close(pair.client);
  ring->Close(pair.server);
}

// A submission queue of four places and a thousand operations started at once, with and without
// submit_when_full.
TEST_P(RingTest, FullSubmissionQueueServesAll) {
  for (const bool submit_when_full : {true, false}) {
    SCOPED_TRACE(submit_when_full);
    auto ring = MakeRing({.submission_entries = 4, .submit_when_full = submit_when_full});
    constexpr std::size_t kOperations = 1000;
    const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
    const Address address = ring->LocalAddress(listener).value();
    Acceptor acceptor;
    ring->StartAccept(acceptor, listener);
    std::vector<std::unique_ptr<Connection>> connections;
    std::vector<SocketId> sockets;
    for (std::size_t i = 0; i < kOperations; ++i) {
      sockets.push_back(ring->OpenStream(AF_INET).value());
      connections.push_back(std::make_unique<Connection>());
      ring->StartConnect(*connections.back(), sockets.back(), address);
    }
    ASSERT_TRUE(TurnUntil(*ring, [&] { return acceptor.sockets.size() == kOperations; }));
    for (auto& connection : connections) {
      ASSERT_TRUE(TurnUntil(*ring, [&] { return connection->ended; }));
      EXPECT_TRUE(connection->outcome.ok()) << connection->outcome.ToString();
    }
    EXPECT_GE(ring->Statistics().submission_full, kOperations / 8);
    if (submit_when_full && real()) {
      EXPECT_EQ(ring->Statistics().parked, 0u);
    } else {
      EXPECT_GE(ring->Statistics().parked, kOperations - 8);
    }
    ring->Cancel(acceptor);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return acceptor.ended; }));
    for (SocketId socket : sockets) ring->Close(socket, /*reset=*/true);
    for (SocketId socket : acceptor.sockets) ring->Close(socket, /*reset=*/true);
    ring->Close(listener);
    ExpectNothingLeft(*ring);
  }
}

// More completions than the queue holds arrive between two turns: none is lost.
TEST_P(RingTest, CompletionOverflowLosesNothing) {
  auto ring = MakeRing({.submission_entries = 2, .completion_entries = 8});
  const Pair pair = Connect(*ring);
  constexpr std::size_t kTimes = 400;
  const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  for (std::size_t i = 0; i < kTimes; ++i) {
    acceptors.push_back(std::make_unique<Acceptor>());
    ring->StartAccept(*acceptors.back(), listener);
  }
  ring->Turn(0);
  for (auto& acceptor : acceptors) ring->Cancel(*acceptor);
  for (auto& acceptor : acceptors) {
    ASSERT_TRUE(TurnUntil(*ring, [&] { return acceptor->ended; }));
    EXPECT_EQ(acceptor->end.code(), ECANCELED);
  }
  // The in-memory ring issues no more per turn than its queue holds: no overflow.
  if (real()) {
    EXPECT_GT(ring->Statistics().completion_overflow, 0u);
  }
  Receiver receive;
  Sender send;
  const std::string text = Pattern(100000);
  ring->StartReceive(receive, pair.server);
  ring->StartSend(send, pair.client, AsBytes(text));
  ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.text.size() == text.size(); }));
  ring->Cancel(receive);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.ended && send.ended; }));
  ring->Close(listener);
  ring->Close(pair.client);
  ring->Close(pair.server);
  ExpectNothingLeft(*ring);
}

// Many connections, two buffers: starved receives are fed in turn, and no byte is lost.
TEST_P(RingTest, FewBuffersFeedManyConnections) {
  auto ring = MakeRing({.receive_buffers = 2, .receive_buffer_bytes = 256});
  constexpr std::size_t kPairs = 20;
  const std::string text = Pattern(20000);
  std::vector<Pair> pairs;
  std::vector<std::unique_ptr<Receiver>> receivers;
  std::vector<std::unique_ptr<Sender>> senders;
  for (std::size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(Connect(*ring));
    receivers.push_back(std::make_unique<Receiver>());
    senders.push_back(std::make_unique<Sender>());
    ring->StartSend(*senders[i], pairs[i].client, AsBytes(text));
  }
  ring->Turn(0);
  for (std::size_t i = 0; i < kPairs; ++i) ring->StartReceive(*receivers[i], pairs[i].server);
  for (std::size_t i = 0; i < kPairs; ++i) {
    ASSERT_TRUE(TurnUntil(*ring, [&] { return receivers[i]->text.size() == text.size(); }));
  }
  EXPECT_GT(ring->Statistics().buffers_exhausted, 0u);
  for (std::size_t i = 0; i < kPairs; ++i) {
    ring->Cancel(*receivers[i]);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return receivers[i]->ended && senders[i]->ended; }));
    ring->Close(pairs[i].client);
    ring->Close(pairs[i].server);
  }
  // Only now: until OnSent the bytes belong to the ring.
  for (auto& receiver : receivers) EXPECT_TRUE(receiver->text == text);
  ExpectNothingLeft(*ring);
}

TEST_P(RingTest, TwoThousandConnectionsLeaveNothing) {
  auto ring = MakeRing();
  for (int round = 0; round < 2000; ++round) {
    const Pair pair = Connect(*ring);
    Receiver receive;
    Sender send;
    const std::string text = "hello";
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(TurnUntil(*ring, [&] { return send.ended && receive.text == text; }));
    ring->Close(pair.client, /*reset=*/round % 2 == 0);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.ended; }));
    ring->Close(pair.server);
  }
  ExpectNothingLeft(*ring);
}

TEST_P(RingTest, ClosingWithSomethingInFlightIsCaught) {
#ifdef NDEBUG
  GTEST_SKIP() << "assertions are off in this build";
#else
  GTEST_FLAG_SET(death_test_style, "fast");
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  Receiver receive;
  ring->StartReceive(receive, pair.server);
  EXPECT_DEATH(ring->Close(pair.server), "assertion failed");
  ring->Cancel(receive);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.ended; }));
  ring->Close(pair.client);
  ring->Close(pair.server);
#endif
}

TEST(UringTest, OptionsOutOfRangeAreRefused) {
  EXPECT_EQ(CreateUring({.receive_buffers = 3}).status().category(), Category::kContract);
  EXPECT_EQ(CreateUring({.receive_buffers = 65536}).status().category(), Category::kContract);
  EXPECT_EQ(CreateUring({.receive_buffer_bytes = 0}).status().category(), Category::kContract);
  EXPECT_EQ(CreateUring({.submission_entries = 0}).status().category(), Category::kContract);
  EXPECT_NE(LastProbeText(), "");
}

TEST(UringTest, FileLimitIsRaisedOrExplained) {
  EXPECT_EQ(RaiseFileLimit(16), "");
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
  if (limit.rlim_max == RLIM_INFINITY) GTEST_SKIP() << "no hard limit here";
  EXPECT_NE(RaiseFileLimit(limit.rlim_max + 1).find(std::to_string(limit.rlim_max)),
            std::string::npos);
}

}  // namespace
}  // namespace ktlsim::io
