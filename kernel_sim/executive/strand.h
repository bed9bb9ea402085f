// Strand: the order of calls on one security context. First in, first out, one at a time. A call
// keeps its turn while it is suspended, and when the strand moves to another processor.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class Strand {
 public:
  ~Strand() { KTLSIM_ASSERT(!taken_); }

  enum class Entry : std::uint8_t {
    kFirst,      // the caller schedules it
    kWaits,      // for the calls before it
    kWithdrawn,  // it was taken out before it entered: the caller schedules it out of order
  };
  [[nodiscard]] Entry Enter(Request& request) KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    if (request.order().state_ == Request::Order::State::kWithdrawn) return Entry::kWithdrawn;
    request.order().state_ = Request::Order::State::kEntered;
    if (taken_) {
      waiting_.PushBack(request);
      return Entry::kWaits;
    }
    taken_ = true;
    return Entry::kFirst;
  }

  // Ends the turn of the running request. Returns the one to schedule next, or null.
  [[nodiscard]] Request* Leave() KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    KTLSIM_ASSERT(taken_);
    Request* next = waiting_.PopFront();
    taken_ = next != nullptr;
    return next;
  }

  enum class Removal : std::uint8_t {
    kTaken,      // the caller schedules it out of order
    kWithdrawn,  // it has not entered yet: the thread that submits it schedules it out of order
    kItsTurn,    // too late: it is the first one
  };
  // Takes out an accepted request that has not run.
  [[nodiscard]] Removal Remove(Request& request) KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    if (request.order().state_ == Request::Order::State::kOutside) {
      request.order().state_ = Request::Order::State::kWithdrawn;
      return Removal::kWithdrawn;
    }
    return waiting_.Remove(request) ? Removal::kTaken : Removal::kItsTurn;
  }

  // The processor that runs its requests (router.h). It is set at the first submission. The running
  // request moves it at most once, when a handshake that ran on a crypto processor has ended. A
  // home is valid for one start of the executive: a context that outlives a stop gets a new one.
  struct Home {
    std::uint32_t epoch = 0;  // 0: none
    std::uint32_t processor = 0;
  };
  Home home() const { return home_.load(std::memory_order_acquire); }
  void set_home(Home home) { home_.store(home, std::memory_order_release); }

 private:
  SpinLock lock_;
  Request::Queue waiting_ KTLSIM_GUARDED_BY(lock_);
  bool taken_ KTLSIM_GUARDED_BY(lock_) = false;
  std::atomic<Home> home_{Home{}};
};

}  // namespace ktlsim::executive
