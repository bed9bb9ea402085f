#include "tests/transport/seeded_machine.h"

#include <optional>
#include <span>
#include <utility>

#include <gtest/gtest.h>

#include "io/connector.h"
#include "io/stream.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::test {
namespace {

// Far beyond what any test needs; reached only by a bug.
constexpr std::uint64_t kStepsMax = 20'000'000;

io::MemoryNetworkOptions WithOwnSeed(io::MemoryNetworkOptions options) {
  options.seed ^= 0x6e6574;
  return options;
}

}  // namespace

io::MemoryFaults HarmlessFaults() {
  return {.reorder = 300,
          .delay = 100,
          .short_receive = 300,
          .short_send = 200,
          .no_buffers = 100,
          .late_cancel = 300,
          .spurious_end = 100,
          .interrupted = 100,
          .submission_full = 100};
}

// A blocking socket: each call steps the machine until it is over.
class SeededMachine::Peer final : private io::ConnectHandler, private io::StreamHandler {
 public:
  Peer(SeededMachine& machine, const io::Address& address)
      : machine_(machine), connector_(*machine.peer_ring_, *this) {
    connector_.Connect(address);
    if (!machine_.RunUntil([this] { return connected_; })) return;
    EXPECT_TRUE(stream_.has_value()) << "the peer could not connect";
  }
  bool closed() const { return !stream_.has_value(); }

  void Send(const Bytes& bytes) {
    if (!stream_ || stream_->closing() || send_failed_ || bytes.empty()) return;
    sending_ = true;
    stream_->Send(std::as_bytes(std::span(bytes)));
    static_cast<void>(machine_.RunUntil([this] { return !sending_ || !stream_; }));
  }
  Bytes ReceiveSome() {
    if (!stream_ || stream_->closing()) return {};
    if (!ended_) stream_->ResumeReceiving();
    static_cast<void>(machine_.RunUntil([this] { return !inbox_.empty() || ended_; }));
    if (!ended_) stream_->PauseReceiving();
    return std::exchange(inbox_, {});
  }
  void Fin() {
    if (stream_ && !stream_->closing()) stream_->ShutdownSend();
  }
  void Close(io::Stream::CloseMode mode) {
    if (stream_ && !stream_->closing()) stream_->Close(mode);
  }

 private:
  void OnConnected(Status, io::SocketId socket) override {
    connected_ = true;
    if (socket != io::kNoSocket) {
      stream_.emplace(*machine_.peer_ring_, socket, static_cast<io::StreamHandler&>(*this));
    }
  }
  void OnReceived(io::BufferLease lease) override {
    const auto* bytes = reinterpret_cast<const unsigned char*>(lease.bytes().data());
    inbox_.insert(inbox_.end(), bytes, bytes + lease.bytes().size());
  }
  void OnReceiveEnded(Status) override { ended_ = true; }
  void OnSent(Status outcome) override {
    sending_ = false;
    send_failed_ = !outcome.ok();
  }
  void OnClosed() override { stream_.reset(); }

  SeededMachine& machine_;
  io::Connector connector_;
  std::optional<io::Stream> stream_;
  Bytes inbox_;
  bool connected_ = false;
  bool ended_ = false;
  bool sending_ = false;
  bool send_failed_ = false;
};

// The peer itself stays with the machine, until its socket has closed.
class SeededMachine::PeerHandle final : public PeerSocket {
 public:
  explicit PeerHandle(Peer& peer) : peer_(peer) {}
  ~PeerHandle() override { PeerHandle::Close(); }
  void Send(const Bytes& bytes) override { peer_.Send(bytes); }
  Bytes ReceiveSome() override { return peer_.ReceiveSome(); }
  void Fin() override { peer_.Fin(); }
  void Reset() override { peer_.Close(io::Stream::CloseMode::kReset); }
  void Close() override { peer_.Close(io::Stream::CloseMode::kGraceful); }

 private:
  Peer& peer_;
};

