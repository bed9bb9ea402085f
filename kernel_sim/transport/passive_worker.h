// PassiveWorker: one thread for the few calls that may block (CompleteAuthToken), started by the
// first of them. TLS never needs it; packages that answer SEC_I_COMPLETE_NEEDED do.
#pragma once

#include <deque>
#include <thread>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/work_item.h"

namespace ktlsim::transport {

class PassiveWorker {
 public:
  PassiveWorker() = default;
  ~PassiveWorker();
  PassiveWorker(const PassiveWorker&) = delete;
  PassiveWorker& operator=(const PassiveWorker&) = delete;

  // Runs `item` once at passive level. False: there is no thread or memory, and it will not run.
  // Any level.
  [[nodiscard]] bool Run(WorkItem& item);

 private:
  void Main();

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<WorkItem*> items_ KTLSIM_GUARDED_BY(mutex_);
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  std::thread thread_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::transport
