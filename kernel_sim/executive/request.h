// Request: one accepted call on its way from submit to completion.
//
//   submit -> strand (first in, first out per context) -> a processor's lane -> Run
//          -> outputs written -> status published -> notified -> given back
//
// The thing a newcomer gets wrong: once the status is published the caller may free everything it
// passed in, and once the callback has been entered it may reuse the async context, and with it
// this very request. So the runtime copies what it needs before each of the two steps.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/intrusive_list.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/suspension.h"

namespace ktlsim::executive {

class Processor;
class Strand;
class WaitLimits;
struct AsyncContextSlot;

enum class Lane : std::uint8_t { kRecord, kHandshake };
constexpr const char* NameOf(Lane lane) { return lane == Lane::kRecord ? "record" : "handshake"; }

// Outcomes of calls that were accepted and never ran (KTLSIM_E_CANCELLED, KTLSIM_E_QUEUE_TIMEOUT).
inline constexpr auto kCancelledStatus = static_cast<std::int32_t>(0xA0090001);
inline constexpr auto kQueueTimeoutStatus = static_cast<std::int32_t>(0xA0090002);

enum class RunResult : std::uint8_t {
  kCompleted,  // outputs are written, status() is the outcome
  kSuspended,  // Resume will bring it back; the strand stays taken, the processor does not
};

class Request final : public WorkItem {
 public:
  using RunRoutine = RunResult (*)(Request&);

  Request() : WorkItem(&Request::Arrive) {}
  ~Request() { DestroyPayload(); }

  // Fills in a request that is not in flight. `strand` may be null: then nothing orders it.
  // `keep_alive` keeps the object that holds the strand until after publication.
  void Prepare(Lane lane, RunRoutine run, Strand* strand, Reference<Object> keep_alive) {
    lane_ = lane;
    run_ = run;
    strand_ = strand;
    keep_alive_ = std::move(keep_alive);
    order_ = Order::kOutside;
    resumed_ = false;
    ends_object_ = false;
    status_ = 0;
    reason_ = nullptr;
    measured_ns_ = 0;
    deadline_ns_ = 0;
  }
  // This call ends what it was prepared with: that is gone before the status says so.
  void set_ends_object() { ends_object_ = true; }

  // The captured arguments. One at a time; destroyed before the status is published.
  template <typename T, typename... Arguments>
  T& EmplacePayload(Arguments&&... arguments) {
    static_assert(sizeof(T) <= kPayloadBytes && alignof(T) <= alignof(std::max_align_t));
    static_assert(std::is_nothrow_destructible_v<T>);
    DestroyPayload();
    T* payload = new (static_cast<void*>(payload_)) T(std::forward<Arguments>(arguments)...);
    destroy_ = [](void* memory) { static_cast<T*>(memory)->~T(); };
    return *payload;
  }
  template <typename T>
  T& payload() {
    KTLSIM_ASSERT(destroy_ != nullptr);
    return *std::launder(reinterpret_cast<T*>(payload_));
  }
  void DestroyPayload() {
    if (destroy_ != nullptr) std::exchange(destroy_, nullptr)(payload_);
  }

  // Gives back what an unsubmitted or finished request holds.
  void Discard() {
    DestroyPayload();
    keep_alive_.Reset();
  }

  // For Run: the outcome, and whether this is a second run after a suspension.
  void set_status(std::int32_t status) { status_ = status; }
  std::int32_t status() const { return status_; }
  // For Run: why it failed, a literal; null: the status says all there is.
  void set_reason(const char* reason) { reason_ = reason; }
  const char* reason() const { return reason_; }
  bool resumed() const { return resumed_; }
  Lane lane() const { return lane_; }
  // The processor whose thread submitted, or null for a foreign thread.
  Processor* origin() const { return origin_; }
  Strand* strand() const { return strand_; }

 private:
  friend class AsyncContextTable;
  friend class CallClock;
  friend class Executive;
  friend class NotificationPool;
  friend class Processor;
  friend class Strand;
  friend class ResumeToken;
  friend class WaitLimits;

  static constexpr std::size_t kPayloadBytes = 192;

  enum class Phase : std::uint8_t { kToLane, kToNotify };
  // Of the strand: accepted calls come to it a moment later, and may be recalled meanwhile.
  enum class Order : std::uint8_t { kOutside, kEntered, kWithdrawn };

  static void Arrive(WorkItem& item);  // on the target processor's thread

  Request* next_ = nullptr;  // in a strand, a lane, a notification queue or the free list
  RunRoutine run_ = nullptr;
  void (*destroy_)(void*) = nullptr;
  Strand* strand_ = nullptr;
  Reference<Object> keep_alive_;
  Processor* origin_ = nullptr;
  Processor* admitted_at_ = nullptr;     // whose queue depth counts it
  Processor* target_ = nullptr;          // whose thread runs or notifies it
  AsyncContextSlot* context_ = nullptr;  // null: a synchronous caller waits on done_
  std::uint64_t enqueued_ns_ = 0;        // in the notification queue
  std::uint64_t measured_ns_ = 0;        // the last thing that was timed; 0: not in the sample
  std::uint64_t deadline_ns_ = 0;        // to have been started by; 0: none
  Request* earlier_deadline_ = nullptr;  // under the lock of admitted_at_'s WaitLimits
  Request* later_deadline_ = nullptr;
  bool limited_ = false;
  std::atomic<std::uint32_t> done_{0};
  // Generation (upper 56 bits) and Suspension (lower 8): one word, so that a token cannot confuse
  // this request with the next user of its memory. Each way back to kNone begins a generation.
  std::atomic<std::uint64_t> suspension_{0};
  std::int32_t status_ = 0;
  const char* reason_ = nullptr;
  Lane lane_ = Lane::kRecord;
  Phase phase_ = Phase::kToLane;
  Order order_ = Order::kOutside;  // under the lock of the strand
  bool resumed_ = false;
  bool ends_object_ = false;
  alignas(std::max_align_t) std::byte payload_[kPayloadBytes];

 public:
  using Queue = IntrusiveQueue<Request, &Request::next_>;
};

// Brings back a suspended request. Copyable; the first Resume counts, later ones do nothing. May be
// used before Run has returned kSuspended, and from any thread.
class ResumeToken {
 public:
  ResumeToken() = default;
  // In Run, on the request that will answer kSuspended.
  explicit ResumeToken(Request& request);
  void Resume();

 private:
  Request* request_ = nullptr;
  std::uint64_t generation_ = 0;
};

}  // namespace ktlsim::executive
