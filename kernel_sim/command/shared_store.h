// SharedStore: the Redis that several servers share, so that a client of one is a client of all:
// the contexts of Digest, TLS 1.2 sessions, and the keys of TLS tickets.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/loop.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/tls_store_streams.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/context_store/redis_store.h"
#include "kernel_sim/serve/log.h"

namespace ktlsim::command {

// As `ktlsim serve` is told.
struct StoreConfig {
  std::string url;       // empty: this process's memory
  std::string node_key;  // a file
  std::string previous_node_key;
  std::string ca_file;  // PEM; trust anchors for rediss://; empty: the system's
  std::uint32_t wait_ms = 2000;

  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// Checks the settings against each other, and reads the key. Empty: all is well; else what is wrong
// and the remedy. Passive level.
std::string CheckStore(const StoreConfig& config);

class SharedStore final : private context_store::RedisWatcher {
 public:
  // How often the other servers' ticket keys are asked for, which change in hours; and while there
  // is none.
  static constexpr std::uint64_t kRefreshNs = 30 * kNsPerSecond;
  static constexpr std::uint64_t kRetryNs = 2 * kNsPerSecond;
  // The longest that Start waits for the first ones.
  static constexpr std::uint32_t kStartWaitMs = 2000;

  // Digest keeps its contexts there from now on, and so do the credentials that are acquired from
  // now on with what TLS shares. A Redis that is not there is no error: it is tried again, and
  // meanwhile every client authenticates again. Null: `*error` says why. Passive level; the library
  // is started. `log` must outlive it.
  static std::unique_ptr<SharedStore> Start(const StoreConfig& config, serve::Log& log,
                                            std::string* error);
  // Leaves the contexts in the Redis, for the other servers. Passive level, before the library
  // stops.
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

 private:
  class RefreshTimer final : public io::Timer {
   public:
    explicit RefreshTimer(SharedStore& shared) : shared_(shared) {}
    void OnTimer() override { shared_.OnRefreshTimer(); }

   private:
    SharedStore& shared_;
  };

  SharedStore(io::Loop& loop, serve::Log& log) : loop_(loop), log_(log) {}

  bool Use(const std::shared_ptr<const context_store::NodeKeys>& keys, std::uint32_t wait_ms);
  void StartRefreshTimer() KTLSIM_EXCLUDES(mutex_);
  void OnRefreshTimer();
  void NoteRefreshed(bool seals) KTLSIM_EXCLUDES(mutex_);
  void WaitForTicketKeys(std::uint32_t limit_ms) KTLSIM_EXCLUDES(mutex_);

  void Tell(serve::LogLevel level, std::string_view event,
            std::initializer_list<serve::LogField> fields);

  void OnStoreUp() override;
  void OnStoreDown(context_store::StoreResult why, std::string_view words) override;

  io::Loop& loop_;
  serve::Log& log_;
  std::unique_ptr<TlsStoreStreams> streams_;  // with rediss://
  // Old contexts may have it a little longer.
  std::shared_ptr<context_store::RedisStore> store_;
  RefreshTimer refresh_timer_{*this};  // on the loop

  Mutex mutex_;
  ConditionVariable changed_;
  // Empty: they were not asked for yet. True: there was a key that seals.
  std::optional<bool> ticket_key_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
