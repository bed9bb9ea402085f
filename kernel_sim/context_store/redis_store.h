// RedisStore: a ContextStore in a Redis that several machines share, over one connection on one
// loop, with that loop's timers and no thread of its own.
//
// What a newcomer gets wrong: a Redis that comes back is not the one that went. It may have loaded
// an old dump, or be a replica that lagged: its counts are those of some time ago, and a replay
// would look new. So counts are bound to the server's run (run_id and master_replid of INFO), and
// those made in another run are stale. With replicas, a count is good only when WAIT says that they
// have it.
//
// Needs Redis 5 or later, alone or with Sentinels; Cluster is refused.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/intrusive_list.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/context_store/redis_call.h"
#include "kernel_sim/context_store/redis_link.h"
#include "kernel_sim/context_store/redis_login.h"
#include "kernel_sim/context_store/redis_state.h"
#include "kernel_sim/context_store/sentinel_query.h"

namespace ktlsim::context_store {

// On the loop's thread at dispatch level. Must outlive the store.
class RedisWatcher {
 public:
  virtual void OnStoreUp() = 0;
  // `words`: what is wrong and, where it is known, the remedy; they live until this has returned.
  virtual void OnStoreDown(StoreResult why, std::string_view words) = 0;

 protected:
  ~RedisWatcher() = default;
};

struct RedisStoreOptions {
  std::vector<io::Address> servers;  // the Redis, or 1 to 16 Sentinels
  std::string sentinel_master;       // empty: no Sentinels
  std::string user;
  std::string password;
  unsigned database = 0;
  std::uint64_t limit_ns = 2 * kNsPerSecond;  // of each operation: 1 ms to 30 s
  // So many replicas confirm each count; with Sentinels at least 1.
  unsigned replicas = 0;
  std::size_t calls_max = 4096;  // begun and not over; more are kUnavailable at once
  RedisWatcher* watcher = nullptr;
  // What the connection to the server goes over; null: plain TCP or a Unix-domain socket. Must
  // outlive the store. Sentinels are asked in plain.
  RedisStreams* streams = nullptr;
};

class RedisStore final : public ContextStore,
                         private RedisCallOwner,
                         private RedisLinkHandler,
                         private RedisLoginHandler,
                         private SentinelHandler {
 public:
  // How many failures in a row mean that the server is gone, and how long nobody waits for it then.
  static constexpr unsigned kFailuresMax = 3;
  static constexpr std::uint64_t kGoneNs = kNsPerSecond;
  // Between two attempts to connect; it doubles from the first to the second.
  static constexpr std::uint64_t kBackOffMinNs = 50 * kNsPerMs;
  static constexpr std::uint64_t kBackOffMaxNs = kNsPerSecond;

  // kContract: bad options, or no keys: without them the store would hold secrets in clear.
  // kResource: no memory. kCrypto: OpenSSL refuses. `loop` must outlive the store.
  static Result<std::unique_ptr<RedisStore>> Create(io::Loop& loop,
                                                    std::shared_ptr<const NodeKeys> keys,
                                                    const RedisStoreOptions& options);
  // Only when it is stopped or was never started.
  ~RedisStore() override;

  // On the loop's thread, once. Operations that are begun earlier wait.
  void Start();
  // On the loop's thread, once, after Start. Operations that are not over end with kStopped. Posts
  // `stopped` when all is quiet; then the store may be destroyed. No thread may begin an operation
  // any more when it is called.
  void Stop(WorkItem& stopped);

  // ContextStore
  std::uint64_t epoch() const override { return epoch_.load(std::memory_order_relaxed); }
  [[nodiscard]] Begun Get(StoreCall& call, const Key& key) override;
  [[nodiscard]] Begun Put(StoreCall& call, const Key& key, const PutRequest& put) override;
  [[nodiscard]] Begun Remove(StoreCall& call, const Key& key) override;
  [[nodiscard]] Begun Advance(StoreCall& call, const Key& key, const NonceUse& use) override;
  [[nodiscard]] Begun Count(StoreCall& call) override;

 private:
  class LinkTimer final : public io::Timer {
   public:
    explicit LinkTimer(RedisStore& store) : store_(store) {}
    void OnTimer() override { store_.OnLinkTimer(); }

   private:
    RedisStore& store_;
  };
  // One WAIT, and the calls whose counts it confirms.
  class Confirmation final : public ReplyHandler {
   public:
    explicit Confirmation(RedisStore& store) : store_(store) {}
    void OnReply(const RespValue* reply) override { store_.OnConfirmed(*this, reply); }
    std::vector<RedisCall*> calls;

   private:
    RedisStore& store_;
  };
  using Waiting = IntrusiveQueue<RedisCall, &RedisCall::next>;

  RedisStore(io::Loop& loop, std::shared_ptr<const NodeKeys> keys,
             const RedisStoreOptions& options);

  // The caller's thread.
  template <typename Make>
  Begun Begin(StoreCall& call, Make make);

  // Calls
  void OnPosted(RedisCall& call) override;
  void OnLimit(RedisCall& call) override;
  void OnCallReply(RedisCall& call, const RespValue* reply) override;
  void OnConfirmed(Confirmation& confirmation, const RespValue* reply);
  void OnError(RedisCall& call, const RespValue& reply);
  void OnOutcome(RedisCall& call, StoreResult result);
  bool Admit(RedisCall& call);
  void Submit(RedisCall& call);
  void Complete(RedisCall& call, StoreResult result);
  void CompleteWaiting(StoreResult result);
  void NoteOutcome(const RedisCall& call, StoreResult result);

  // The connection
  void OnLinkOpen() override;
  void OnLinkFlush() override;
  void OnLinkDown(StoreResult why, std::string_view words) override;
  void OnLoggedIn(std::uint64_t epoch) override;
  void OnLoginFailed(StoreResult why, const char* words) override;
  void OnMaster(const io::Address& master) override;
  void OnNoMaster(const char* words) override;
  void OnLinkTimer();
  void Attempt();
  void ConnectTo(const io::Address& server);
  void CloseLink(StoreResult why, const char* words);
  void Ended(StoreResult why, std::string_view words);
  void StopIfQuiet();
  // How long a WAIT may hold up what comes after it.
  std::uint64_t WaitNs() const { return std::max(options_.limit_ns / 4, kNsPerMs); }
  void Move(RedisEvent event) { state_ = kRedisTable.After(state_, event); }

  // Fixed.
  io::Loop& loop_;
  const std::shared_ptr<const NodeKeys> keys_;
  const RedisStoreOptions options_;
  const LoginFacts login_facts_;
  const unsigned replicas_;
  const std::string script_sha_;

  // Any thread.
  std::atomic<std::uint64_t> epoch_{0};
  std::atomic<std::size_t> calls_{0};  // begun and not over

  // The loop's thread.
  RedisState state_ = RedisState::kIdle;
  RedisLink link_;
  RedisLogin login_;
  std::optional<SentinelQuery> sentinels_;
  LinkTimer link_timer_{*this};
  std::uint64_t back_off_ns_ = kBackOffMinNs;
  Waiting waiting_;                     // for the connection
  std::vector<RedisCall*> to_confirm_;  // sent, and no WAIT after them yet
  StoreResult problem_ = StoreResult::kUnavailable;
  unsigned failures_ = 0;             // in a row
  std::uint64_t gone_until_ns_ = 0;   // matters with kFailuresMax of them
  const RedisCall* probe_ = nullptr;  // the one that tries a server that was gone
  WorkItem* stopped_ = nullptr;
};

}  // namespace ktlsim::context_store
