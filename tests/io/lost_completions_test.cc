// The kernel had no memory to keep a completion (EBADR), and nothing says which one. Everything in
// flight ends once, normally or with EIO; accepting continues; no buffer is missing, and operations
// started afterwards work.
#include <cerrno>
#include <memory>

#include <gtest/gtest.h>

#include "tests/io/memory_test_support.h"

namespace ktlsim::io {
namespace {

using Kind = Operation::Kind;

class LostCompletionsTest : public MemoryTest {
 protected:
  // Buffers that the kernel has lost would starve these.
  void ExpectGoodOrder() {
    EXPECT_EQ(ring->Statistics().completions_lost, 1u);
    ring->Close(pair.client);
    ring->Close(pair.server);
    pair = Connect(*ring);
    for (int i = 0; i < 5; ++i) Carry(Pattern(2000));
  }
};

TEST_F(LostCompletionsTest, OfAReceiveEndItAndLeakNoBuffer) {
  for (std::uint64_t skip = 0; skip < 6; ++skip) {
    SCOPED_TRACE(skip);
    Begin(MemoryNetworkOptions{}, {.receive_buffers = 2, .receive_buffer_bytes = 64});
    const std::string text = Pattern(400);
    Receiver receive;
    Sender send;
    network->LoseCompletion(Kind::kReceive, skip);
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(Until([&] { return receive.ended && send.ended; }));
    EXPECT_EQ(receive.end.code(), EIO);
    EXPECT_TRUE(text.starts_with(receive.text)) << "bytes after a gap were reported";
    ExpectGoodOrder();
    TearDown();
    ring.reset();
  }
}

TEST_F(LostCompletionsTest, OfASendEndIt) {
  Begin(MemoryFaults{});
  const std::string text = Pattern(400);
  Receiver receive;
  Sender send;
  network->LoseCompletion(Kind::kSend, 0);
  ring->StartReceive(receive, pair.server);
  ring->StartSend(send, pair.client, AsBytes(text));
  ASSERT_TRUE(Until([&] { return receive.ended && send.ended; }));
  EXPECT_EQ(send.outcome.code(), EIO);
  EXPECT_EQ(receive.end.code(), EIO) << "it might have been this one's";
  ExpectGoodOrder();
}

TEST_F(LostCompletionsTest, OfAConnectEndIt) {
  Begin(MemoryFaults{});
  const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
  const SocketId socket = ring->OpenStream(AF_INET).value();
  Connection connection;
  network->LoseCompletion(Kind::kConnect, 0);
  ring->StartConnect(connection, socket, ring->LocalAddress(listener).value());
  ASSERT_TRUE(Until([&] { return connection.ended; }));
  EXPECT_EQ(connection.outcome.code(), EIO);
  ring->Close(socket);
  ring->Close(listener);
  ExpectGoodOrder();
}

TEST_F(LostCompletionsTest, LeaveAcceptingGoingOn) {
  Begin(MemoryFaults{});
  const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
  Acceptor acceptor;
  network->LoseCompletion(Kind::kAccept, 0);
  ring->StartAccept(acceptor, listener);
  SocketId clients[2];
  for (SocketId& client : clients) {
    Connection connection;
    client = ring->OpenStream(AF_INET).value();
    ring->StartConnect(connection, client, ring->LocalAddress(listener).value());
    ASSERT_TRUE(Until([&] { return connection.ended; }));
    for (int i = 0; i < 10; ++i) ring->Turn(kNsPerMs);
  }
  ASSERT_EQ(acceptor.sockets.size(), 1u) << "the first one was lost, and cannot be found again";
  EXPECT_FALSE(acceptor.ended);
  ring->Cancel(acceptor);
  ASSERT_TRUE(Until([&] { return acceptor.ended; }));
  EXPECT_EQ(acceptor.end.code(), ECANCELED);
  for (const SocketId client : clients) ring->Close(client, /*reset=*/true);
  ring->Close(acceptor.sockets[0], /*reset=*/true);
  ring->Close(listener);
  ExpectGoodOrder();
}

// In whatever place an operation is: cancelled, parked, starved, late.
TEST_F(LostCompletionsTest, EndEverythingOnceOnSeeds) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    MemoryNetworkOptions options;
    options.seed = seed;
    options.faults = {.reorder = 500,
                      .delay = 300,
                      .short_receive = 300,
                      .short_send = 300,
                      .no_buffers = 200,
                      .late_cancel = 500,
                      .spurious_end = 200,
                      .interrupted = 100,
                      .submission_full = 300};
    Begin(options, {.receive_buffers = 2, .receive_buffer_bytes = 64});
    const std::string text = Pattern(1000);
    Receiver receive;
    Sender send;
    network->LoseCompletion(seed % 3 == 0 ? Kind::kSend : Kind::kReceive, seed % 5);
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    for (std::uint64_t i = 0; i < seed % 11; ++i) ring->Turn(seed % 4 * 50 * kNsPerUs);
    if (seed % 2 == 0) {
      ring->Cancel(receive);
      ring->Cancel(send);
    }
    ASSERT_TRUE(
        Until([&] { return send.ended && (receive.ended || receive.text.size() == text.size()); }));
    EXPECT_TRUE(text.starts_with(receive.text));
    network->SetFaults({});
    if (!receive.ended) Cancel(receive);
    TearDown();
    ring.reset();
  }
}

}  // namespace
}  // namespace ktlsim::io
