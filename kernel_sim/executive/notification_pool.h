// NotificationPool: the threads that run user callbacks at passive level.
//
// A callback may block, even for ever. So the pool grows, up to a cap, whenever the oldest waiting
// callback is older than 1 ms and no thread is free; a keeper thread watches for that, because the
// threads that are blocked cannot. Threads beyond the first ones end after some idle seconds.
#pragma once

#include <cstdint>
#include <thread>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/async_context.h"

namespace ktlsim::executive {

class NotificationPool {
 public:
  struct Options {
    unsigned threads_min = 2;
    unsigned threads_max = 256;
    std::uint64_t patience_ns = kNsPerMs;
    std::uint64_t idle_ns = 5 * kNsPerSecond;
    // No threads: a scheduler calls DeliverOne instead.
    bool stepped = false;
  };
  // Who is told: `about_to(context, request)` in front of each callback, `ended(context)` once it
  // has returned.
  struct Owner {
    void (*about_to)(void* context, Request& request);
    void (*ended)(void* context);
    void* context;
  };

  NotificationPool(AsyncContextTable& contexts, const Options& options, const Owner& owner);
  ~NotificationPool();

  // Passive level. False: no thread could be started.
  bool Start();
  // Delivers what is queued, waits for the callbacks to return, ends the threads. Passive level,
  // not from a callback.
  void Stop();

  // A published request whose callback is owed. Any thread, any level.
  void Enqueue(Request& request);

  // Stepped only: runs the oldest waiting callback on the calling thread, which must be at passive
  // level. False: none waits.
  bool DeliverOne();
  std::size_t waiting();

  unsigned threads() const { return threads_now_.load(std::memory_order_relaxed); }
  unsigned threads_peak() const { return threads_peak_.load(std::memory_order_relaxed); }
  std::uint64_t delivered() const { return delivered_.load(std::memory_order_relaxed); }

  // The calling thread is running one of this library's callbacks.
  static bool InCallback();

 private:
  void ThreadMain();
  void KeeperMain();
  void Deliver(Request& request);
  bool StartThread() KTLSIM_REQUIRES(mutex_);
  void CountThreads(unsigned threads) KTLSIM_REQUIRES(mutex_);
  bool NeedsThread() const KTLSIM_REQUIRES(mutex_);

  AsyncContextTable& contexts_;
  const Options options_;
  const Owner owner_;

  Mutex mutex_;
  ConditionVariable work_;     // threads wait: something queued, or stopping
  ConditionVariable keeper_;   // the keeper waits: queued with nobody free, or stopping
  ConditionVariable drained_;  // Stop waits: the last thread has gone
  Request::Queue queue_ KTLSIM_GUARDED_BY(mutex_);
  unsigned threads_ KTLSIM_GUARDED_BY(mutex_) = 0;
  unsigned free_ KTLSIM_GUARDED_BY(mutex_) = 0;
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  bool keeper_asleep_ KTLSIM_GUARDED_BY(mutex_) = false;  // without a time limit
  std::thread keeper_thread_;

  std::atomic<unsigned> threads_now_{0};
  std::atomic<unsigned> threads_peak_{0};
  std::atomic<std::uint64_t> delivered_{0};
};

}  // namespace ktlsim::executive
