#include "kernel_sim/audit/record_queue.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <span>

#include "kernel_sim/base/assert.h"

namespace ktlsim::audit {
namespace {

QueuedIdentity IdentityOf(const security::TokenState* token) {
  if (token == nullptr) return {};
  return {.user = security::Sid(token->user()),
          .logon = token->identity().authentication_id,
          .known = true};
}

// Cuts what is longer than it may be. True: something was.
bool Shorten(std::string_view* text, std::size_t bytes_max) {
  if (text->size() <= bytes_max) return false;
  *text = text->substr(0, bytes_max);
  return true;
}

}  // namespace

std::string_view QueuedRecord::TextAt(std::size_t index) const {
  const char* const all = long_texts_ != nullptr ? long_texts_.get() : texts_.data();
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return {all + begin, ends_[index] - begin};
}

std::unique_ptr<RecordQueue> RecordQueue::Create(std::size_t depth) {
  KTLSIM_CHECK(depth >= 2 && (depth & (depth - 1)) == 0);
  std::unique_ptr<Place[]> places(new (std::nothrow) Place[depth]);
  if (places == nullptr) return nullptr;
  return std::unique_ptr<RecordQueue>(new (std::nothrow) RecordQueue(std::move(places), depth));
}

RecordQueue::RecordQueue(std::unique_ptr<Place[]> places, std::size_t depth)
    : places_(std::move(places)), mask_(depth - 1), long_bytes_max_(LongBytesMax(depth)) {
  for (std::size_t i = 0; i < depth; ++i) {
    places_[i].turn.store(i, std::memory_order_relaxed);
  }
}

RecordQueue::Place* RecordQueue::Claim(std::uint64_t* position) {
  std::uint64_t at = tail_.load(std::memory_order_relaxed);
  for (;;) {
    Place& place = PlaceOf(at);
    const std::uint64_t turn = place.turn.load(std::memory_order_acquire);
    if (turn == at) {
      if (tail_.compare_exchange_weak(at, at + 1, std::memory_order_acq_rel)) {
        *position = at;
        return &place;
      }
      continue;
    }
    if (turn < at) return nullptr;
    at = tail_.load(std::memory_order_relaxed);
  }
}

bool RecordQueue::TakeShare(bool failed_logon, std::size_t long_bytes) {
  if (failed_logon && failed_logons_.fetch_add(1, std::memory_order_relaxed) >= (mask_ + 1) / 2) {
    failed_logons_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  if (long_bytes == 0) return true;
  const std::size_t bytes_max = failed_logon ? long_bytes_max_ / 2 : long_bytes_max_;
  const std::size_t taken = long_bytes_.fetch_add(long_bytes, std::memory_order_relaxed);
  if (taken + long_bytes <= bytes_max) return true;
  GiveShare(failed_logon, long_bytes);
  return false;
}

void RecordQueue::GiveShare(bool failed_logon, std::size_t long_bytes) {
  if (failed_logon) failed_logons_.fetch_sub(1, std::memory_order_relaxed);
  if (long_bytes != 0) long_bytes_.fetch_sub(long_bytes, std::memory_order_relaxed);
}

bool RecordQueue::Push(const AuditRecord& record, std::uint64_t unix_ns) {
  std::array<std::string_view, QueuedRecord::kTexts> texts = {record.client_name, record.subsystem,
                                                              record.object_type, record.object};
  bool cut = false;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    cut |= Shorten(&texts[i], i + 1 == texts.size() ? kObjectBytesMax : kNameBytesMax);
    bytes += texts[i].size();
  }
  // Before a place is claimed: a place that is claimed has to be filled.
  const std::size_t long_bytes = bytes > QueuedRecord::kPlaceBytes ? bytes : 0;
  const bool failed_logon = IsFailedLogon(record.event, record.success);
  if (!TakeShare(failed_logon, long_bytes)) return false;
  std::unique_ptr<char[]> long_texts;
  if (long_bytes != 0) long_texts.reset(new (std::nothrow) char[long_bytes]);
  std::uint64_t position = 0;
  const bool has_room = long_bytes == 0 || long_texts != nullptr;
  Place* const place = has_room ? Claim(&position) : nullptr;
  if (place == nullptr) {
    GiveShare(failed_logon, long_bytes);
    return false;
  }
  QueuedRecord& queued = place->record;
  queued.event = record.event;
  queued.success = record.success;
  queued.reason = record.reason;
  queued.creation = record.creation;
  queued.cut = cut;
  queued.unix_ns = unix_ns;
  queued.client = IdentityOf(record.client);
  queued.server = IdentityOf(record.server);
  queued.handle_id = record.handle_id;
  queued.desired = record.desired;
  queued.granted = record.granted;
  queued.privileges = record.privileges;
  queued.unknown_privileges = record.unknown_privileges;
  queued.context_id = record.context_id;
  queued.connection_id = record.connection_id;
  queued.long_texts_ = std::move(long_texts);
  char* out = queued.long_texts_ != nullptr ? queued.long_texts_.get() : queued.texts_.data();
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i].empty()) std::memcpy(out + end, texts[i].data(), texts[i].size());
    end += static_cast<std::uint32_t>(texts[i].size());
    queued.ends_[i] = end;
  }
  // Ordered before the producer's look at whether the consumer sleeps.
  place->turn.store(position + 1, std::memory_order_seq_cst);
  return true;
}

const QueuedRecord* RecordQueue::Front() const {
  const Place& place = PlaceOf(head_);
  // Ordered behind the consumer's word that it sleeps.
  return place.turn.load(std::memory_order_seq_cst) == head_ + 1 ? &place.record : nullptr;
}

void RecordQueue::Pop() {
  Place& place = PlaceOf(head_);
  GiveShare(IsFailedLogon(place.record.event, place.record.success), place.record.long_bytes());
  place.record.long_texts_.reset();
  place.turn.store(head_ + mask_ + 1, std::memory_order_release);
  ++head_;
}

}  // namespace ktlsim::audit
