// RecordQueue: records on their way from the threads that make them to the one that writes them.
//
// Bounded, many producers, one consumer. Its places are made once; a record whose texts do not fit
// in its place takes memory for them, and all of them together have a bound. A producer never
// waits, locks or makes a system call.
//
// Whoever may send a request can make failed log-ons: they get half of the places, and of the
// memory for long texts, so that they keep no other record out.
//
// Private to audit/.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel_sim/audit/audit_record.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::audit {

struct QueuedIdentity {
  security::Sid user;
  security::Luid logon;
  bool known = false;

  std::uint64_t logon_session() const {
    return std::uint64_t{static_cast<std::uint32_t>(logon.high)} << 32 | logon.low;
  }
};

// A record that owns its texts.
class QueuedRecord {
 public:
  AuditEvent event = AuditEvent::kAccess;
  bool success = false;
  LogonFailure reason = LogonFailure::kNone;
  bool creation = false;
  bool cut = false;  // a text was longer than it may be
  std::uint32_t unknown_privileges = 0;
  std::uint64_t unix_ns = 0;
  QueuedIdentity client;
  QueuedIdentity server;
  std::uint64_t handle_id = 0;
  security::AccessMask desired = 0;
  security::AccessMask granted = 0;
  security::PrivilegeSet privileges;
  std::uint64_t context_id = 0;
  std::uint64_t connection_id = 0;

  std::string_view client_name() const { return TextAt(0); }
  std::string_view subsystem() const { return TextAt(1); }
  std::string_view object_type() const { return TextAt(2); }
  std::string_view object() const { return TextAt(3); }

 private:
  friend class RecordQueue;

  static constexpr std::size_t kTexts = 4;
  static constexpr std::size_t kPlaceBytes = 320;

  std::string_view TextAt(std::size_t index) const;
  std::size_t long_bytes() const { return long_texts_ != nullptr ? ends_.back() : 0; }

  std::array<std::uint32_t, kTexts> ends_{};
  std::unique_ptr<char[]> long_texts_;  // none: they are in place
  std::array<char, kPlaceBytes> texts_;
};

class RecordQueue {
 public:
  // Null: no memory. `depth` is a power of two.
  static std::unique_ptr<RecordQueue> Create(std::size_t depth);

  // What long texts of queued records may have together.
  static constexpr std::size_t LongBytesMax(std::size_t depth) {
    constexpr std::size_t kLeast = std::size_t{8} << 20;
    constexpr std::size_t kEach = 1024;
    return std::max(kLeast, depth * kEach);
  }

  // Copies. False: the queue, or the share of failed log-ons, is full, or there is no memory for
  // long texts. Any thread, any level.
  [[nodiscard]] bool Push(const AuditRecord& record, std::uint64_t unix_ns);
  // How many were pushed, now or before. Any thread.
  std::uint64_t pushed() const { return tail_.load(std::memory_order_acquire); }

  // For the consumer: the oldest record, null if there is none that is whole; and done with it.
  const QueuedRecord* Front() const;
  void Pop();
  // How many were popped.
  std::uint64_t popped() const { return head_; }

 private:
  // A place's turn is its number when it is free, one more when it is filled.
  struct Place {
    std::atomic<std::uint64_t> turn{0};
    QueuedRecord record;
  };

  RecordQueue(std::unique_ptr<Place[]> places, std::size_t depth);
  Place& PlaceOf(std::uint64_t position) const { return places_[position & mask_]; }
  // Null: the queue is full.
  Place* Claim(std::uint64_t* position);
  // What a record takes beside its place. False: there is no more of it, and nothing is taken.
  bool TakeShare(bool failed_logon, std::size_t long_bytes);
  void GiveShare(bool failed_logon, std::size_t long_bytes);

  const std::unique_ptr<Place[]> places_;
  const std::uint64_t mask_;
  const std::size_t long_bytes_max_;
  std::atomic<std::size_t> long_bytes_{0};     // of the records that are queued
  std::atomic<std::size_t> failed_logons_{0};  // likewise
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  alignas(64) std::uint64_t head_ = 0;  // the consumer's
};

}  // namespace ktlsim::audit
