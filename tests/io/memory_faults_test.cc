// Each fault of the in-memory ring, alone.
#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "io/listener.h"
#include "tests/io/memory_test_support.h"

namespace ktlsim::io {
namespace {

class MemoryFaultsTest : public MemoryTest {};

TEST_F(MemoryFaultsTest, OneByteReceivesKeepTheOrder) {
  Begin(MemoryFaults{.one_byte_receives = true});
  const std::uint64_t before = ring->Statistics().completed;
  Carry(Pattern(500));
  EXPECT_GE(ring->Statistics().completed, before + 500);
}

TEST_F(MemoryFaultsTest, ReorderAndDelayKeepTheOrderOfOneSocket) {
  Begin(MemoryFaults{.reorder = 1000, .delay = 500, .short_receive = 800});
  Carry(Pattern(300000));
}

TEST_F(MemoryFaultsTest, SpuriousEndsAreRearmedUnseen) {
  Begin(MemoryFaults{.spurious_end = 700});
  Carry(Pattern(2000000));
}

TEST_F(MemoryFaultsTest, InterruptionsAreRetriedUnseen) {
  Begin(MemoryFaults{.interrupted = 600});
  Carry(Pattern(100000));
}

TEST_F(MemoryFaultsTest, FullSubmissionQueueParks) {
  Begin(MemoryFaults{.submission_full = 600});
  Carry(Pattern(100000));
  EXPECT_GT(ring->Statistics().parked, 0u);
}

TEST_F(MemoryFaultsTest, ScriptedResetCutsAtItsByte) {
  for (const bool reset : {true, false}) {
    MemoryNetworkOptions options;
    options.cuts.push_back({.offset = 12345, .reset = reset});
    Begin(options);
    const std::string text = Pattern(1 << 20);
    Receiver receive;
    Sender send;
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(Until([&] { return send.ended && receive.ended; }));
    EXPECT_FALSE(send.outcome.ok());
    EXPECT_EQ(receive.text.size(), 12345u);
    EXPECT_EQ(receive.end.code(), reset ? ECONNRESET : 0);
    TearDown();
    ring.reset();
  }
}

TEST_F(MemoryFaultsTest, SeededCutsEndBothSides) {
  for (const MemoryFaults& faults : {MemoryFaults{.reset = 1000}, MemoryFaults{.truncate = 1000}}) {
    Begin(faults);
    const std::string text = Pattern(1 << 20);
    Receiver receive;
    Sender send;
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(Until([&] { return send.ended && receive.ended; }));
    EXPECT_EQ(receive.end.ok(), faults.truncate != 0);
    TearDown();
    ring.reset();
  }
}

TEST_F(MemoryFaultsTest, ConnectIsRefusedOrTimesOut) {
  for (const bool refused : {true, false}) {
    Begin(refused ? MemoryFaults{.connect_refused = 1000} : MemoryFaults{.connect_timeout = 1000});
    const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
    const SocketId socket = ring->OpenStream(AF_INET).value();
    const std::uint64_t before = network->NowNs();
    Connection connection;
    ring->StartConnect(connection, socket, ring->LocalAddress(listener).value());
    while (!connection.ended) ring->Turn(kWaitForever);
    EXPECT_EQ(connection.outcome.code(), refused ? ECONNREFUSED : ETIMEDOUT);
    if (!refused) {
      EXPECT_GE(network->NowNs(), before + 127 * kNsPerSecond);
    }
    ring->Close(socket);
    ring->Close(listener);
    TearDown();
    ring.reset();
  }
}

// Accepting continues by itself after a failure, with the listener's retry timer where it needs
// that.
TEST_F(MemoryFaultsTest, ListenerSurvivesFailingAccepts) {
  Begin(MemoryFaults{.accept_failure = 500, .spurious_end = 300});
  struct Door final : ListenerHandler {
    explicit Door(Loop& loop) : listener(loop, *this) {}
    void OnAccepted(SocketId socket) override { sockets.push_back(socket); }
    void OnListenerClosed() override { closed = true; }
    Listener listener;
    std::vector<SocketId> sockets;
    bool closed = false;
  } door(*ring);
  ASSERT_TRUE(door.listener.Open(Address::Loopback(0), {}).ok());
  const Address address = door.listener.LocalAddress().value();
  std::vector<SocketId> clients;
  while (door.sockets.size() < 20) {
    Connection connection;
    clients.push_back(ring->OpenStream(AF_INET).value());
    ring->StartConnect(connection, clients.back(), address);
    ASSERT_TRUE(Until([&] { return connection.ended; }));
    for (int i = 0; i < 5; ++i) ring->Turn(100 * kNsPerMs);
  }
  EXPECT_GT(door.listener.retries(), 0u);
  door.listener.Close();
  ASSERT_TRUE(Until([&] { return door.closed; }));
  for (SocketId socket : clients) ring->Close(socket, /*reset=*/true);
  for (SocketId socket : door.sockets) ring->Close(socket, /*reset=*/true);
}

TEST_F(MemoryFaultsTest, CompletionsBeyondTheQueueWait) {
  Begin(MemoryFaults{.one_byte_receives = true}, {.completion_entries = 4});
  Carry(Pattern(200));
  EXPECT_GT(ring->Statistics().completion_overflow, 0u);
}

// Virtual time: what lies hours ahead is reached at once, and only when the test lets time pass.
TEST_F(MemoryFaultsTest, TimeStandsStillUntilItIsMoved) {
  Begin(MemoryFaults{});
  struct Alarm final : Timer {
    void OnTimer() override { fired = true; }
    bool fired = false;
  } alarm;
  while (network->AnyReady() || network->AdvanceToNextEvent()) ring->Turn(0);
  EXPECT_EQ(ring->Turn(kWaitForever), 0u) << "nothing will ever happen: the wait ends";
  const std::uint64_t deadline = network->NowNs() + 10000 * kNsPerSecond;
  ring->StartTimer(alarm, deadline);
  for (int i = 0; i < 10; ++i) ring->Turn(0);
  EXPECT_FALSE(alarm.fired);
  EXPECT_FALSE(ring->Ready());
  EXPECT_EQ(network->NextEventNs(), deadline);
  ASSERT_TRUE(network->AdvanceToNextEvent());
  EXPECT_TRUE(ring->Ready());
  EXPECT_FALSE(alarm.fired) << "advancing calls no handler";
  EXPECT_EQ(ring->Turn(0), 1u);
  EXPECT_TRUE(alarm.fired);
}

TEST_F(MemoryFaultsTest, OptionsOutOfRangeAreRefused) {
  Begin(MemoryFaults{});
  EXPECT_FALSE(CreateMemoryRing(*network, {.receive_buffers = 0}).ok());
  EXPECT_FALSE(CreateMemoryRing(*network, {.receive_buffer_bytes = 0}).ok());
}

}  // namespace
}  // namespace ktlsim::io
