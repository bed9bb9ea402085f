// Helpers of the io tests: operations that record their handler calls, and rings that turn until a
// condition holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "io/uring.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::io {

// Far beyond what any test needs; reached only by a bug.
inline constexpr std::uint64_t kPatienceNs = 60 * kNsPerSecond;

inline std::unique_ptr<Ring> MakeRing(const UringOptions& options = {}) {
  Result<std::unique_ptr<Ring>> ring = CreateUring(options);
  if (!ring) ADD_FAILURE() << LastProbeText();
  return ring ? std::move(*ring) : nullptr;
}

// Sleeps in the ring while nothing happens; in virtual time on the in-memory one.
[[nodiscard]] inline bool TurnUntil(Ring& ring, const std::function<bool()>& done) {
  const std::uint64_t deadline = ring.NowNs() + kPatienceNs;
  while (!done()) {
    if (ring.NowNs() > deadline) return false;
    ring.Turn(kNsPerSecond);
  }
  return true;
}

enum class RingKind { kReal, kMemory };

// The same tests on the real ring and on the in-memory one, there without faults.
class RingUnderTest : public ::testing::TestWithParam<RingKind> {
 protected:
  bool real() const { return GetParam() == RingKind::kReal; }

  // In-memory rings of one test share one network.
  std::unique_ptr<Ring> MakeRing(const UringOptions& options = {}) {
    if (real()) return io::MakeRing(options);
    if (network_ == nullptr) network_ = std::make_unique<MemoryNetwork>(MemoryNetworkOptions{});
    const MemoryRingOptions memory{.submission_entries = options.submission_entries,
                                   .completion_entries = options.completion_entries,
                                   .receive_buffers = options.receive_buffers,
                                   .receive_buffer_bytes = options.receive_buffer_bytes};
    return CreateMemoryRing(*network_, memory).value();
  }
  // Null on the real ring.
  MemoryNetwork* network() const { return network_.get(); }

 private:
  std::unique_ptr<MemoryNetwork> network_;
};

#define KTLSIM_ON_BOTH_RINGS(suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(, suite, ::testing::Values(RingKind::kReal, RingKind::kMemory), \
                           [](const ::testing::TestParamInfo<RingKind>& kind) {            \
                             return kind.param == RingKind::kReal ? "Real" : "Memory";     \
                           })

class Acceptor : public AcceptOperation {
 public:
  void OnAccepted(SocketId socket) override { sockets.push_back(socket); }
  void OnAcceptEnded(Status reason) override {
    ended = true;
    end = reason;
  }
  std::vector<SocketId> sockets;
  bool ended = false;
  Status end;
};

class Connection : public ConnectOperation {
 public:
  void OnConnected(Status status) override {
    ended = true;
    outcome = status;
  }
  bool ended = false;
  Status outcome;
};

class Receiver : public ReceiveOperation {
 public:
  void OnReceived(BufferLease lease) override {
    EXPECT_FALSE(ended);
    text.append(reinterpret_cast<const char*>(lease.bytes().data()), lease.bytes().size());
    if (hold) held.push_back(std::move(lease));
  }
  void OnReceiveEnded(Status reason) override {
    ended = true;
    end = reason;
  }
  std::string text;
  std::vector<BufferLease> held;
  bool hold = false;
  bool ended = false;
  Status end;
};

class Sender : public SendOperation {
 public:
  void OnSent(Status status) override {
    EXPECT_FALSE(ended);
    ended = true;
    outcome = status;
  }
  bool ended = false;
  Status outcome;
};

inline std::span<const std::byte> AsBytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Two connected sockets of one ring.
struct Pair {
  SocketId client = kNoSocket;
  SocketId server = kNoSocket;
};

inline Pair Connect(Ring& ring) {
  Pair pair;
  const SocketId listener = ring.Listen(Address::Loopback(0), {}).value();
  Acceptor acceptor;
  Connection connection;
  ring.StartAccept(acceptor, listener);
  pair.client = ring.OpenStream(AF_INET).value();
  ring.StartConnect(connection, pair.client, ring.LocalAddress(listener).value());
  EXPECT_TRUE(TurnUntil(ring, [&] { return connection.ended && !acceptor.sockets.empty(); }));
  EXPECT_TRUE(connection.outcome.ok()) << connection.outcome.ToString();
  pair.server = acceptor.sockets.at(0);
  ring.Cancel(acceptor);
  EXPECT_TRUE(TurnUntil(ring, [&] { return acceptor.ended; }));
  EXPECT_EQ(acceptor.end.code(), ECANCELED);
  ring.Close(listener);
  return pair;
}

// Bytes that differ from place to place.
inline std::string Pattern(std::size_t length) {
  std::string text(length, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace ktlsim::io
