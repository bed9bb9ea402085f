#include "kernel_sim/transport/server_path.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "io/listener.h"
#include "io/member_timer.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/path_shards.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

// After the library has refused a first leg for overload.
constexpr std::uint64_t kOverloadPauseNs = 10 * kNsPerMs;
// For each handshake that may be in progress, this many more may wait for their peers.
constexpr std::uint64_t kWaitingPerHandshake = 8;
// How often at most unused credentials are looked for.
constexpr std::uint64_t kAgeingNs = kNsPerSecond;

struct AcceptLimits {
  std::uint32_t connections = 0;  // 0: none
  std::uint32_t handshakes = 0;
};

// What new connections are made with; they share it.
struct Generation {
  TlsProfile profile;
  HandlerFactory factory;
  AcceptLimits limits;
};
using GenerationRef = std::shared_ptr<const Generation>;

class ServerShard final : public PathShard, private io::ListenerHandler {
 public:
  ServerShard(io::Loop& loop, PassiveWorker& passive, GenerationRef generation,
              EndObserver* observer, ULONG notify_mode, HandshakeTimes* handshake_times)
      : PathShard(loop, passive, notify_mode, handshake_times),
        generation_(std::move(generation)),
        observer_(observer) {}

  // On the loop. The bound address.
  Result<io::Address> Open(const io::Address& address, const io::ListenOptions& options) {
    Status opened = listener_.Open(address, options);
    if (!opened.ok()) return opened;
    open_ = true;
    return address.is_unix() ? address : listener_.LocalAddress();
  }
  // Only after Open has succeeded.
  io::SocketId listening_socket() const { return listener_.socket(); }

  // On the loop.
  void Replace(GenerationRef generation) {
    generation_ = std::move(generation);
    Gate();
  }

 private:
  void OnAccepted(io::SocketId socket) override {
    TlsConnection* connection = NewConnection(generation_->profile);
    if (connection == nullptr) {
      loop().Close(socket, /*reset=*/true);
      if (!stopping()) OnAcceptFailed(ResourceError("memory for a connection"));
      return;
    }
    connection->set_keeps(generation_);
    if (generation_->profile.credential_source() != nullptr && !ageing_timer_.armed()) {
      loop().StartTimer(ageing_timer_, loop().NowNs() + kAgeingNs);
    }
    ConnectionHandler* handler = MakeHandler(*connection);
    connection->set_handler(handler);
    connection->BeginAccepted(socket);
    if (handler == nullptr) connection->AbortFor(EndKind::kNoMemory);
    Gate();
  }

  // Nothing may be thrown through the loop.
  ConnectionHandler* MakeHandler(Connection& connection) const {
    try {
      return generation_->factory(connection);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  void OnAcceptFailed(const Status& reason) override {
    counters().accepts_failed.Add();
    if (observer_ != nullptr) observer_->OnAcceptFailed(reason);
  }
  void OnListenerClosed() override {
    open_ = false;
    FinishWhenQuiet();
  }

  void OnFewerHandshakes() override { Gate(); }
  void OnConnectionRetired() override { Gate(); }
  void OnRefusedForOverload() override {
    loop().StartTimer(overload_timer_, loop().NowNs() + kOverloadPauseNs);
    Gate();
  }

  void OnConnectionEnded(const Connection& connection, const EndReason& reason) override {
    if (observer_ != nullptr) observer_->OnConnectionEnded(connection, reason);
  }

  void OnStopping() override {
    loop().StopTimer(overload_timer_);
    loop().StopTimer(ageing_timer_);
    if (open_) listener_.Close();
  }
  bool Quiet() const override { return !open_; }

  // From the first connection on, as long as the source keeps credentials.
  void Age() {
    CredentialSource* const source = generation_->profile.credential_source();
    const std::uint64_t more_ns = source != nullptr ? source->FreeUnused() : 0;
    if (more_ns == 0) return;
    loop().StartTimer(ageing_timer_, loop().NowNs() + std::max(more_ns, kAgeingNs));
  }

  // Opens or closes the gate, depending on how much is under way.
  void Gate() {
    if (!open_ || stopping()) return;
    const AcceptLimits& limits = generation_->limits;
    const std::uint64_t connections = counters().connections.value();
    // A slow peer costs no processor time and must not keep others out. It costs memory, though.
    const std::uint64_t free_of_charge = std::min<std::uint64_t>(
        counters().handshakes_waiting.value(), kWaitingPerHandshake * limits.handshakes);
    const std::uint64_t handshakes = counters().handshakes.value() - free_of_charge;
    const bool hold = overload_timer_.armed() ||
                      (limits.connections != 0 && connections >= limits.connections) ||
                      (limits.handshakes != 0 && handshakes >= limits.handshakes);
    if (hold == held_) return;
    held_ = hold;
    if (hold) {
      counters().accepts_held.Add();
      listener_.Pause();
    } else {
      listener_.Resume();
    }
  }

  GenerationRef generation_;
  EndObserver* const observer_;
  io::Listener listener_{loop(), *this};
  io::MemberTimer<&ServerShard::Gate> overload_timer_{*this};
  io::MemberTimer<&ServerShard::Age> ageing_timer_{*this};
  bool open_ = false;
  bool held_ = false;
};

}  // namespace

class ServerPath::Impl {
 public:
  Result<io::Address> Start(const ServerOptions& options, HandlerFactory factory);
  // What Prepare has made for Commit.
  struct Next {
    GenerationRef generation;
    std::vector<ServerShard*> shards;
    std::uint64_t drain_ns = 0;
  };
  Result<std::shared_ptr<const Next>> Prepare(const ServerOptions& options,
                                              HandlerFactory factory) const;
  void Commit(const Next& next);
  PathShards<ServerShard>& shards() { return shards_; }

