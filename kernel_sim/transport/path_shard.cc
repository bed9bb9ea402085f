#include "kernel_sim/transport/path_shard.h"

#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

// The connection comes first: its address is the slot's.
struct PathShard::Slot {
  alignas(TlsConnection) std::byte memory[sizeof(TlsConnection)];
  SspiAsyncContext* leg_async = nullptr;
  SspiAsyncContext* seal_async = nullptr;
  Slot* next = nullptr;
};

PathShard::~PathShard() {
  KTLSIM_ASSERT(live_ == nullptr);
  while (kept_ != nullptr) FreeSlot(*std::exchange(kept_, kept_->next));
}

PathShard::Slot* PathShard::TakeSlot() {
  if (kept_ != nullptr) {
    --kept_count_;
    return std::exchange(kept_, kept_->next);
  }
  auto* slot = new (std::nothrow) Slot;
  if (slot == nullptr) return nullptr;
  slot->leg_async = SspiCreateAsyncContext();
  slot->seal_async = SspiCreateAsyncContext();
  counters_.async_contexts.Add(2);
  if (!TlsConnection::Register(slot->leg_async, slot->seal_async, slot->memory, notify_mode_)) {
    FreeSlot(*slot);
    return nullptr;
  }
  return slot;
}

void PathShard::FreeSlot(Slot& slot) {
  SspiFreeAsyncContext(slot.leg_async);
  SspiFreeAsyncContext(slot.seal_async);
  counters_.async_contexts.Subtract(2);
  delete &slot;
}

TlsConnection* PathShard::NewConnection(const TlsProfile& profile) {
  if (stopping()) return nullptr;
  Slot* slot = TakeSlot();
  if (slot == nullptr) return nullptr;
  auto* connection =
      new (slot->memory) TlsConnection(*this, profile, slot->leg_async, slot->seal_async);
  connection->next = live_;
  if (live_ != nullptr) live_->previous = connection;
  live_ = connection;
  counters_.opened.Add();
  counters_.connections.Add();
  return connection;
}

void PathShard::Retire(TlsConnection& connection) {
  if (connection.previous != nullptr) {
    connection.previous->next = connection.next;
  } else {
    live_ = connection.next;
  }
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  Slot& slot = *reinterpret_cast<Slot*>(&connection);
  std::destroy_at(&connection);
  if (kept_count_ < kKeepConnections) {
    slot.next = std::exchange(kept_, &slot);
    ++kept_count_;
  } else {
    FreeSlot(slot);
  }
  counters_.connections.Subtract();
  OnConnectionRetired();
  FinishWhenQuiet();
}

void PathShard::BeginStop(std::uint64_t drain_ns, StopLatch& latch) {
  latch_ = &latch;
  OnStopping();
  for (TlsConnection* connection = live_; connection != nullptr; connection = connection->next) {
    connection->CloseForStop();
  }
  if (live_ != nullptr) loop_.StartTimer(drain_timer_, loop_.NowNs() + drain_ns);
  FinishWhenQuiet();
}

void PathShard::AbortAll() {
  for (TlsConnection* connection = live_; connection != nullptr; connection = connection->next) {
    connection->AbortFor(EndKind::kStopped);
  }
}

void PathShard::FinishWhenQuiet() {
  if (!stopping() || finished_ || live_ != nullptr || !Quiet()) return;
  finished_ = true;
  loop_.StopTimer(drain_timer_);
  // In a later turn: the caller may still be inside the shard.
  loop_.Post(farewell_);
}

TransportStatistics PathShard::Statistics() const {
  TransportStatistics statistics;
  const ShardCounters& from = counters_;
  statistics.opened = from.opened.value();
  // Each is counted once, so that their difference goes up, too.
  statistics.resumed = from.resumed_handshakes.value();
  statistics.established = from.full_handshakes.value() + statistics.resumed;
  statistics.ended = from.ended.value();
  for (std::size_t i = 0; i < kEndKinds; ++i) statistics.ended_by[i] = from.ended_by[i].value();
  for (std::size_t i = 0; i < kFailureClasses; ++i) {
    statistics.failed_by[i] = from.failed_by[i].value();
  }
  for (std::size_t i = 0; i < kAlertKinds; ++i) {
    statistics.alerts_sent[i] = from.alerts_sent[i].value();
    statistics.alerts_received[i] = from.alerts_received[i].value();
  }
  statistics.legs = from.legs.value();
  statistics.plaintext_received = from.plaintext_received.value();
  statistics.plaintext_sent = from.plaintext_sent.value();
  statistics.records_opened = from.records_opened.value();
  statistics.records_sealed = from.records_sealed.value();
  statistics.socket_sends = from.socket_sends.value();
  statistics.submissions_refused = from.submissions_refused.value();
  statistics.accepts_held = from.accepts_held.value();
  statistics.accepts_failed = from.accepts_failed.value();
  statistics.close_waits_expired = from.close_waits_expired.value();
  statistics.connections = from.connections.value();
  statistics.handshakes = from.handshakes.value();
  statistics.async_contexts = from.async_contexts.value();
  statistics.security_contexts = from.security_contexts.value();
  statistics.buffers = buffers_.in_use();
  return statistics;
}

void BeginStopOf(PathShard& shard, std::uint64_t drain_ns, StopLatch& latch) {
  RunOnLoop(shard.loop(), [&] { shard.BeginStop(drain_ns, latch); });
}

}  // namespace ktlsim::transport
