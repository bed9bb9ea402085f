// Runtime: the process-wide side of the library. Tables of handles, the executive, the packages.
//
// One per process and never destroyed: a callback or a late thread may outlive main().
#pragma once

#include <sspi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/runtime_state.h"

namespace ktlsim::sspi {

// Who has work of its own that a stop ends. Both are called at passive level, one after the other.
class RuntimeWatcher {
 public:
  // The library stops: whoever waits in a callback has to come back. May wait.
  virtual void OnStop() = 0;
  // It runs again. Does not wait.
  virtual void OnStart() = 0;

 protected:
  ~RuntimeWatcher() = default;
};

enum class Impersonation : std::uint8_t {
  kTokensOnly,  // a thread that impersonates keeps the process's Unix identity
  kUnixUsers,   // it takes on the client's
};

class Runtime final : private PackageHost {
 public:
  static Runtime& Instance() {
    Runtime* runtime = instance_.load(std::memory_order_acquire);
    return runtime != nullptr ? *runtime : MakeInstance();
  }

  // The running executive; starts it with defaults on the first use. Null: *failure says why
  // (stopped, stopping, forked, or the start failed). Any level once it runs.
  //
  // Valid for the rest of the process: a slow submitter finds it stopped, or started again.
  executive::Executive* Executive(SECURITY_STATUS* failure) {
    if (state_.load(std::memory_order_acquire) == RuntimeState::kRunning) return executive_;
    return StartOnFirstUse(failure);
  }
  // As Executive, but never starts it.
  executive::Executive* ExecutiveIfRunning() {
    return state_.load(std::memory_order_acquire) == RuntimeState::kRunning ? executive_ : nullptr;
  }
  // For figures, which can be read in every state. Null: never started, or forked.
  const executive::Executive* ExecutiveForFigures() const {
    switch (state_.load(std::memory_order_acquire)) {
      case RuntimeState::kNeverStarted:
      case RuntimeState::kForked:
        return nullptr;
      case RuntimeState::kRunning:
      case RuntimeState::kStopping:
      case RuntimeState::kStopped:
        break;
    }
    return executive_;
  }
  // For a caller with a call in flight, which keeps the executive running.
  executive::Executive& ExecutiveInFlight() { return *executive_; }

  // Never waits for a stop, nor for anything that a callback could be waiting for.
  // SEC_E_INVALID_PARAMETER: it runs already; SEC_E_SHUTDOWN_IN_PROGRESS: a stop is under way;
  // SEC_E_INSUFFICIENT_MEMORY, SEC_E_INTERNAL_ERROR: nothing is left running.
  SECURITY_STATUS Start(const executive::ExecutiveOptions& options,
                        Impersonation impersonation = Impersonation::kTokensOnly);
  SECURITY_STATUS Stop();

  // `watcher` lives for the rest of the process; there is one. A stop of a library that never ran
  // is told, too, and its end at once. If the library is stopped already, OnStop is called before
  // this returns, and may not wait yet. Passive level.
  void Watch(RuntimeWatcher& watcher) KTLSIM_EXCLUDES(start_mutex_);

  executive::AsyncContextTable& async_contexts() { return async_contexts_; }
  executive::ObjectTable& security_contexts() { return security_contexts_; }
  executive::ObjectTable& credentials() { return credentials_; }

  // Null: no package of that name. Names are compared without regard to case (ASCII).
  Package* FindPackage(std::string_view name);
  // Makes `package` known under its names; it must live for the rest of the process. For tests and
  // for packages of the embedding program. May throw bad_alloc.
  void RegisterPackage(Package& package);
  // All of them, in the order in which names are looked up. May throw bad_alloc.
  std::vector<Package*> Packages();

  // For the embedding program: clients that are authenticated from now on get their tokens from
  // `mapper`; null, as at the beginning: they get none. Mappings that are under way end as they
  // would have. Any thread, up to dispatch level; what the earlier mapper's destructor needs comes
  // on top.
  void UseIdentityMapper(std::shared_ptr<security::IdentityMapper> mapper)
      KTLSIM_EXCLUDES(mapper_lock_);
  // *number tells one from all earlier ones; 0: there is none.
  std::shared_ptr<security::IdentityMapper> identity_mapper(std::uint64_t* number)
      KTLSIM_EXCLUDES(mapper_lock_);

  PackageCounters& counters() override { return counters_; }

 private:
  friend class NeverDestroyed<Runtime>;
  Runtime();

  // What packages see, besides the counters.
  void NoteReason(std::initializer_list<std::string_view> parts) override;
  unsigned processor_count() const override;
  unsigned processor_index() const override;
  const Clock& clock() const override { return clock_; }
  std::int64_t wall_seconds() const override;
  bool FillRandom(std::span<std::byte> bytes) override;
  executive::Reference<CredentialObject> FindCredential(const SecHandle* handle) override;
  SECURITY_STATUS AddContext(const SecHandle& like, std::unique_ptr<PackageContext> context,
                             SecHandle* handle) override;
  void EndContext(const SecHandle& handle) override;

  static Runtime& MakeInstance();
  static bool RegisterForkHandlers();
  static void BeforeFork();
  static void AfterForkInParent();
  static void AfterForkInChild();
  void UnlockAfterFork();
  executive::Executive* StartOnFirstUse(SECURITY_STATUS* failure);
  SECURITY_STATUS StartLocked(const executive::ExecutiveOptions& options,
                              Impersonation impersonation) KTLSIM_REQUIRES(start_mutex_);
  bool PrepareProcess() KTLSIM_REQUIRES(start_mutex_);
  void TellWatcher(void (RuntimeWatcher::*what)());
  // The only function that changes the state: under `start_mutex_`, or alone in a forked child.
  void Move(RuntimeEvent event);

  static inline constinit std::atomic<Runtime*> instance_{nullptr};

  MonotonicClock clock_;
  executive::AsyncContextTable async_contexts_{clock_};
  executive::ObjectTable security_contexts_;
  executive::ObjectTable credentials_;
  PackageCounters counters_;

  // Held for a start, and while the state changes; not while a stop drains.
  Mutex start_mutex_;
  bool fork_handlers_ KTLSIM_GUARDED_BY(start_mutex_) = false;  // registered
  bool exit_handler_ KTLSIM_GUARDED_BY(start_mutex_) = false;
  // Made by the first start of a process and never destroyed. Written before the state becomes
  // kRunning, and read only by threads that have seen that state.
  executive::Executive* executive_ = nullptr;
  bool inherited_ = false;  // from the process that forked this one: tables and executive
  std::atomic<RuntimeState> state_{RuntimeState::kNeverStarted};
  std::atomic<RuntimeWatcher*> watcher_{nullptr};
  std::atomic<std::uint32_t> stops_{0};  // stops that have ended; a second KtlsimStop waits for it

  Mutex packages_mutex_;
  // In addition to those of AllPackages().
  std::vector<Package*> packages_ KTLSIM_GUARDED_BY(packages_mutex_);

  SpinLock mapper_lock_;
  std::shared_ptr<security::IdentityMapper> mapper_ KTLSIM_GUARDED_BY(mapper_lock_);
  std::uint64_t mappers_ KTLSIM_GUARDED_BY(mapper_lock_) = 0;  // so many were used
};

}  // namespace ktlsim::sspi