SeededMachine::SeededMachine(const SeededMachineOptions& options)
    : network_(WithOwnSeed(options.network)),
      random_(options.network.seed ^ 0x74657374),
      scheduler_(
          options.network.seed,
          {.ready = [](io::Ring& ring) { return static_cast<io::MemoryRing&>(ring).Ready(); },
           .advance_time = [this] { return network_.AdvanceToNextEvent(); }}),
      deterministic_(options.network.seed, network_),
      stepping_(scheduler_.AsStep(), [this](WorkItem& item) {
        passive_.push_back(&item);
        scheduler_.AddActor("passive", [this] {
          WorkItem* next = passive_.front();
          passive_.pop_front();
          next->Run();
          return false;
        });
      }) {
  // A runtime of another test in this program would be in the way.
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  executive::ExecutiveOptions runtime;
  runtime.processors = options.processors;
  runtime.roles = options.roles;
  runtime.placement = options.placement;
  runtime.crypto_processors = options.crypto_processors;
  runtime.queue_depth = options.queue_depth;
  runtime.ring_factory = [this,
                          ring_options = options.ring]() -> Result<std::unique_ptr<io::Ring>> {
    Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, ring_options);
    if (!ring.ok()) return ring.status();
    return std::unique_ptr<io::Ring>(std::move(*ring));
  };
  runtime.step = scheduler_.AsStep();
  EXPECT_EQ(sspi::Runtime::Instance().Start(runtime), SEC_E_OK);
  scheduler_.Attach(*sspi::Runtime::Instance().ExecutiveIfRunning());
  Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, {});
  KTLSIM_CHECK(ring.ok());
  peer_ring_ = std::move(*ring);
  scheduler_.AddRing("peer", *peer_ring_);
}

SeededMachine::~SeededMachine() {
  for (const auto& peer : peers_) peer->Close(io::Stream::CloseMode::kGraceful);
  EXPECT_TRUE(RunUntil([this] {
    for (const auto& peer : peers_) {
      if (!peer->closed()) return false;
    }
    return true;
  }));
  ExpectQuiet();
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
}

bool SeededMachine::RunUntil(const std::function<bool()>& done) {
  for (std::uint64_t steps = 0; !done(); ++steps) {
    if (!scheduler_.Step()) {
      ADD_FAILURE() << "no actor can move any more";
      return false;
    }
    if (steps == kStepsMax) {
      ADD_FAILURE() << "runs without end";
      return false;
    }
  }
  return true;
}

void SeededMachine::RunFor(std::uint64_t duration_ns) {
  struct Alarm final : io::Timer {
    void OnTimer() override { rang = true; }
    bool rang = false;
  } alarm;
  peer_ring_->StartTimer(alarm, network_.NowNs() + duration_ns);
  static_cast<void>(RunUntil([&] { return alarm.rang; }));
}

std::unique_ptr<PeerSocket> SeededMachine::Dial(const io::Address& address) {
  peers_.push_back(std::make_unique<Peer>(*this, address));
  return std::make_unique<PeerHandle>(*peers_.back());
}

std::vector<std::vector<std::byte>> SeededMachine::Wire() const {
  std::vector<std::vector<std::byte>> wire;
  for (std::uint64_t i = 0; i < network_.connections(); ++i) {
    wire.push_back(network_.Wire(i, /*from_client=*/true));
    wire.push_back(network_.Wire(i, /*from_client=*/false));
  }
  return wire;
}

void SeededMachine::ExpectQuiet() {
  KtlsimStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  const auto look = [&] {
    EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    return statistics.cInFlight == 0;
  };
  // Deletions of contexts are fire and forget.
  EXPECT_TRUE(RunUntil(look));
  EXPECT_EQ(statistics.cAccepted, statistics.cCompleted);
  EXPECT_EQ(statistics.cSuspended, 0U);
  EXPECT_EQ(statistics.cSecurityContexts, 0U);
  EXPECT_EQ(statistics.cAsyncContexts, 0U);
  EXPECT_EQ(statistics.cMisuse, 0U);
  EXPECT_TRUE(passive_.empty());
  for (const io::MemoryRing* ring : network_.rings()) {
    const io::RingStatistics left = ring->Statistics();
    EXPECT_EQ(left.operations, 0U) << "ring " << ring->number();
    EXPECT_EQ(left.sockets, 0U) << "ring " << ring->number();
    EXPECT_EQ(left.buffers_lent, 0U) << "ring " << ring->number();
    EXPECT_EQ(left.timers, 0U) << "ring " << ring->number();
  }
}

}  // namespace ktlsim::test
