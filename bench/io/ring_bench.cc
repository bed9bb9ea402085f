// What does the bare ring cost: one echo round trip over loopback with both ends on one ring, one
// turn that finds nothing, one posted item, one connection from open to closed?
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include <benchmark/benchmark.h>

#include "io/uring.h"

namespace ktlsim::io {
namespace {

class Acceptor : public AcceptOperation {
 public:
  void OnAccepted(SocketId accepted) override { socket = accepted; }
  void OnAcceptEnded(Status) override {}
  SocketId socket = kNoSocket;
};

class Connection : public ConnectOperation {
 public:
  void OnConnected(Status outcome) override { connected = outcome.ok(); }
  bool connected = false;
};

class Sender : public SendOperation {
 public:
  void OnSent(Status) override {}
};

// Counts what arrives; the echoing end sends it back from the buffer it came in.
class Receiver : public ReceiveOperation {
 public:
  void OnReceived(BufferLease lease) override {
    received += lease.bytes().size();
    if (echo == nullptr || received < expected) return;
    received = 0;
    echo->StartSend(sender, socket, answer);
  }
  void OnReceiveEnded(Status) override {}
  Ring* echo = nullptr;
  Sender sender;
  SocketId socket = kNoSocket;
  std::span<const std::byte> answer;
  std::size_t expected = 0;
  std::size_t received = 0;
};

std::unique_ptr<Ring> MakeRing(benchmark::State& state) {
  Result<std::unique_ptr<Ring>> ring = CreateUring({});
  if (ring) return std::move(*ring);
  state.SkipWithError(LastProbeText().c_str());
  return nullptr;
}

struct Listening {
  explicit Listening(Ring& on) : ring(on) {
    socket = ring.Listen(Address::Loopback(0), {}).value();
    address = ring.LocalAddress(socket).value();
    ring.StartAccept(acceptor, socket);
  }
  ~Listening() {
    ring.Cancel(acceptor);
    while (acceptor.in_flight()) ring.Turn(kWaitForever);
    ring.Close(socket);
  }
  Ring& ring;
  Acceptor acceptor;
  SocketId socket = kNoSocket;
  Address address;
};

void Finish(Ring& ring, Operation& operation) {
  ring.Cancel(operation);
  while (operation.in_flight()) ring.Turn(kWaitForever);
}

void ReportRing(benchmark::State& state, const RingStatistics& before, const RingStatistics& now) {
  const auto each = [&](std::uint64_t from, std::uint64_t to) {
    return benchmark::Counter(static_cast<double>(to - from), benchmark::Counter::kAvgIterations);
  };
  state.counters["enters"] = each(before.enters, now.enters);
  state.counters["submitted"] = each(before.submitted, now.submitted);
  state.counters["completed"] = each(before.completed, now.completed);
}

void BM_RingEcho(benchmark::State& state) {
  auto ring = MakeRing(state);
  if (ring == nullptr) return;
  const std::string bytes(static_cast<std::size_t>(state.range(0)), 'x');
  const auto payload = std::as_bytes(std::span(bytes.data(), bytes.size()));
  {
    Listening listening(*ring);
    Connection connection;
    const SocketId client = ring->OpenStream(AF_INET).value();
    ring->StartConnect(connection, client, listening.address);
    while (listening.acceptor.socket == kNoSocket || !connection.connected) {
      ring->Turn(kWaitForever);
    }
    const SocketId server = listening.acceptor.socket;
    Receiver at_server;
    at_server.echo = ring.get();
    at_server.socket = server;
    at_server.answer = payload;
    at_server.expected = payload.size();
    Receiver at_client;
    Sender sender;
    ring->StartReceive(at_server, server);
    ring->StartReceive(at_client, client);
    ring->Turn(0);
    const RingStatistics before = ring->Statistics();
    for (auto _ : state) {
      at_client.received = 0;
      ring->StartSend(sender, client, payload);
      while (at_client.received < payload.size() || sender.in_flight() ||
             at_server.sender.in_flight()) {
        ring->Turn(kWaitForever);
      }
    }
    ReportRing(state, before, ring->Statistics());
    Finish(*ring, at_server);
    Finish(*ring, at_client);
    ring->Close(client, /*reset=*/true);
    ring->Close(server, /*reset=*/true);
  }
  state.SetBytesProcessed(state.iterations() * 2 * state.range(0));
}
BENCHMARK(BM_RingEcho)->ArgName("bytes")->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536);

void BM_RingConnection(benchmark::State& state) {
  auto ring = MakeRing(state);
  if (ring == nullptr) return;
  {
    Listening listening(*ring);
    const RingStatistics before = ring->Statistics();
    for (auto _ : state) {
      listening.acceptor.socket = kNoSocket;
      Connection connection;
      const SocketId client = ring->OpenStream(AF_INET).value();
      ring->StartConnect(connection, client, listening.address);
      while (listening.acceptor.socket == kNoSocket || connection.in_flight()) {
        ring->Turn(kWaitForever);
      }
      ring->Close(client, /*reset=*/true);
      ring->Close(listening.acceptor.socket, /*reset=*/true);
    }
    ReportRing(state, before, ring->Statistics());
  }
}
BENCHMARK(BM_RingConnection);

void BM_RingIdleTurn(benchmark::State& state) {
  auto ring = MakeRing(state);
  if (ring == nullptr) return;
  for (auto _ : state) ring->Turn(0);
}
BENCHMARK(BM_RingIdleTurn);

void BM_RingTimerRestart(benchmark::State& state) {
  auto ring = MakeRing(state);
  if (ring == nullptr) return;
  struct Idle : Timer {
    void OnTimer() override {}
  };
  std::vector<Idle> timers(static_cast<std::size_t>(state.range(0)));
  std::uint64_t deadline = ring->NowNs() + 3'600'000'000'000;
  for (Idle& timer : timers) ring->StartTimer(timer, deadline += 1'000'000);
  std::size_t next = 0;
  for (auto _ : state) {
    ring->StartTimer(timers[next], deadline += 1'000'000);
    next = (next + 1) % timers.size();
  }
  for (Idle& timer : timers) ring->StopTimer(timer);
}
BENCHMARK(BM_RingTimerRestart)->ArgName("armed")->Arg(1)->Arg(10000);

struct Nothing : WorkItem {
  Nothing() : WorkItem([](WorkItem&) {}) {}
};

void BM_PostFromOwnThread(benchmark::State& state) {
  auto ring = MakeRing(state);
  if (ring == nullptr) return;
  Nothing item;
  for (auto _ : state) {
    ring->Post(item);
    ring->Turn(0);
  }
}
BENCHMARK(BM_PostFromOwnThread);

struct Pong : WorkItem {
  Pong()
      : WorkItem([](WorkItem& item) {
          static_cast<Pong&>(item).answered.store(true, std::memory_order_release);
        }) {}
  std::atomic<bool> answered{false};
};

// From another thread until the item has run. asleep:1 waits in the kernel, asleep:0 turns without
// pause, which needs a core of its own.
void BM_PostFromOtherThread(benchmark::State& state) {
  const bool sleeps = state.range(0) != 0;
  std::atomic<Ring*> shared{nullptr};
  std::atomic<bool> stop{false};
  std::thread loop([&] {
    Result<std::unique_ptr<Ring>> ring = CreateUring({});
    shared = ring.value().get();
    shared.notify_one();
    while (!stop.load(std::memory_order_relaxed)) (*ring)->Turn(sleeps ? kWaitForever : 0);
  });
  shared.wait(nullptr);
  Pong item;
  for (auto _ : state) {
    item.answered.store(false, std::memory_order_relaxed);
    shared.load()->Post(item);
    while (!item.answered.load(std::memory_order_acquire)) {
    }
  }
  state.counters["wakes"] =
      benchmark::Counter(static_cast<double>(shared.load()->Statistics().wakes_sent),
                         benchmark::Counter::kAvgIterations);
  stop = true;
  Nothing last;
  shared.load()->Post(last);
  loop.join();
}
BENCHMARK(BM_PostFromOtherThread)->ArgName("asleep")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace ktlsim::io
