#include "kernel_sim/transport/client_path.h"

#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

class ClientPath::Impl {
 public:
  Status Start(const ClientPathOptions& options);
  void Stop();
  Connection* Connect(io::Loop& loop, const io::Address& peer, const TlsProfile& profile,
                      ConnectionHandler& handler);
  TransportStatistics Statistics() const;
  const std::vector<io::Loop*>& loops() const { return loops_; }

 private:
  // Fixed between Start and Stop.
  std::vector<io::Loop*> loops_;
  std::vector<std::unique_ptr<PathShard>> shards_;  // one for each loop
  std::uint64_t drain_ns_ = 0;
  PassiveWorker passive_;

  // Statistics may be asked for while the above changes.
  mutable Mutex mutex_;
  TransportStatistics finished_ KTLSIM_GUARDED_BY(mutex_);
};

Status ClientPath::Impl::Start(const ClientPathOptions& options) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (!loops_.empty()) return Status(Category::kContract, 0, "the client path runs already");
  Result<std::vector<io::Loop*>> loops = LoopsOfRole(options.role);
  if (!loops) return loops.status();
  std::vector<std::unique_ptr<PathShard>> shards;
  try {
    for (io::Loop* loop : *loops) {
      shards.push_back(std::make_unique<PathShard>(*loop, passive_, options.notify_mode));
    }
  } catch (const std::bad_alloc&) {
    return ResourceError("memory for a path");
  }
  MutexLock lock(mutex_);
  shards_ = std::move(shards);
  loops_ = std::move(*loops);
  drain_ns_ = options.drain_ns;
  return {};
}

Connection* ClientPath::Impl::Connect(io::Loop& loop, const io::Address& peer,
                                      const TlsProfile& profile, ConnectionHandler& handler) {
  KTLSIM_ASSERT(loop.IsCurrentThread());
  KTLSIM_ASSERT(!profile.is_server());
  for (const auto& shard : shards_) {
    if (&shard->loop() != &loop) continue;
    TlsConnection* connection = shard->NewConnection(profile);
    if (connection == nullptr) return nullptr;
    connection->set_handler(&handler);
    connection->BeginConnect(peer);
    return connection;
  }
  return nullptr;
}

void ClientPath::Impl::Stop() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  StopLatch latch(static_cast<std::uint32_t>(shards_.size()));
  for (const auto& shard : shards_) BeginStopOf(*shard, drain_ns_, latch);
  latch.Wait();
  MutexLock lock(mutex_);
  for (const auto& shard : shards_) finished_ += shard->Statistics();
  finished_.async_contexts = 0;  // the pooled ones go with the shards
  shards_.clear();
  loops_.clear();
}

TransportStatistics ClientPath::Impl::Statistics() const {
  MutexLock lock(mutex_);
  TransportStatistics statistics = finished_;
  for (const auto& shard : shards_) statistics += shard->Statistics();
  return statistics;
}

ClientPath::ClientPath() : impl_(std::make_unique<Impl>()) {}
ClientPath::~ClientPath() { impl_->Stop(); }
Status ClientPath::Start(const ClientPathOptions& options) { return impl_->Start(options); }
const std::vector<io::Loop*>& ClientPath::loops() const { return impl_->loops(); }
Connection* ClientPath::Connect(io::Loop& loop, const io::Address& peer, const TlsProfile& profile,
                                ConnectionHandler& handler) {
  return impl_->Connect(loop, peer, profile, handler);
}
void ClientPath::Stop() { impl_->Stop(); }
TransportStatistics ClientPath::Statistics() const { return impl_->Statistics(); }

}  // namespace ktlsim::transport
