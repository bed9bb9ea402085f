#include "kernel_sim/executive/notification_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/executive/left_identity.h"
#include "kernel_sim/executive/thread_error.h"

namespace ktlsim::executive {
namespace {

thread_local bool in_callback = false;

// How long the keeper waits after the system has refused a thread.
constexpr std::uint64_t kRetryNs = 10 * kNsPerMs;

NotificationPool::Options Clamped(NotificationPool::Options options) {
  options.threads_max = std::max(options.threads_max, 1U);
  options.threads_min = std::min(options.threads_min, options.threads_max);
  return options;
}

}  // namespace

NotificationPool::NotificationPool(AsyncContextTable& contexts, const Options& options,
                                   Owner& owner)
    : contexts_(contexts), options_(Clamped(options)), owner_(owner) {}

NotificationPool::~NotificationPool() {
  MutexLock lock(mutex_);
  KTLSIM_ASSERT(threads_ == 0 && queue_.empty());
  while (spare_ != nullptr) delete std::exchange(spare_, spare_->below);
}

bool NotificationPool::InCallback() { return in_callback; }
NotificationPool::CallbackScope::CallbackScope() : outer_(std::exchange(in_callback, true)) {}
NotificationPool::CallbackScope::~CallbackScope() { in_callback = in_callback && outer_; }
void NotificationPool::ForgetCallback() { in_callback = false; }

Status NotificationPool::Start() {
  if (options_.stepped) return {};
  MutexLock lock(mutex_);
  stopping_ = false;
  for (unsigned i = 0; i < options_.threads_min; ++i) {
    if (const Status status = StartThread(); !status.ok() && i == 0) return status;
  }
  if (!options_.keeper) return {};
  try {
    keeper_thread_ = std::thread([this] { KeeperMain(); });
  } catch (const std::exception& error) {
    return ThreadError(error, "start the keeper of the notification threads");
  }
  return {};
}

void NotificationPool::Stop() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive && !in_callback);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    while (Rest* const rest = CallOne()) rest->wake.notify_one();
    keeper_.notify_all();
  }
  if (keeper_thread_.joinable()) keeper_thread_.join();
  MutexLock lock(mutex_);
  while (threads_ != 0) drained_.wait(mutex_);
}

// The thread is detached and counted; Stop waits for the count. The lock is not held meanwhile,
// because making a thread can take long and processors have to enqueue.
Status NotificationPool::StartThread() {
  CountThreads(threads_ + 1);
  ++coming_;
  Rest* rest = spare_;
  if (rest != nullptr) spare_ = rest->below;
  mutex_.unlock();
  Status status;
  try {
    if (rest == nullptr) rest = new Rest;
    const auto body = [this, rest] { ThreadMain(*rest); };
    // For everybody's callbacks, and not as the Unix user that this thread may have at the moment.
    const ThreadIdentity::Scope as_process;
    if (options_.spawn) {
      options_.spawn(body);
    } else {
      std::thread(body).detach();
    }
  } catch (const std::exception& error) {
    status = ThreadError(error, "start the notification threads");
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
  mutex_.lock();
  if (!status.ok()) {
    --coming_;
    CountThreads(threads_ - 1);
    if (rest != nullptr) rest->below = std::exchange(spare_, rest);
  }
  return status;
}

void NotificationPool::CountThreads(unsigned threads) {
  threads_ = threads;
  threads_now_.store(threads, std::memory_order_relaxed);
  if (threads > threads_peak_.load(std::memory_order_relaxed)) {
    threads_peak_.store(threads, std::memory_order_relaxed);
  }
}

void NotificationPool::Enqueue(Request& request) {
  request.notice().enqueued_ns_ = NowNs();
  Rest* called = nullptr;
  bool wake_keeper = false;
  {
    MutexLock lock(mutex_);
    queue_.PushBack(request);
    called = CallOne();
    wake_keeper = keeper_asleep_ && coming_ < queue_.size();
  }
  if (called != nullptr) called->wake.notify_one();
  if (wake_keeper) keeper_.notify_one();
}

// The caller then notifies `wake`, with the lock or without.
NotificationPool::Rest* NotificationPool::CallOne() {
  Rest* const rest = resting_;
  if (rest == nullptr) return nullptr;
  resting_ = rest->below;
  rest->called = true;
  ++coming_;
  return rest;
}

void NotificationPool::ThreadMain(Rest& rest) {
  pthread_setname_np(pthread_self(), "ktlsim-notify");
  mutex_.lock();
  --coming_;
  for (;;) {
    if (Request* request = queue_.PopFront()) {
      mutex_.unlock();
      Deliver(*request);
      mutex_.lock();
      continue;
    }
    if (stopping_ || !WaitForWork(rest)) break;
  }
  rest.below = std::exchange(spare_, &rest);
  CountThreads(threads_ - 1);
  // Under the lock: Stop may destroy the pool as soon as it sees zero.
  if (threads_ == 0) drained_.notify_all();
  mutex_.unlock();
}

// The queue is empty. False: the thread has been idle for too long and is not needed.
bool NotificationPool::WaitForWork(Rest& rest) {
  rest.called = false;
  rest.below = std::exchange(resting_, &rest);
  const auto idle = std::chrono::nanoseconds(options_.idle_ns);
  while (!rest.called) {
    if (rest.wake.wait_for(mutex_, idle) == std::cv_status::no_timeout || rest.called) continue;
    if (threads_ <= options_.threads_min) continue;
    Leave(rest);
    return false;
  }
  --coming_;
  return true;
}

void NotificationPool::Leave(Rest& rest) {
  Rest** at = &resting_;
  while (*at != &rest) at = &(*at)->below;
  *at = rest.below;
}

unsigned NotificationPool::resting() {
  MutexLock lock(mutex_);
  unsigned count = 0;
  for (const Rest* rest = resting_; rest != nullptr; rest = rest->below) ++count;
  return count;
}

bool NotificationPool::DeliverOne() {
  KTLSIM_ASSERT(options_.stepped && CurrentLevel() == Level::kPassive);
  Request* request = nullptr;
  {
    MutexLock lock(mutex_);
    request = queue_.PopFront();
  }
  if (request == nullptr) return false;
  // The thread is this participant's for one step only.
  const ThreadIdentity::Scope own;
  Deliver(*request);
  return true;
}

std::size_t NotificationPool::waiting() {
  MutexLock lock(mutex_);
  return queue_.size();
}

void NotificationPool::Deliver(Request& request) {
  CallRecord* const record = owner_.OnCallbackDue(request);
  const AsyncContextTable::Notification notification = contexts_.EnterCallback(*request.context());
  // From here on the owner may reuse the context, and `request` with it.
  {
    const CallbackScope inside;
    const CallbackIdentity as_process;
    notification.Invoke();
  }
  contexts_.FinishCallback(notification);
  delivered_.fetch_add(1, std::memory_order_relaxed);
  owner_.OnCallbackEnded(record);
}

std::uint64_t NotificationPool::Grow() {
  MutexLock lock(mutex_);
  return GrowLocked();
}

// The queue is in order of time, and the threads that are coming will take its first callbacks. The
// next one after those has waited longest of all that no thread is coming for.
std::uint64_t NotificationPool::GrowLocked() {
  for (;;) {
    Request* const waiting = threads_ < options_.threads_max ? queue_.At(coming_) : nullptr;
    if (waiting == nullptr) return kNever;
    const std::uint64_t due = waiting->notice().enqueued_ns_ + options_.patience_ns;
    const std::uint64_t now = NowNs();
    if (now < due) return due;
    if (!StartThread().ok()) return now + kRetryNs;
  }
}

void NotificationPool::KeeperMain() {
  pthread_setname_np(pthread_self(), "ktlsim-keeper");
  mutex_.lock();
  while (!stopping_ || !queue_.empty()) {
    const std::uint64_t due = GrowLocked();
    if (due == kNever) {
      // There are as many threads as allowed, or every callback has one coming. Only an Enqueue
      // changes that.
      if (stopping_) break;
      keeper_asleep_ = true;
      keeper_.wait(mutex_);
      keeper_asleep_ = false;
      continue;
    }
    const std::uint64_t now = NowNs();
    if (now < due) keeper_.wait_for(mutex_, std::chrono::nanoseconds(due - now));
  }
  mutex_.unlock();
}

}  // namespace ktlsim::executive
