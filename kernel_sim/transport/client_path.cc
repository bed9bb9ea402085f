#include "kernel_sim/transport/client_path.h"

#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/path_shards.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

class ClientPath::Impl {
 public:
  Status Start(const ClientPathOptions& options);
  Connection* Connect(io::Loop& loop, const io::Address& peer, const TlsProfile& profile,
                      ConnectionHandler& handler);
  void Stop();
  const std::vector<io::Loop*>& loops() const { return loops_; }
  const PathShards<PathShard>& shards() const { return shards_; }

 private:
  std::vector<io::Loop*> loops_;  // fixed from Start to Stop
  PathShards<PathShard> shards_;  // one for each loop
};

Status ClientPath::Impl::Start(const ClientPathOptions& options) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (!loops_.empty()) return Status(Category::kContract, 0, "the client path runs already");
  Result<std::vector<io::Loop*>> loops = LoopsOfRole(options.role);
  if (!loops) return loops.status();
  shards_.set_drain_ns(options.drain_ns);
  try {
    for (io::Loop* loop : *loops) {
      shards_.Add(std::make_unique<PathShard>(*loop, shards_.passive(), options.notify_mode));
    }
  } catch (const std::bad_alloc&) {
    shards_.Stop();
    return ResourceError("memory for a path");
  }
  loops_ = std::move(*loops);
  return {};
}

Connection* ClientPath::Impl::Connect(io::Loop& loop, const io::Address& peer,
                                      const TlsProfile& profile, ConnectionHandler& handler) {
  KTLSIM_ASSERT(loop.IsCurrentThread());
  KTLSIM_ASSERT(!profile.is_server());
  PathShard* const shard = shards_.On(loop);
  TlsConnection* const connection = shard == nullptr ? nullptr : shard->NewConnection(profile);
  if (connection == nullptr) return nullptr;
  connection->set_handler(&handler);
  connection->BeginConnect(peer);
  return connection;
}

void ClientPath::Impl::Stop() {
  shards_.Stop();
  loops_.clear();
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
TransportStatistics ClientPath::Statistics() const { return impl_->shards().Statistics(); }

}  // namespace ktlsim::transport
