// NotificationPool: the threads that run user callbacks at passive level.
//
// A callback may block without end. So the pool grows, up to a maximum, by one thread for each
// callback that has waited for longer than 1 ms and that no woken thread is about to take. However
// many block at once, the next one waits for about 1 ms. A keeper thread watches the queue, because
// blocked threads cannot.
//
// The thread that has rested for the shortest time works first. So the threads that a burst has
// left over stay idle and end after some seconds, however busy the others are.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <thread>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/status.h"
#include "kernel_sim/executive/async_context.h"

namespace ktlsim {
struct CallRecord;
}  // namespace ktlsim

namespace ktlsim::executive {

class NotificationPool {
 public:
  struct Options {
    unsigned threads_min = 2;
    unsigned threads_max = 256;
    std::uint64_t patience_ns = kNsPerMs;
    std::uint64_t idle_ns = 5 * kNsPerSecond;
    // There are no threads: a scheduler calls DeliverOne instead.
    bool stepped = false;
    // False: there is no keeper thread, and a test calls Grow instead, on a clock of its own.
    bool keeper = true;
    const Clock* clock = nullptr;  // null: the monotonic one
    // Runs `body` on a new thread, or throws as the constructor of std::thread does. Empty:
    // std::thread.
    std::function<void(std::function<void()> body)> spawn = {};
  };
  // Is called around each callback, on the thread that runs it.
  class Owner {
   public:
    // Before it is entered. The result is for OnCallbackEnded.
    virtual CallRecord* OnCallbackDue(Request& request) = 0;
    virtual void OnCallbackEnded(CallRecord* record) = 0;  // it has returned

   protected:
    ~Owner() = default;
  };

  NotificationPool(AsyncContextTable& contexts, const Options& options, Owner& owner);
  ~NotificationPool();

  // Passive level. kResource: no threads, or no memory for them; kIo: the system refuses them for
  // another reason. Stop must be called after a failure, too.
  Status Start();
  // Delivers the queued callbacks, waits until all have returned, ends the threads. Passive level,
  // not from a callback.
  void Stop();

  // Queues the callback of a published request. Any thread, any level.
  void Enqueue(Request& request);

  // Stepped only: runs the oldest queued callback on the calling thread, which must be at passive
  // level. False: none is queued.
  bool DeliverOne();
  std::size_t waiting();

  // The keeper's work: starts the threads that are missing at this time. Returns when to call it
  // again; kNever: not before the next Enqueue.
  std::uint64_t Grow();
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
  // How many threads wait for work.
  unsigned resting();

  unsigned threads() const { return threads_now_.load(std::memory_order_relaxed); }
  unsigned threads_peak() const { return threads_peak_.load(std::memory_order_relaxed); }
  std::uint64_t delivered() const { return delivered_.load(std::memory_order_relaxed); }
  // How many threads the system refused. Each is tried again while its callback waits.
  std::uint64_t refused_threads() const { return refused_.load(std::memory_order_relaxed); }

  // The calling thread is running one of this library's callbacks.
  static bool InCallback();
  // Makes InCallback true on this thread while it lives.
  class CallbackScope {
   public:
    CallbackScope();
    ~CallbackScope();
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

   private:
    const bool outer_;
  };
  // In a forked child: the callback that forked belongs to the parent's library.
  static void ForgetCallback();

 private:
  // What a thread waits on. It remains the pool's after the thread has ended, because a thread is
  // woken without the lock.
  struct Rest {
    ConditionVariable wake;
    Rest* below = nullptr;  // in resting_ or spare_
    bool called = false;    // taken from resting_ to work
  };

  void ThreadMain(Rest& rest);
  bool WaitForWork(Rest& rest) KTLSIM_REQUIRES(mutex_);
  void Leave(Rest& rest) KTLSIM_REQUIRES(mutex_);
  Rest* CallOne() KTLSIM_REQUIRES(mutex_);
  void KeeperMain();
  void Deliver(Request& request);
  Status StartThread() KTLSIM_REQUIRES(mutex_);
  void CountThreads(unsigned threads) KTLSIM_REQUIRES(mutex_);
  std::uint64_t GrowLocked() KTLSIM_REQUIRES(mutex_);
  std::uint64_t NowNs() const {
    return options_.clock != nullptr ? options_.clock->NowNs() : MonotonicClock::Now();
  }

  AsyncContextTable& contexts_;
  const Options options_;
  Owner& owner_;

  Mutex mutex_;
  ConditionVariable keeper_;   // the keeper waits for callbacks with no thread coming, or a stop
  ConditionVariable drained_;  // Stop waits for the last thread to end
  Request::Queue queue_ KTLSIM_GUARDED_BY(mutex_);
  Rest* resting_ KTLSIM_GUARDED_BY(mutex_) = nullptr;  // the thread that came last is first
  Rest* spare_ KTLSIM_GUARDED_BY(mutex_) = nullptr;    // left by threads that have ended
  unsigned threads_ KTLSIM_GUARDED_BY(mutex_) = 0;
  // Threads that were started or woken and are not at the queue yet: they will take as many of its
  // first callbacks.
  unsigned coming_ KTLSIM_GUARDED_BY(mutex_) = 0;
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  bool keeper_asleep_ KTLSIM_GUARDED_BY(mutex_) = false;  // and has no time to wake by itself
  std::thread keeper_thread_;

  std::atomic<unsigned> threads_now_{0};
  std::atomic<unsigned> threads_peak_{0};
  std::atomic<std::uint64_t> delivered_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace ktlsim::executive
