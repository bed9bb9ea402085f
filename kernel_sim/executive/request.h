// Request: one accepted call on its way from submit to completion.
//
//   submit -> strand (first in, first out per context) -> a processor's lane -> Run
//          -> outputs written -> status published -> notified -> given back
//
// What a newcomer gets wrong: once the status is published, the caller may free everything it
// passed in. Once the callback has been entered, it may reuse the async context and this very
// request with it. So the runtime copies what it needs before each of the two steps.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/intrusive_list.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/suspension.h"

namespace ktlsim::executive {

class CallClock;
class Executive;
class NotificationPool;
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
  // A token, the limit or the executive's stop will bring it back; until then it keeps its strand,
  // but no processor.
  kSuspended,
  kMoved,  // MoveTo was called: it will run again in the order of another strand
};

class Request final : public WorkItem {
 public:
  using RunRoutine = RunResult (*)(Request&);

  Request();
  ~Request() { DestroyPayload(); }

  // For the submitter.

  // Fills in a request that is not in flight. A null `strand`: it has no place in an order.
  // `keep_alive` keeps the object that holds the strand alive until after publication.
  void Prepare(Lane lane, RunRoutine run, Strand* strand, Reference<Object> keep_alive) {
    lane_ = lane;
    run_ = run;
    strand_ = strand;
    keep_alive_ = std::move(keep_alive);
    identity_.reset();
    ends_object_ = false;
    status_ = 0;
    reason_ = nullptr;
    order_ = {};
    deadline_ = {};
    timing_ = {};
    suspension_.BeginCall();
  }
  // Deletes the object that it was prepared with. The object is destroyed before the status is
  // published.
  void set_ends_object() { ends_object_ = true; }

  // It runs as the calling thread acts now, whatever that thread does later. Without it, as the
  // process. After Prepare.
  void CaptureIdentity() { identity_ = ThreadIdentity::Get(); }

  // The captured arguments. There is one payload at a time; it is destroyed before the status is
  // published.
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

  // Releases what an unsubmitted or finished request holds.
  void Discard() {
    DestroyPayload();
    DropIdentity();
    keep_alive_.Reset();
  }

  // For Run.

  // The outcome.
  void set_status(std::int32_t status) { status_ = status; }
  std::int32_t status() const { return status_; }
  // Why it failed: a literal. Null: the status is the only reason.
  void set_reason(const char* reason) { reason_ = reason; }
  const char* reason() const { return reason_; }
  // Why it runs; after a move as before it.
  CallRun cause() const { return suspension_.cause(); }
  // This run follows a suspension.
  bool resumed() const { return cause() != CallRun::kFirst; }
  // The rest of the call takes its turn on `strand`, as a call that is made now; the caller then
  // returns kMoved. `keep_alive` holds the object of that strand. Returns what has kept that of the
  // present one alive: the payload must keep it until the call runs again.
  Reference<Object> MoveTo(Strand& strand, Reference<Object> keep_alive) {
    strand_ = &strand;
    return std::exchange(keep_alive_, std::move(keep_alive));
  }

  // For the runtime.

  Lane lane() const { return lane_; }
  Strand* strand() const { return strand_; }
  bool ends_object() const { return ends_object_; }
  // Null: it runs as the process.
  const IdentityRef& identity() const { return identity_; }
  void DropIdentity() { identity_.reset(); }
  RunResult Run() { return run_(*this); }
  // It has run before.
  bool begun() const { return suspension_.begun(); }
  // These move what the request was prepared with to the caller.
  Strand* DetachStrand() { return std::exchange(strand_, nullptr); }
  Reference<Object> DetachKeepAlive() { return std::move(keep_alive_); }
  // The async context that owns the request. Null: a synchronous caller waits for it.
  AsyncContextSlot* context() const { return context_; }
  void set_context(AsyncContextSlot* context) { context_ = context; }
  SuspensionCell& suspension() { return suspension_; }

