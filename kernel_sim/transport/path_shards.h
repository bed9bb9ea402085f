// PathShards: the shards of one path, one for each loop that it works on, and how they stop.
//
// Shards are added and stopped by one thread at a time, at passive level; in between there are
// always the same ones, and the loops may look at them without a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/statistics.h"
#include "kernel_sim/transport/stop_latch.h"

namespace ktlsim::transport {

template <typename Shard>
class PathShards {
 public:
  PathShards() = default;
  ~PathShards() { KTLSIM_ASSERT(fixed().empty()); }
  PathShards(const PathShards&) = delete;
  PathShards& operator=(const PathShards&) = delete;

  // For what the shards must not do on their loops.
  PassiveWorker& passive() { return passive_; }
  // How long BeginStop lets connections drain.
  void set_drain_ns(std::uint64_t drain_ns) { drain_ns_ = drain_ns; }

  // From here on only Stop ends it. Throws bad_alloc.
  Shard& Add(std::unique_ptr<Shard> shard) {
    MutexLock lock(mutex_);
    shards_.push_back(std::move(shard));
    return *shards_.back();
  }
  // Only on the thread that adds and stops.
  bool empty() const { return fixed().empty(); }
  // The first that was added; there is one.
  Shard& first() const { return *fixed().front(); }
  // Null: none is there. On the loop's thread.
  Shard* On(const io::Loop& loop) const {
    for (const auto& shard : fixed()) {
      if (&shard->loop() == &loop) return shard.get();
    }
    return nullptr;
  }
  // Any thread. Throws bad_alloc.
  std::vector<Shard*> All() const {
    std::vector<Shard*> all;
    MutexLock lock(mutex_);
    for (const auto& shard : shards_) all.push_back(shard.get());
    return all;
  }

  // Begins the stop of every shard. No-op when there is none, or begun already. Allocates nothing,
  // nor does Stop. Passive level.
  void BeginStop() {
    KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
    if (fixed().empty() || stopping_) return;
    stopping_.emplace(static_cast<std::uint32_t>(fixed().size()));
    for (const auto& shard : fixed()) BeginStopOf(*shard, drain_ns_, *stopping_);
  }
  // True: Stop now need not wait. Passive level.
  bool Drained() { return !stopping_ || stopping_->IsZero(); }
  // BeginStop, waits for the shards, and keeps what they have counted. Passive level.
  void Stop() {
    BeginStop();
    if (stopping_) stopping_->Wait();
    stopping_.reset();
    MutexLock lock(mutex_);
    for (const auto& shard : shards_) finished_ += shard->Statistics();
    shards_.clear();
    finished_.async_contexts = 0;  // the pooled ones went with the shards
  }

  // Of all shards, those that have stopped included. Any thread, any level.
  TransportStatistics Statistics() const {
    MutexLock lock(mutex_);
    TransportStatistics statistics = finished_;
    for (const auto& shard : shards_) statistics += shard->Statistics();
    return statistics;
  }

 private:
  using Shards = std::vector<std::unique_ptr<Shard>>;

  // For the thread that adds and stops, and for loops in between.
  const Shards& fixed() const KTLSIM_NO_THREAD_SAFETY { return shards_; }

  std::uint64_t drain_ns_ = 0;
  PassiveWorker passive_;
  std::optional<StopLatch> stopping_;  // from BeginStop to the end of Stop

  // Statistics may be asked for while shards come and go.
  mutable Mutex mutex_;
  Shards shards_ KTLSIM_GUARDED_BY(mutex_);
  TransportStatistics finished_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::transport
