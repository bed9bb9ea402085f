// Locks that clang's -Wthread-safety understands.
//
// Mutex blocks. Above passive level it may be used only for a few instructions, and only if no
// holder ever blocks. SpinLock is for sections of a few instructions at any level.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__clang__)
#define KTLSIM_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define KTLSIM_THREAD_ANNOTATION(x)
#endif

#define KTLSIM_CAPABILITY(x) KTLSIM_THREAD_ANNOTATION(capability(x))
#define KTLSIM_SCOPED_CAPABILITY KTLSIM_THREAD_ANNOTATION(scoped_lockable)
#define KTLSIM_GUARDED_BY(x) KTLSIM_THREAD_ANNOTATION(guarded_by(x))
#define KTLSIM_REQUIRES(...) KTLSIM_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define KTLSIM_ACQUIRE(...) KTLSIM_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define KTLSIM_TRY_ACQUIRE(...) KTLSIM_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define KTLSIM_RELEASE(...) KTLSIM_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define KTLSIM_EXCLUDES(...) KTLSIM_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define KTLSIM_NO_THREAD_SAFETY KTLSIM_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace ktlsim {

class KTLSIM_CAPABILITY("mutex") Mutex {
 public:
  void lock() KTLSIM_ACQUIRE() { mutex_.lock(); }
  void unlock() KTLSIM_RELEASE() { mutex_.unlock(); }
  bool try_lock() KTLSIM_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class KTLSIM_CAPABILITY("mutex") SpinLock {
 public:
  void lock() KTLSIM_ACQUIRE() {
    while (taken_.exchange(true, std::memory_order_acquire)) {
      // A waiter yields after a while: the holder may have lost its core and need this one.
      for (int spins = 0; taken_.load(std::memory_order_relaxed); ++spins) {
        if (spins >= 64) std::this_thread::yield();
      }
    }
  }
  void unlock() KTLSIM_RELEASE() { taken_.store(false, std::memory_order_release); }
  bool try_lock() KTLSIM_TRY_ACQUIRE(true) {
    return !taken_.exchange(true, std::memory_order_acquire);
  }

 private:
  std::atomic<bool> taken_{false};
};

template <typename LockType>
class KTLSIM_SCOPED_CAPABILITY ScopedLock {
 public:
  explicit ScopedLock(LockType& lock) KTLSIM_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~ScopedLock() KTLSIM_RELEASE() { lock_.unlock(); }
  ScopedLock(const ScopedLock&) = delete;
  ScopedLock& operator=(const ScopedLock&) = delete;

 private:
  LockType& lock_;
};
using MutexLock = ScopedLock<Mutex>;
using SpinLockHolder = ScopedLock<SpinLock>;

// Its wait functions take the Mutex that is held: condition_variable_any accepts any lockable.
using ConditionVariable = std::condition_variable_any;

}  // namespace ktlsim
