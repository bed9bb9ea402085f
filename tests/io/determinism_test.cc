// The same seed gives the same run: three rings, many streams and timers, every fault at once.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/connector.h"
#include "io/listener.h"
#include "io/stream.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

// One end of a connection: sends some messages, and closes at the end or when time is over.
class End final : public StreamHandler, public Timer {
 public:
  End(Loop& loop, SocketId socket, int messages)
      : loop_(loop), stream_(loop, socket, *this), messages_(messages) {
    loop_.StartTimer(*this, loop_.NowNs() + 20 * kNsPerMs);
    stream_.ResumeReceiving();
    SendNext();
  }
  void OnReceived(BufferLease) override {}
  void OnReceiveEnded(Status) override { Finish(Stream::CloseMode::kGraceful); }
  void OnSent(Status outcome) override {
    if (outcome.ok()) {
      SendNext();
    } else {
      Finish(Stream::CloseMode::kReset);
    }
  }
  void OnClosed() override { closed = true; }
  void OnTimer() override { Finish(Stream::CloseMode::kReset); }
  bool closed = false;

 private:
  void SendNext() {
    if (messages_-- <= 0) {
      stream_.ShutdownSend();
      return;
    }
    stream_.Send(AsBytes(message_));
  }
  void Finish(Stream::CloseMode mode) {
    loop_.StopTimer(*this);
    stream_.Close(mode);
  }

  Loop& loop_;
  const std::string message_ = Pattern(20000);
  Stream stream_;
  int messages_;
};

// A ring with a listener, and with connectors to the listener of the next ring.
class Node final : public ListenerHandler {
 public:
  explicit Node(MemoryRing& ring) : ring_(ring), listener_(ring, *this) {
    EXPECT_TRUE(listener_.Open(Address::Loopback(0), {.backlog = 2}).ok());
  }
  void Call(const Address& peer) {
    for (int i = 0; i < 5; ++i) {
      callers_.push_back(std::make_unique<Caller>(*this, i));
      callers_.back()->connector.Connect(peer);
    }
  }
  void OnAccepted(SocketId socket) override {
    ends_.push_back(std::make_unique<End>(ring_, socket, 2));
  }
  void OnListenerClosed() override { closed_ = true; }
  Address address() { return listener_.LocalAddress().value(); }
  bool Called() const {
    for (const auto& caller : callers_) {
      if (caller->connector.connecting()) return false;
    }
    return true;
  }
  void Close() { listener_.Close(); }
  bool Closed() const {
    for (const auto& end : ends_) {
      if (!end->closed) return false;
    }
    return closed_;
  }

 private:
  struct Caller final : ConnectHandler {
    Caller(Node& to, int count) : connector(to.ring_, *this), node(to), messages(count) {}
    void OnConnected(Status outcome, SocketId socket) override {
      if (outcome.ok()) node.ends_.push_back(std::make_unique<End>(node.ring_, socket, messages));
    }
    Connector connector;
    Node& node;
    int messages;
  };

  MemoryRing& ring_;
  Listener listener_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::vector<std::unique_ptr<End>> ends_;
  bool closed_ = false;
};

struct Story {
  std::uint64_t hash = 0;
  std::string text;
};

// A small scheduler: turns any ring that is ready, in an order of its own.
bool Schedule(MemoryNetwork& network, SeededRandom& random, const std::function<bool()>& done) {
  for (int steps = 0; !done(); ++steps) {
    if (steps > 1000000) return false;
    std::vector<MemoryRing*> ready;
    for (MemoryRing* ring : network.rings()) {
      if (ring->Ready()) ready.push_back(ring);
    }
    if (!ready.empty()) {
      ready[random.Below(ready.size())]->Turn(0);
    } else if (!network.AdvanceToNextEvent()) {
      return false;
    }
  }
  return true;
}

Story RunOnce(std::uint64_t seed) {
  MemoryNetworkOptions options;
  options.seed = seed;
  options.keep_trace = true;
  options.faults = MemoryFaults::All();
  options.connect_timeout_ns = 3 * kNsPerSecond;
  MemoryNetwork network(options);
  SeededRandom random(seed + 1);
  {
    std::vector<std::unique_ptr<MemoryRing>> rings;
    std::vector<std::unique_ptr<Node>> nodes;
    for (int i = 0; i < 3; ++i) {
      rings.push_back(CreateMemoryRing(network, {.receive_buffers = 4}).value());
      nodes.push_back(std::make_unique<Node>(*rings.back()));
    }
    for (std::size_t i = 0; i < 3; ++i) nodes[i]->Call(nodes[(i + 1) % 3]->address());
    const auto all = [&](bool (Node::*is)() const) {
      return [&nodes, is] {
        for (const auto& node : nodes) {
          if (!((*node).*is)()) return false;
        }
        return true;
      };
    };
    EXPECT_TRUE(Schedule(network, random, all(&Node::Called))) << "seed " << seed;
    for (const auto& node : nodes) node->Close();
    EXPECT_TRUE(Schedule(network, random, all(&Node::Closed))) << "seed " << seed;
    for (const auto& ring : rings) {
      const RingStatistics left = ring->Statistics();
      EXPECT_EQ(left.operations + left.sockets + left.buffers_lent + left.timers, 0u)
          << "seed " << seed;
    }
  }
  return {network.TraceHash(), network.TraceText()};
}

TEST(DeterminismTest, OneSeedIsOneRun) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Story first = RunOnce(seed);
    const Story second = RunOnce(seed);
    ASSERT_EQ(first.hash, second.hash) << "seed " << seed;
    ASSERT_TRUE(first.text == second.text) << "seed " << seed;
    EXPECT_FALSE(first.text.empty());
    hashes.insert(first.hash);
  }
  EXPECT_EQ(hashes.size(), 200u) << "other seeds, other runs";
}

}  // namespace
}  // namespace ktlsim::io
