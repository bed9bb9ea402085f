// PassiveWorker: threads for the few calls that may block: CompleteAuthToken, which TLS never needs
// but packages that return SEC_I_COMPLETE_NEEDED do; reads of files that are not in memory.
//
// An item runs as the process, or as the one who handed it in: under the identity of that thread at
// that moment.
//
// A thread is started when there is work and none is idle, up to `threads_max`; with one, items run
// in their order.
#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/work_item.h"

namespace ktlsim {

class PassiveWorker {
 public:
  explicit PassiveWorker(unsigned threads_max = 1) : threads_max_(threads_max) {}
  ~PassiveWorker();
  PassiveWorker(const PassiveWorker&) = delete;
  PassiveWorker& operator=(const PassiveWorker&) = delete;

  // Runs `item` once at passive level, as the process. False: there is no thread or memory, and it
  // will not run. Any level.
  [[nodiscard]] bool Run(WorkItem& item) { return Add({&item, nullptr, nullptr}); }
  // The same as whom the caller acts. Where the thread cannot take that one's Unix user on,
  // `refused` runs instead, as the process.
  [[nodiscard]] bool RunAsCaller(WorkItem& item, WorkItem& refused) {
    return Add({&item, &refused, ThreadIdentity::Get()});
  }

 private:
  struct Job {
    WorkItem* item = nullptr;
    WorkItem* refused = nullptr;  // null: as the process
    IdentityRef identity;
  };

  bool Add(Job job);
  void Main();

  const unsigned threads_max_;

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Job> items_ KTLSIM_GUARDED_BY(mutex_);
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  unsigned idle_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim
