#include "kernel_sim/executive/notification_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/level.h"

namespace ktlsim::executive {
namespace {

thread_local bool in_callback = false;

NotificationPool::Options Clamped(NotificationPool::Options options) {
  options.threads_max = std::max(options.threads_max, 1U);
  options.threads_min = std::min(options.threads_min, options.threads_max);
  return options;
}

}  // namespace

NotificationPool::NotificationPool(AsyncContextTable& contexts, const Options& options,
                                   const Owner& owner)
    : contexts_(contexts), options_(Clamped(options)), owner_(owner) {}

NotificationPool::~NotificationPool() {
  MutexLock lock(mutex_);
  KTLSIM_ASSERT(threads_ == 0 && queue_.empty());
}

bool NotificationPool::InCallback() { return in_callback; }

bool NotificationPool::Start() {
  if (options_.stepped) return true;
  MutexLock lock(mutex_);
  stopping_ = false;
  for (unsigned i = 0; i < options_.threads_min; ++i) {
    if (!StartThread() && i == 0) return false;
  }
  try {
    keeper_thread_ = std::thread([this] { KeeperMain(); });
  } catch (const std::exception&) {  // out of threads, or of memory
    return false;
  }
  return true;
}

void NotificationPool::Stop() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive && !in_callback);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    keeper_.notify_all();
  }
  if (keeper_thread_.joinable()) keeper_thread_.join();
  MutexLock lock(mutex_);
  while (threads_ != 0) drained_.wait(mutex_);
}

// Detached, and counted: Stop waits for the count. Without the lock, because a thread can take its
// time to make, and processors enqueue meanwhile.
bool NotificationPool::StartThread() {
  CountThreads(threads_ + 1);
  mutex_.unlock();
  bool started = true;
  try {
    std::thread([this] { ThreadMain(); }).detach();
  } catch (const std::exception&) {  // out of threads, or of memory
    started = false;
  }
  mutex_.lock();
  if (!started) CountThreads(threads_ - 1);
  return started;
}

void NotificationPool::CountThreads(unsigned threads) {
  threads_ = threads;
  threads_now_.store(threads, std::memory_order_relaxed);
  if (threads > threads_peak_.load(std::memory_order_relaxed)) {
    threads_peak_.store(threads, std::memory_order_relaxed);
  }
}

void NotificationPool::Enqueue(Request& request) {
  request.enqueued_ns_ = MonotonicClock::Now();
  bool wake_thread = false;
  bool wake_keeper = false;
  {
    MutexLock lock(mutex_);
    queue_.PushBack(request);
    wake_thread = free_ != 0;
    wake_keeper = keeper_asleep_ && free_ < queue_.size();
  }
  if (wake_thread) work_.notify_one();
  if (wake_keeper) keeper_.notify_one();
}

void NotificationPool::ThreadMain() {
  pthread_setname_np(pthread_self(), "ktlsim-notify");
  mutex_.lock();
  for (;;) {
    if (Request* request = queue_.PopFront()) {
      mutex_.unlock();
      Deliver(*request);
      mutex_.lock();
      continue;
    }
    if (stopping_) break;
    ++free_;
    const auto idle = std::chrono::nanoseconds(options_.idle_ns);
    const bool timed_out = work_.wait_for(mutex_, idle) == std::cv_status::timeout;
    --free_;
    if (timed_out && queue_.empty() && !stopping_ && threads_ > options_.threads_min) break;
  }
  CountThreads(threads_ - 1);
  // Under the lock: Stop may destroy the pool as soon as it sees zero.
  if (threads_ == 0) drained_.notify_all();
  mutex_.unlock();
}

bool NotificationPool::DeliverOne() {
  KTLSIM_ASSERT(options_.stepped && CurrentLevel() == Level::kPassive);
  Request* request = nullptr;
  {
    MutexLock lock(mutex_);
    request = queue_.PopFront();
  }
  if (request == nullptr) return false;
  Deliver(*request);
  return true;
}

std::size_t NotificationPool::waiting() {
  MutexLock lock(mutex_);
  return queue_.size();
}

void NotificationPool::Deliver(Request& request) {
  owner_.about_to(owner_.context, request);
  const AsyncContextTable::Notification notification = contexts_.EnterCallback(*request.context_);
  // The context, and `request` with it, may now be reused by its owner.
  const bool outer = std::exchange(in_callback, true);
  notification.Invoke();
  in_callback = outer;
  contexts_.FinishCallback(notification);
  delivered_.fetch_add(1, std::memory_order_relaxed);
  owner_.ended(owner_.context);
}

bool NotificationPool::NeedsThread() const {
  return free_ < queue_.size() && threads_ < options_.threads_max;
}

void NotificationPool::KeeperMain() {
  pthread_setname_np(pthread_self(), "ktlsim-keeper");
  mutex_.lock();
  while (!stopping_ || !queue_.empty()) {
    if (!NeedsThread()) {
      if (stopping_) break;
      keeper_asleep_ = true;
      keeper_.wait(mutex_);
      keeper_asleep_ = false;
      continue;
    }
    const std::uint64_t due = queue_.front()->enqueued_ns_ + options_.patience_ns;
    const std::uint64_t now = MonotonicClock::Now();
    if (now < due) {
      keeper_.wait_for(mutex_, std::chrono::nanoseconds(due - now));
      continue;
    }
    if (!StartThread()) keeper_.wait_for(mutex_, std::chrono::milliseconds(10));
    // Give the new thread its chance before judging again.
    if (NeedsThread()) keeper_.wait_for(mutex_, std::chrono::nanoseconds(options_.patience_ns));
  }
  mutex_.unlock();
}

}  // namespace ktlsim::executive
