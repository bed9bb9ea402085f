#include "kernel_sim/base/passive_worker.h"

#include <exception>
#include <new>
#include <utility>

#include "kernel_sim/base/stepping.h"

namespace ktlsim {

PassiveWorker::~PassiveWorker() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    threads = std::move(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool PassiveWorker::Add(Job job) {
  if (Stepping* stepping = Stepping::Current()) {
    stepping->RunAtPassive(*job.item);
    return true;
  }
  MutexLock lock(mutex_);
  try {
    items_.push_back(std::move(job));
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (items_.size() > idle_ && threads_.size() < threads_max_) {
    try {
      // For everybody, and not as the Unix user that the caller may have at the moment.
      const ThreadIdentity::Scope as_process;
      threads_.emplace_back([this] { Main(); });
    } catch (const std::exception&) {  // no thread, or no memory for its handle
      if (threads_.empty()) {
        items_.pop_back();
        return false;
      }
    }
  }
  changed_.notify_one();
  return true;
}

void PassiveWorker::Main() {
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      ++idle_;
      while (items_.empty() && !stopping_) changed_.wait(mutex_);
      --idle_;
      if (items_.empty()) return;
      job = std::move(items_.front());
      items_.pop_front();
    }
    // From here on the identity is the slot's alone, which is empty again after the item.
    const bool refused = ThreadIdentity::Assume(std::move(job.identity)) != 0;
    (refused ? job.refused : job.item)->Run();
    ThreadIdentity::Exchange(nullptr);
  }
}

}  // namespace ktlsim
