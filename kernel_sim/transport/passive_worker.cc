#include "kernel_sim/transport/passive_worker.h"

#include <new>
#include <system_error>
#include <utility>

namespace ktlsim::transport {

PassiveWorker::~PassiveWorker() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

bool PassiveWorker::Run(WorkItem& item) {
  MutexLock lock(mutex_);
  try {
    items_.push_back(&item);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { Main(); });
    } catch (const std::system_error&) {
      items_.pop_back();
      return false;
    }
  }
  changed_.notify_one();
  return true;
}

void PassiveWorker::Main() {
  for (;;) {
    WorkItem* item = nullptr;
    {
      MutexLock lock(mutex_);
      while (items_.empty() && !stopping_) changed_.wait(mutex_);
      if (items_.empty()) return;
      item = items_.front();
      items_.pop_front();
    }
    item->Run();
  }
}

}  // namespace ktlsim::transport
