// Runtime: the process-wide side of the library. Tables of handles, the executive, the packages.
//
// One per process and never destroyed: a callback or a late thread may outlive main().
#pragma once

#include <sspi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/runtime_state.h"

namespace ktlsim::sspi {

class Runtime {
 public:
  static Runtime& Instance() {
    Runtime* runtime = instance_.load(std::memory_order_acquire);
    return runtime != nullptr ? *runtime : MakeInstance();
  }

  // The running executive; starts it with defaults on the first use. Null: *failure says why
  // (stopped, stopping, forked, or the start failed). Any level once it runs.
  executive::Executive* Executive(SECURITY_STATUS* failure) {
    if (state_.load(std::memory_order_acquire) == RuntimeState::kRunning) return executive_.get();
    return StartOnFirstUse(failure);
  }
  // As Executive, but never starts it.
  executive::Executive* ExecutiveIfRunning() {
    return state_.load(std::memory_order_acquire) == RuntimeState::kRunning ? executive_.get()
                                                                            : nullptr;
  }

  // Reading counters, at any level: what runs stays until the reading is over. Short, and never
  // blocks, because a stop waits for it.
  class Reading {
   public:
    explicit Reading(Runtime& runtime) : runtime_(runtime), entered_(runtime.readings_.Enter()) {}
    ~Reading() {
      if (entered_) runtime_.readings_.Leave();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    // Null: nothing runs.
    const executive::Executive* executive() const {
      return entered_ ? runtime_.executive_.get() : nullptr;
    }

   private:
    Runtime& runtime_;
    const bool entered_;
  };

  // For who holds a call in flight: it keeps the executive from ending.
  executive::Executive& ExecutiveInFlight() { return *executive_; }

  // SEC_E_INVALID_PARAMETER when it runs already.
  SECURITY_STATUS Start(const executive::ExecutiveOptions& options);
  SECURITY_STATUS Stop();

  executive::AsyncContextTable& async_contexts() { return async_contexts_; }
  executive::ObjectTable& security_contexts() { return security_contexts_; }
  executive::ObjectTable& credentials() { return credentials_; }

  // Null: no package of that name. Names are compared without regard to case (ASCII).
  Package* FindPackage(std::string_view name);
  // Makes `package` known under its names; it must live for the rest of the process. For tests and
  // for packages of the embedding program.
  void RegisterPackage(Package& package);

  // Counters that packages report to.
  struct Counters {
    StripedCounter handshakes_completed;
    StripedCounter handshakes_failed;
    StripedCounter resumed;
    StripedCounter records_sealed;
    StripedCounter records_opened;
  };
  Counters& counters() { return counters_; }

 private:
  Runtime();
  static Runtime& MakeInstance();
  static void BeforeFork();
  static void AfterForkInParent();
  static void AfterForkInChild();
  void UnlockAfterFork();
  executive::Executive* StartOnFirstUse(SECURITY_STATUS* failure);
  SECURITY_STATUS StartLocked(executive::ExecutiveOptions options) KTLSIM_REQUIRES(start_mutex_);
  // The only one who changes the state: under `start_mutex_`, or alone in a forked child.
  void Move(RuntimeEvent event);

  static inline constinit std::atomic<Runtime*> instance_{nullptr};

  MonotonicClock clock_;
  executive::AsyncContextTable async_contexts_{clock_};
  executive::ObjectTable security_contexts_;
  executive::ObjectTable credentials_;
  Counters counters_;

  Mutex start_mutex_;
  Rundown readings_;  // open while something runs
  // Replaced only while no call can be using it; the last one is kept for late readers.
  std::unique_ptr<executive::Executive> executive_;
  bool inherited_ = false;  // from the process that forked this one: tables and executive
  std::atomic<RuntimeState> state_{RuntimeState::kNeverStarted};

  Mutex packages_mutex_;
  std::vector<Package*> packages_ KTLSIM_GUARDED_BY(packages_mutex_);
};

// The text behind KtlsimLastErrorText, per thread.
void SetLastErrorText(std::string text);
const char* LastErrorText();

}  // namespace ktlsim::sspi