 private:
  static Result<GenerationRef> MakeGeneration(const ServerOptions& options, HandlerFactory factory,
                                              std::size_t loops);
  Result<io::Address> StartShards(const ServerOptions& options, HandlerFactory factory);

  PathShards<ServerShard> shards_;
};

Result<io::Address> ServerPath::Impl::Start(const ServerOptions& options, HandlerFactory factory) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (!shards_.empty()) return Status(Category::kContract, 0, "the server path runs already");
  Result<io::Address> bound = ResourceError("memory for a path");
  try {
    bound = StartShards(options, std::move(factory));
  } catch (const std::bad_alloc&) {
    KTLSIM_ASSERT(!bound.ok());
  }
  if (!bound) shards_.Stop();
  return bound;
}

Result<io::Address> ServerPath::Impl::StartShards(const ServerOptions& options,
                                                  HandlerFactory factory) {
  Result<std::vector<io::Loop*>> loops = LoopsOfRole(options.role);
  if (!loops) return loops.status();
  Result<GenerationRef> generation = MakeGeneration(options, std::move(factory), (*loops).size());
  if (!generation) return generation.status();
  shards_.set_drain_ns(options.drain_ns);
  io::Address address = options.address;
  io::ListenOptions listen{
      .backlog = options.backlog, .share_port = true, .first_of_port = !options.share_port};
  for (io::Loop* loop : *loops) {
    HandshakeTimes* const times =
        options.handshake_times != nullptr ? &options.handshake_times->On(*loop) : nullptr;
    // Before it listens: from then on only Stop ends it.
    ServerShard& shard = shards_.Add(std::make_unique<ServerShard>(
        *loop, shards_.passive(), *generation, options.observer, options.notify_mode, times));
    Result<io::Address> bound = address;
    RunOnLoop(*loop, [&] { bound = shard.Open(address, listen); });
    if (!bound) return bound;
    // The system may have chosen the first one's port; the others share it.
    address = *bound;
    listen.first_of_port = false;
    if (address.is_unix()) listen.same_as = shards_.first().listening_socket();
  }
  return address;
}

Result<GenerationRef> ServerPath::Impl::MakeGeneration(const ServerOptions& options,
                                                       HandlerFactory factory, std::size_t loops) {
  Result<TlsProfile> profile = TlsProfile::Create(TlsProfile::Side::kServer, options.tls);
  if (!profile) return profile.status();
  const auto count = static_cast<std::uint32_t>(loops);
  const AcceptLimits limits{.connections = (options.max_connections + count - 1) / count,
                            .handshakes = options.max_handshakes_per_processor};
  return GenerationRef(std::make_shared<const Generation>(
      Generation{std::move(*profile), std::move(factory), limits}));
}

Result<std::shared_ptr<const ServerPath::Impl::Next>> ServerPath::Impl::Prepare(
    const ServerOptions& options, HandlerFactory factory) const {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  auto next = std::make_shared<Next>();
  next->shards = shards_.All();
  if (next->shards.empty()) return Status(Category::kContract, 0, "the server path does not run");
  Result<GenerationRef> generation =
      MakeGeneration(options, std::move(factory), next->shards.size());
  if (!generation) return generation.status();
  next->generation = std::move(*generation);
  next->drain_ns = options.drain_ns;
  return std::shared_ptr<const Next>(std::move(next));
}

void ServerPath::Impl::Commit(const Next& next) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  shards_.set_drain_ns(next.drain_ns);
  for (ServerShard* shard : next.shards) {
    RunOnLoop(shard->loop(), [&] { shard->Replace(next.generation); });
  }
}

ServerPath::ServerPath() : impl_(std::make_unique<Impl>()) {}
ServerPath::~ServerPath() { impl_->shards().Stop(); }
Result<io::Address> ServerPath::Start(const ServerOptions& options, HandlerFactory factory) {
  return impl_->Start(options, std::move(factory));
}
Status ServerPath::Replace(const ServerOptions& options, HandlerFactory factory) {
  const Result<Replacement> replacement = Prepare(options, std::move(factory));
  if (!replacement.ok()) return replacement.status();
  Commit(replacement.value());
  return {};
}
Result<ServerPath::Replacement> ServerPath::Prepare(const ServerOptions& options,
                                                    HandlerFactory factory) const {
  try {
    auto next = impl_->Prepare(options, std::move(factory));
    if (!next) return next.status();
    Replacement replacement;
    replacement.content_ = std::move(*next);
    return replacement;
  } catch (const std::bad_alloc&) {
    return ResourceError("memory for a path");
  }
}
void ServerPath::Commit(const Replacement& replacement) {
  impl_->Commit(*static_cast<const Impl::Next*>(replacement.content_.get()));
}
void ServerPath::BeginStop() { impl_->shards().BeginStop(); }
bool ServerPath::Drained() const { return impl_->shards().Drained(); }
void ServerPath::Stop() { impl_->shards().Stop(); }
TransportStatistics ServerPath::Statistics() const { return impl_->shards().Statistics(); }

}  // namespace ktlsim::transport
