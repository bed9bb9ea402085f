// The invariants that `ktlsim stress` watches, apart from what each activity checks by itself:
// every accepted asynchronous call completes exactly once and a refused one never, with a final
// status; no memory of the caller is written to once a call is over.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::command {

// What broke, in words. Any thread; any level, because violations are rare.
class StressEvidence {
 public:
  void Add(std::string what);
  std::uint64_t violations() const { return violations_.load(std::memory_order_relaxed); }
  // The first of them.
  std::vector<std::string> texts() const;

 private:
  std::atomic<std::uint64_t> violations_{0};
  mutable Mutex mutex_;
  std::vector<std::string> texts_ KTLSIM_GUARDED_BY(mutex_);
};

// One call of an asynchronous function with a callback, from before it is made until the round is
// over. It outlives the call on purpose, so that a second completion finds it instead of freed
// memory.
class CallRecord {
 public:
  // What the owner does about the completion.
  using Routine = void (*)(void* owner, SspiAsyncContext* async);

  CallRecord(const char* what, Routine routine, void* owner)
      : what_(what), routine_(routine), owner_(owner) {}

 private:
  friend class CallLedger;
  enum class Answer : std::uint8_t { kNone, kAccepted, kRefused };

  const char* const what_;
  const Routine routine_;
  void* const owner_;
  class CallLedger* ledger_ = nullptr;
  std::atomic<Answer> answer_{Answer::kNone};
  std::atomic<std::uint32_t> completions_{0};
};

// All calls of a round.
class CallLedger {
 public:
  explicit CallLedger(StressEvidence& evidence) : evidence_(evidence) {}
  CallLedger(const CallLedger&) = delete;
  CallLedger& operator=(const CallLedger&) = delete;

  // Before the call is made. Any thread. `what` is a literal.
  CallRecord& Open(const char* what, CallRecord::Routine routine, void* owner);
  // What the submission returned, which may be known after the completion.
  void Answered(CallRecord& record, SECURITY_STATUS submitted);
  // For SspiSetAsyncNotifyCallback, with the record as its data: checks the completion, then runs
  // the record's routine, but never twice and never for a refused call.
  static void Notify(SspiAsyncContext* async, PVOID record);

  // KtlsimCancelAsyncCall, counted: a call whose cancellation is granted must end as cancelled. Any
  // level up to dispatch.
  SECURITY_STATUS Cancel(SspiAsyncContext* async);

  // When nothing can complete any more: each accepted call has, once; those whose cancellation was
  // granted, and no others, as cancelled.
  void CheckAll();
  struct Counts {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t completed = 0;  // the next two included
    std::uint64_t cancelled = 0;
    std::uint64_t timed_out = 0;
    Counts& operator+=(const Counts& other);
  };
  Counts counts() const;

 private:
  bool Completed(CallRecord& record, SECURITY_STATUS status);

  StressEvidence& evidence_;
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> completed_{0};
  std::atomic<std::uint64_t> cancels_granted_{0};
  std::atomic<std::uint64_t> cancelled_{0};
  std::atomic<std::uint64_t> timed_out_{0};
  SpinLock lock_;
  std::deque<CallRecord> records_ KTLSIM_GUARDED_BY(lock_);
};

// All memory of the caller that one call may read and write.
struct CallMemory {
  static constexpr std::size_t kBytesMax = 17 * 1024;

  std::array<SecBuffer, 4> buffers;
  SecBufferDesc in;
  SecBufferDesc out;
  CtxtHandle context;
  CredHandle credential;
  TimeStamp expiry;
  ULONG attributes;
  std::array<unsigned char, kBytesMax> input;
  std::array<unsigned char, kBytesMax> output;
};

// Lends CallMemory, and fills returned memory with poison that must still be there when it is lent
// again, much later. AddressSanitizer, if present, reports the access itself.
class PoisonedYard {
 public:
  explicit PoisonedYard(StressEvidence& evidence) : evidence_(evidence) {}
  // Everything has come back; checks all of it.
  ~PoisonedYard();
  PoisonedYard(const PoisonedYard&) = delete;
  PoisonedYard& operator=(const PoisonedYard&) = delete;

  // Any thread, any level. Zeroed as far as `buffers` to `attributes` go.
  CallMemory* Take();
  // The call that used it is over.
  void GiveBack(CallMemory* memory);

 private:
  void CheckPoison(CallMemory& memory);

  StressEvidence& evidence_;
  SpinLock lock_;
  std::deque<std::unique_ptr<CallMemory>> resting_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::command