  // What other classes keep in a request. The private fields of a part belong to the one class that
  // is its friend.

  class Order {
    friend class Strand;
    // An accepted call enters its strand shortly after, and may be withdrawn before it does.
    enum class State : std::uint8_t { kOutside, kEntered, kWithdrawn };
    State state_ = State::kOutside;  // under the lock of the strand
  };
  class Deadline {
   public:
    // Until it has begun to run, the time by which it must have begun; then, from its first
    // suspension on, the time by which its last one ends. 0: no limit, or not suspended yet.
    std::uint64_t ns() const { return ns_; }
    void set_ns(std::uint64_t ns) { ns_ = ns; }

   private:
    friend class WaitLimits;
    std::uint64_t ns_ = 0;
    Request* earlier_ = nullptr;  // under the lock of the WaitLimits
    Request* later_ = nullptr;
  };
  class Timing {
    friend class CallClock;
    std::uint64_t measured_ns_ = 0;  // when the last measurement ended; 0: not in the sample
  };
  class Destination {
   public:
    // The processor that runs it or delivers its callback. Null before it is scheduled.
    Processor* processor() const { return processor_; }

   private:
    friend class Processor;
    enum class Phase : std::uint8_t { kToLane, kToNotify };
    Processor* processor_ = nullptr;
    Phase phase_ = Phase::kToLane;
  };
  class Notice {
    friend class NotificationPool;
    std::uint64_t enqueued_ns_ = 0;
  };
  class Course {
   public:
    // The place of its record in the trace (CallRecord::place); 0: it is not traced.
    std::uint32_t record() const { return record_; }
    void set_record(std::uint32_t place) { record_ = place; }

   private:
    friend class Executive;
    Processor* origin_ = nullptr;         // the one that submitted; null: a foreign thread did
    Processor* admitted_at_ = nullptr;    // the one whose queue depth counts it
    std::atomic<std::uint32_t> done_{0};  // a synchronous caller waits on it
    std::uint32_t record_ = 0;            // in the word of `done_`
  };

  Order& order() { return order_; }
  Deadline& deadline() { return deadline_; }
  Timing& timing() { return timing_; }
  Destination& destination() { return destination_; }
  Processor* processor() const { return destination_.processor(); }
  Notice& notice() { return notice_; }
  Course& course() { return course_; }

 private:
  static constexpr std::size_t kPayloadBytes = 192;

  Request* next_ = nullptr;  // in a strand, a lane, a notification queue or the free list

  // As it was prepared.
  RunRoutine run_ = nullptr;
  void (*destroy_)(void*) = nullptr;
  Strand* strand_ = nullptr;
  Reference<Object> keep_alive_;
  IdentityRef identity_;
  AsyncContextSlot* context_ = nullptr;

  // Its owners' parts.
  Course course_;
  Destination destination_;
  Deadline deadline_;
  Notice notice_;
  Timing timing_;
  SuspensionCell suspension_;

  // Its outcome, and the fields that are smaller than a word: together, so that nothing is padded.
  const char* reason_ = nullptr;
  std::int32_t status_ = 0;
  Lane lane_ = Lane::kRecord;
  Order order_;
  bool ends_object_ = false;
  alignas(std::max_align_t) std::byte payload_[kPayloadBytes];

 public:
  using Queue = IntrusiveQueue<Request, &Request::next_>;
};

static_assert(sizeof(Request) <= 384, "one belongs to every async context");

// Brings back a suspended request. It can be copied: the first Resume counts, later ones do
// nothing, and neither does one that comes after the limit or the stop. It may be used before Run
// has returned kSuspended, and on any thread.
class ResumeToken {
 public:
  ResumeToken() = default;
  // In Run, for the request whose Run will return kSuspended.
  explicit ResumeToken(Request& request)
      : request_(&request), generation_(request.suspension().generation()) {}
  void Resume();

 private:
  Request* request_ = nullptr;
  std::uint64_t generation_ = 0;
};

}  // namespace ktlsim::executive
