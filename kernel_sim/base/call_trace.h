// CallTrace: a sample of the asynchronous calls, each with the times of its stages, for a reader
// that writes them down elsewhere.
//
// One call in `sample` gets a record when it is accepted; the executive notes the times in it, and
// gives it back when the call is over. Records are made at the start, some for each processor.
// While none is free, calls are not recorded, and are counted instead. A reader takes the finished
// ones away and gives them back.
//
// What a newcomer gets wrong: a call that is not in the sample costs one decrement when it is
// submitted, and a comparison with null at each stage.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_sim/base/mutex.h"

namespace ktlsim {

struct CallRecord {
  // Of CLOCK_MONOTONIC; 0: the call has not had that stage.
  std::uint64_t accepted_ns = 0;
  std::uint64_t started_ns = 0;     // its first run
  std::uint64_t published_ns = 0;   // its status
  std::uint64_t callback_ns = 0;    // the entry of its callback
  std::uint64_t ended_ns = 0;       // the return of its callback, or as `published_ns`
  std::uint64_t async_context = 0;  // the handle; 0: a synchronous call
  const void* order = nullptr;      // names the security context whose calls wait for each other
  const char* lane = "";            // a literal
  std::int32_t status = 0;
  std::uint32_t number = 0;     // counted up, over all processors
  std::uint16_t processor = 0;  // where it ran
  std::uint16_t submitter = 0;  // the processor that submitted it; kForeign: another thread
  bool on_processor = false;    // its callback, which a notification thread has called otherwise

  static constexpr std::uint16_t kForeign = 0xFFFF;
  // Never 0; shorter than an address.
  std::uint32_t place() const { return place_; }

 private:
  friend class CallTrace;
  CallRecord* next_ = nullptr;
  std::uint32_t place_ = 0;
};

class CallTrace {
 public:
  static constexpr std::size_t kRecordsOfShelf = 1024;

  // `shelves`: one for each processor, or fewer, which they share. One call in `sample`, 1 or more.
  // Throws bad_alloc.
  CallTrace(std::uint32_t sample, std::size_t shelves);
  // Every record is back.
  ~CallTrace();
  CallTrace(const CallTrace&) = delete;
  CallTrace& operator=(const CallTrace&) = delete;

  // The trace of the process, from the next start of the library on; null: none. It stays until the
  // library has stopped. Passive level, while the library does not run.
  static void Use(CallTrace* trace) { in_use_.store(trace, std::memory_order_release); }
  static CallTrace* InUse() { return in_use_.load(std::memory_order_acquire); }

  // Whether the calling thread's next call is in the sample.
  bool Wants() {
    // 2 to `sample`: what another trace has left is nothing to go by.
    if (until_next_ - 2 < sample_ - 1) {
      --until_next_;
      return false;
    }
    until_next_ = sample_;
    return !stopped_.load(std::memory_order_relaxed);
  }
  // A record for a call at `processor`, with its number. Null: none is free, which is counted. Any
  // thread, any level.
  CallRecord* Take(std::size_t processor);
  // The record that has this place.
  CallRecord& At(std::uint32_t place) const {
    const std::size_t index = place - 1;
    return shelves_[index / kRecordsOfShelf]->records[index % kRecordsOfShelf];
  }
  // The call is over, and the record not touched any more. Any thread, any level.
  void Finish(CallRecord& record);

  // The finished ones, in no order. One reader. Passive level.
  class Taken {
   public:
    explicit Taken(CallTrace& trace) : trace_(trace) {}
    // Gives them back.
    ~Taken();
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    template <typename Visit>
    void ForEach(Visit visit) const {
      for (const CallRecord* record = first_; record != nullptr; record = record->next_) {
        visit(*record);
      }
    }

   private:
    friend class CallTrace;
    CallTrace& trace_;
    CallRecord* first_ = nullptr;
  };
  void TakeFinished(Taken* taken);
  // No further call is recorded.
  void StopSampling() { stopped_.store(true, std::memory_order_relaxed); }

  std::uint32_t sample() const { return sample_; }
  // Calls of the sample without a record. Any thread.
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Shelf {
    SpinLock lock;
    CallRecord* free KTLSIM_GUARDED_BY(lock) = nullptr;
    CallRecord* finished KTLSIM_GUARDED_BY(lock) = nullptr;
    std::array<CallRecord, kRecordsOfShelf> records;
  };

  Shelf& ShelfOf(const CallRecord& record) const {
    return *shelves_[(record.place_ - 1) / kRecordsOfShelf];
  }

  static inline constinit std::atomic<CallTrace*> in_use_{nullptr};
  static inline constinit thread_local std::uint32_t until_next_ = 0;

  const std::uint32_t sample_;
  std::vector<std::unique_ptr<Shelf>> shelves_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint32_t> numbers_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace ktlsim
