#include "kernel_sim/transport/server_path.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "io/listener.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

// After the library has refused a first leg for overload.
constexpr std::uint64_t kOverloadPauseNs = 10 * kNsPerMs;

struct AcceptLimits {
  std::uint32_t connections = 0;  // 0: none
  std::uint32_t handshakes = 0;
};

class ServerShard final : public PathShard, private io::ListenerHandler {
 public:
  ServerShard(io::Loop& loop, PassiveWorker& passive, const TlsProfile& profile,
              const HandlerFactory& factory, AcceptLimits limits)
      : PathShard(loop, passive), profile_(profile), factory_(factory), limits_(limits) {}

  // On the loop. The bound address.
  Result<io::Address> Open(const io::Address& address, int backlog) {
    Status opened = listener_.Open(address, {.backlog = backlog, .share_port = true});
    if (!opened.ok()) return opened;
    open_ = true;
    return listener_.LocalAddress();
  }

 private:
  class OverloadTimer final : public io::Timer {
   public:
    explicit OverloadTimer(ServerShard& shard) : shard_(shard) {}
    void OnTimer() override { shard_.Gate(); }

   private:
    ServerShard& shard_;
  };

  void OnAccepted(io::SocketId socket) override {
    TlsConnection* connection = NewConnection(profile_);
    if (connection == nullptr) {
      loop().Close(socket, /*reset=*/true);
      return;
    }
    ConnectionHandler* handler = factory_(*connection);
    connection->set_handler(handler);
    connection->BeginAccepted(socket);
    if (handler == nullptr) connection->Abort();
    Gate();
  }

  void OnListenerClosed() override {
    open_ = false;
    FinishWhenQuiet();
  }

  void OnHandshakeOver() override { Gate(); }
  void OnConnectionRetired() override { Gate(); }
  void OnRefusedForOverload() override {
    loop().StartTimer(overload_timer_, loop().NowNs() + kOverloadPauseNs);
    Gate();
  }

  void OnStopping() override {
    loop().StopTimer(overload_timer_);
    if (open_) listener_.Close();
  }
  bool Quiet() const override { return !open_; }

  // Opens or closes the gate, by what is going on behind it.
  void Gate() {
    if (!open_ || stopping()) return;
    const std::uint64_t connections = counters().connections.value();
    const std::uint64_t handshakes = counters().handshakes.value();
    const bool hold = overload_timer_.armed() ||
                      (limits_.connections != 0 && connections >= limits_.connections) ||
                      (limits_.handshakes != 0 && handshakes >= limits_.handshakes);
    if (hold == held_) return;
    held_ = hold;
    if (hold) {
      counters().accepts_held.Add();
      listener_.Pause();
    } else {
      listener_.Resume();
    }
  }

  const TlsProfile& profile_;
  const HandlerFactory& factory_;
  const AcceptLimits limits_;
  io::Listener listener_{loop(), *this};
  OverloadTimer overload_timer_{*this};
  bool open_ = false;
  bool held_ = false;
};

}  // namespace

class ServerPath::Impl {
 public:
  Result<io::Address> Start(ServerOptions options, HandlerFactory factory);
  void Stop();
  TransportStatistics Statistics() const;

 private:
  std::optional<TlsProfile> profile_;
  HandlerFactory factory_;
  std::uint64_t drain_ns_ = 0;
  bool started_ = false;
  PassiveWorker passive_;

  mutable Mutex mutex_;
  std::vector<std::unique_ptr<ServerShard>> shards_ KTLSIM_GUARDED_BY(mutex_);
  TransportStatistics finished_ KTLSIM_GUARDED_BY(mutex_);
};

Result<io::Address> ServerPath::Impl::Start(ServerOptions options, HandlerFactory factory) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (started_) return Status(Category::kContract, 0, "the server path runs already");
  Result<TlsProfile> profile = TlsProfile::Create(TlsProfile::Side::kServer, options.tls);
  if (!profile) return profile.status();
  Result<std::vector<io::Loop*>> loops = LoopsOfRole(options.role);
  if (!loops) return loops.status();
  started_ = true;
  profile_.emplace(std::move(*profile));
  factory_ = std::move(factory);
  drain_ns_ = options.drain_ns;
  const auto count = static_cast<std::uint32_t>((*loops).size());
  const AcceptLimits limits{.connections = (options.max_connections + count - 1) / count,
                            .handshakes = options.max_handshakes_per_processor};
  io::Address address = options.address;
  for (io::Loop* loop : *loops) {
    auto shard = std::make_unique<ServerShard>(*loop, passive_, *profile_, factory_, limits);
    Result<io::Address> bound = address;
    RunOnLoop(*loop, [&] { bound = shard->Open(address, options.backlog); });
    {
      MutexLock lock(mutex_);
      shards_.push_back(std::move(shard));
    }
    if (!bound) {
      Stop();
      return bound.status();
    }
    // The first of them may have had a port chosen; the others share it.
    address = *bound;
  }
  return address;
}

void ServerPath::Impl::Stop() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  std::vector<PathShard*> shards;
  {
    MutexLock lock(mutex_);
    for (const auto& shard : shards_) shards.push_back(shard.get());
  }
  StopShards(shards, drain_ns_);
  MutexLock lock(mutex_);
  for (const auto& shard : shards_) finished_ += shard->Statistics();
  shards_.clear();
  finished_.async_contexts = 0;  // the pooled ones went with the shards
  started_ = false;
}

TransportStatistics ServerPath::Impl::Statistics() const {
  MutexLock lock(mutex_);
  TransportStatistics statistics = finished_;
  for (const auto& shard : shards_) statistics += shard->Statistics();
  return statistics;
}

ServerPath::ServerPath() : impl_(std::make_unique<Impl>()) {}
ServerPath::~ServerPath() { impl_->Stop(); }
Result<io::Address> ServerPath::Start(ServerOptions options, HandlerFactory factory) {
  return impl_->Start(std::move(options), std::move(factory));
}
void ServerPath::Stop() { impl_->Stop(); }
TransportStatistics ServerPath::Statistics() const { return impl_->Statistics(); }

}  // namespace ktlsim::transport
