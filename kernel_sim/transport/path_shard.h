// PathShard: the part of a path that lives on one loop: its connections, memory, counters, and the
// way it stops.
//
// Made and destroyed at passive level while the loop does not know it; everything else happens on
// the loop's thread, apart from Statistics.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <array>
#include <cstdint>

#include "io/loop.h"
#include "io/member_timer.h"
#include "kernel_sim/base/member_item.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/transport/connection.h"
#include "kernel_sim/transport/handshake_times.h"
#include "kernel_sim/transport/input_queue.h"
#include "kernel_sim/transport/memory.h"
#include "kernel_sim/transport/profile.h"
#include "kernel_sim/transport/statistics.h"
#include "kernel_sim/transport/stop_latch.h"

namespace ktlsim::transport {

class TlsConnection;

struct ShardCounters {
  Counter opened, full_handshakes, resumed_handshakes, ended;
  std::array<Counter, kEndKinds> ended_by;
  std::array<Counter, kFailureClasses> failed_by;
  std::array<Counter, kAlertKinds> alerts_sent, alerts_received;
  Counter legs, plaintext_received, plaintext_sent, records_opened, records_sealed, socket_sends;
  Counter submissions_refused, accepts_held, accepts_failed, close_waits_expired;
  Counter connections, handshakes, async_contexts, security_contexts;
  Counter handshakes_waiting;  // those of the handshakes whose peer is slow
};

class PathShard {
 public:
  // How many ended connections are kept for reuse, with their async contexts.
  static constexpr std::uint32_t kKeepConnections = 1024;

  // `handshake_times`: of this loop; null: nobody measures handshakes.
  PathShard(io::Loop& loop, PassiveWorker& passive, ULONG notify_mode,
            HandshakeTimes* handshake_times = nullptr)
      : loop_(loop),
        passive_(passive),
        notify_mode_(notify_mode),
        handshake_times_(handshake_times) {}
  virtual ~PathShard();
  PathShard(const PathShard&) = delete;
  PathShard& operator=(const PathShard&) = delete;

  io::Loop& loop() const { return loop_; }
  BufferPool& buffers() { return buffers_; }
  ChunkPool& chunks() { return chunks_; }
  ShardCounters& counters() { return counters_; }
  PassiveWorker& passive() { return passive_; }
  HandshakeTimes* handshake_times() const { return handshake_times_; }
  // Callbacks come on the loop's thread, not on one of the notification pool.
  bool notified_on_loop() const { return notify_mode_ == KTLSIM_NOTIFY_ON_PROCESSOR; }

  // A connection that is counted and must be begun by its caller; it ends by Retire. Null: no
  // memory, or stopping.
  TlsConnection* NewConnection(const TlsProfile& profile);
  // Called by a connection as its very last act, after OnEnded. Destroys it.
  void Retire(TlsConnection& connection);

  // Connections report here that a handshake has ended, in success or failure, or is one of
  // handshakes_waiting, or that the library refused a first leg.
  virtual void OnFewerHandshakes() {}
  virtual void OnRefusedForOverload() {}
  // Called just before the handler's OnEnded.
  virtual void OnConnectionEnded(const Connection& /*connection*/, const EndReason& /*reason*/) {}

  // Closes every connection, aborts them `drain_ns` later, and counts `latch` down once when the
  // last has ended. After that the loop does not know this shard any more.
  void BeginStop(std::uint64_t drain_ns, StopLatch& latch);
  bool stopping() const { return latch_ != nullptr; }

  // Any thread.
  TransportStatistics Statistics() const;

 protected:
  // What else keeps the shard on its loop: the listener.
  virtual void OnStopping() {}
  virtual bool Quiet() const { return true; }
  virtual void OnConnectionRetired() {}
  void FinishWhenQuiet();

 private:
  struct Slot;  // memory for a connection, and its async contexts

  Slot* TakeSlot();
  void FreeSlot(Slot& slot);
  void AbortAll();
  // The shard may be gone as soon as the latch has been counted down.
  void CountDown() { latch_->CountDown(); }

  io::Loop& loop_;
  PassiveWorker& passive_;
  const ULONG notify_mode_;
  HandshakeTimes* const handshake_times_;
  BufferPool buffers_;
  ChunkPool chunks_;
  ShardCounters counters_;
  TlsConnection* live_ = nullptr;  // doubly linked
  Slot* kept_ = nullptr;
  std::uint32_t kept_count_ = 0;
  StopLatch* latch_ = nullptr;
  bool finished_ = false;
  io::MemberTimer<&PathShard::AbortAll> drain_timer_{*this};
  MemberItem<&PathShard::CountDown> farewell_{*this};
};

// Begins the stop on the shard's loop; `latch` is counted down once when it has stopped. Allocates
// nothing: a stop is never lost to a shortage of memory. Passive level.
void BeginStopOf(PathShard& shard, std::uint64_t drain_ns, StopLatch& latch);

}  // namespace ktlsim::transport
