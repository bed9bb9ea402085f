#include "kernel_sim/sspi/runtime.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "io/uring.h"
#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/packages/all_packages.h"
#include "kernel_sim/unix_identity/real_impersonation.h"

namespace ktlsim::sspi {
namespace {

// How long exit() waits for callbacks that were entered before.
constexpr std::uint64_t kExitPatienceNs = kNsPerSecond;

// Without memory the text may be lost; the status is still right.
SECURITY_STATUS FailedStart(const Status& status) {
  try {
    const std::string detail = io::LastProbeText();
    NoteReason({status.ToString(), detail.empty() ? "" : ": ", detail});
  } catch (const std::bad_alloc&) {
    NoteReason(status.what());
  }
  return status.category() == Category::kResource ? SEC_E_INSUFFICIENT_MEMORY
                                                  : SEC_E_INTERNAL_ERROR;
}

// Empty: done; else why not.
std::string UseImpersonation(Impersonation impersonation) {
  if (impersonation == Impersonation::kUnixUsers) return unix_identity::Begin();
  unix_identity::End();
  return {};
}

// Nothing runs, and nothing will before the next KtlsimStart.
bool IsStopped(RuntimeState state) {
  return state == RuntimeState::kStopping || state == RuntimeState::kStopped;
}

}  // namespace

Runtime& Runtime::MakeInstance() {
  static NeverDestroyed<Runtime> runtime;
  instance_.store(&runtime.get(), std::memory_order_release);
  return runtime.get();
}

Runtime::Runtime() : fork_handlers_(RegisterForkHandlers()) {
  // Processors may be in the middle of a handshake when the process exits, so OpenSSL must not
  // clean up before them. (It does, where the program itself was the first to use OpenSSL.)
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  SetTraceStatusName(&KtlsimStatusName);
  for (Package* package : AllPackages()) package->SetHost(*this);
}

void Runtime::Move(RuntimeEvent event) {
  const RuntimeState before = state_.load(std::memory_order_relaxed);
  const RuntimeState after = kRuntimeTable.After(before, event);
  Trace("runtime_state", static_cast<std::uint64_t>(after), static_cast<std::uint64_t>(before));
  // Release: a thread that sees that it runs sees the executive, too.
  state_.store(after, std::memory_order_release);
}

executive::Executive* Runtime::StartOnFirstUse(SECURITY_STATUS* failure) {
  switch (state_.load(std::memory_order_acquire)) {
    case RuntimeState::kRunning:
      return executive_;
    case RuntimeState::kStopping:
    case RuntimeState::kStopped:
      *failure = SEC_E_SHUTDOWN_IN_PROGRESS;
      return nullptr;
    case RuntimeState::kForked:
      *failure = SEC_E_INTERNAL_ERROR;
      return nullptr;
    case RuntimeState::kNeverStarted:
      break;
  }
  MutexLock lock(start_mutex_);
  // Another thread may have started it meanwhile, and even stopped it.
  if (state_.load(std::memory_order_acquire) == RuntimeState::kNeverStarted) {
    *failure = StartLocked({}, Impersonation::kTokensOnly);
    if (*failure != SEC_E_OK) return nullptr;
  }
  return executive_;
}

// Once in a process; a part that failed for lack of memory is tried again by the next start.
bool Runtime::PrepareProcess() {
  if (!fork_handlers_) fork_handlers_ = RegisterForkHandlers();
  if (!exit_handler_) {
    exit_handler_ = std::atexit([] { executive::CallbackGate::Close(kExitPatienceNs); }) == 0;
  }
  return fork_handlers_ && exit_handler_;
}

SECURITY_STATUS Runtime::StartLocked(const executive::ExecutiveOptions& options,
                                     Impersonation impersonation) {
  // The threads that start here are everybody's.
  const ThreadIdentity::Scope as_process;
  if (!PrepareProcess()) return FailedStart(ResourceError("memory for the process's handlers"));
  if (executive_ == nullptr || inherited_) {
    // The threads of the parent's executive do not exist here: it is left as it is.
    auto* const made = new (std::nothrow) executive::Executive(async_contexts_);
    if (made == nullptr) return FailedStart(ResourceError("memory for the executive"));
    executive_ = made;
    if (std::exchange(inherited_, false)) {
      security_contexts_.CloseAll();
      credentials_.CloseAll();
    }
  }
  const bool real_before = unix_identity::InForce();
  try {
    const std::string wrong = UseImpersonation(impersonation);
    if (!wrong.empty()) {
      NoteReason({"real impersonation: ", wrong});
      return SEC_E_NO_IMPERSONATION;
    }
  } catch (const std::bad_alloc&) {
    return FailedStart(ResourceError("memory for real impersonation"));
  }
  Status status;
  try {
    executive::ExecutiveOptions complete = options;
    if (!complete.ring_factory) {
      complete.ring_factory = [] { return io::CreateUring(io::UringOptions()); };
    }
    status = executive_->Start(complete);
  } catch (const std::bad_alloc&) {
    status = ResourceError("memory for the options");
  }
  if (!status.ok()) {
    if (!real_before) unix_identity::End();
    return FailedStart(status);
  }
  Move(RuntimeEvent::kStart);
  TellWatcher(&RuntimeWatcher::OnStart);
  return SEC_E_OK;
}

SECURITY_STATUS Runtime::Start(const executive::ExecutiveOptions& options,
                               Impersonation impersonation) {
  MutexLock lock(start_mutex_);
  switch (state_.load(std::memory_order_acquire)) {
    case RuntimeState::kRunning:
      sspi::NoteReason("ktlsim runs already: call KtlsimStop first");
      return SEC_E_INVALID_PARAMETER;
    case RuntimeState::kStopping:
      // The stop may be waiting for the very callback that this is called in, or that waits for it.
      sspi::NoteReason("another thread is in KtlsimStop: start when that has returned");
      return SEC_E_SHUTDOWN_IN_PROGRESS;
    case RuntimeState::kNeverStarted:
    case RuntimeState::kStopped:
    case RuntimeState::kForked:
      break;
  }
  return StartLocked(options, impersonation);
}

// With the lock: a watcher that comes during a start or a stop is told by this or by that.
void Runtime::Watch(RuntimeWatcher& watcher) {
  const MutexLock lock(start_mutex_);
  watcher_.store(&watcher, std::memory_order_release);
  if (IsStopped(state_.load(std::memory_order_relaxed))) watcher.OnStop();
}

void Runtime::TellWatcher(void (RuntimeWatcher::*what)()) {
  if (RuntimeWatcher* const watcher = watcher_.load(std::memory_order_acquire)) (watcher->*what)();
}

SECURITY_STATUS Runtime::Stop() {
  if (CurrentLevel() != Level::kPassive || executive::NotificationPool::InCallback()) {
    executive::ReportMisuse("KtlsimStop inside a callback or above passive level");
    return SEC_E_INVALID_PARAMETER;
  }
  bool ours = false;
  RuntimeState state{};
  std::uint32_t ended = 0;
  {
    MutexLock lock(start_mutex_);
    state = state_.load(std::memory_order_acquire);
    ours = kRuntimeTable.Legal(state, RuntimeEvent::kStop);
    ended = stops_.load(std::memory_order_relaxed);
    if (ours) Move(RuntimeEvent::kStop);
  }
  if (!ours && state != RuntimeState::kStopping) {  // nothing runs
    if (state == RuntimeState::kStopped) return SEC_E_OK;
    TellWatcher(&RuntimeWatcher::OnStop);
    MutexLock lock(start_mutex_);
    // If another thread has started and stopped it meanwhile, the end is the next start's to tell.
    if (!IsStopped(state_.load(std::memory_order_relaxed))) TellWatcher(&RuntimeWatcher::OnStart);
    return SEC_E_OK;
  }
  if (!ours) {
    stops_.wait(ended, std::memory_order_acquire);
    return SEC_E_OK;
  }
  // Before the callbacks are waited for: they may wait for what this ends.
  TellWatcher(&RuntimeWatcher::OnStop);
  executive_->Stop();
  {
    MutexLock lock(start_mutex_);
    Move(RuntimeEvent::kDrained);
    stops_.fetch_add(1, std::memory_order_release);
  }
  stops_.notify_all();
  return SEC_E_OK;
}

Package* Runtime::FindPackage(std::string_view name) {
  const auto has_it = [name](Package& package) {
    return std::ranges::any_of(package.Names(), [name](std::string_view known) {
      return EqualsIgnoringCase(known, name);
    });
  };
  for (Package* package : AllPackages()) {
    if (has_it(*package)) return package;
  }
  MutexLock lock(packages_mutex_);
  const auto found = std::ranges::find_if(packages_, [&](Package* each) { return has_it(*each); });
  return found != packages_.end() ? *found : nullptr;
}

void Runtime::RegisterPackage(Package& package) {
  MutexLock lock(packages_mutex_);
  if (std::ranges::find(packages_, &package) != packages_.end()) return;
  package.SetHost(*this);
  packages_.push_back(&package);
}

std::vector<Package*> Runtime::Packages() {
  const std::span<Package* const> always = AllPackages();
  std::vector<Package*> all(always.begin(), always.end());
  MutexLock lock(packages_mutex_);
  all.insert(all.end(), packages_.begin(), packages_.end());
  return all;
}

void Runtime::UseIdentityMapper(std::shared_ptr<security::IdentityMapper> mapper) {
  const SpinLockHolder holder(mapper_lock_);
  mapper_.swap(mapper);  // the earlier one is destroyed without the lock
  ++mappers_;
}

std::shared_ptr<security::IdentityMapper> Runtime::identity_mapper(std::uint64_t* number) {
  const SpinLockHolder holder(mapper_lock_);
  *number = mapper_ != nullptr ? mappers_ : 0;
  return mapper_;
}

void Runtime::NoteReason(std::initializer_list<std::string_view> parts) { sspi::NoteReason(parts); }

unsigned Runtime::processor_count() const {
  const executive::Executive* executive = ExecutiveForFigures();
  return executive != nullptr ? std::max(executive->processor_count(), 1U) : 1U;
}

unsigned Runtime::processor_index() const {
  const executive::Processor* here = executive::Processor::Current();
  return here != nullptr ? here->index() : 0;
}

std::int64_t Runtime::wall_seconds() const { return std::time(nullptr); }

bool Runtime::FillRandom(std::span<std::byte> bytes) {
  if (bytes.size() > std::size_t{std::numeric_limits<int>::max()}) return false;
  const ForkGate::Scope inside;
  auto* const out = reinterpret_cast<unsigned char*>(bytes.data());
  if (RAND_bytes(out, static_cast<int>(bytes.size())) == 1) return true;
  ERR_clear_error();
  return false;
}

executive::Reference<CredentialObject> Runtime::FindCredential(const SecHandle* handle) {
  return LookupCredential(handle);
}

SECURITY_STATUS Runtime::AddContext(const SecHandle& like, std::unique_ptr<PackageContext> context,
                                    SecHandle* handle) {
  const executive::Reference<ContextObject> other = LookupContext(&like);
  if (!other) return SEC_E_INVALID_HANDLE;
  std::unique_ptr<executive::Object> made(other->MakeBeside(std::move(context)));
  if (made == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  const executive::ObjectTable::Handle inserted = security_contexts_.Insert(made);
  if (inserted == 0) return SEC_E_INSUFFICIENT_MEMORY;
  *handle = MakeContextHandle(inserted);
  return SEC_E_OK;
}

void Runtime::EndContext(const SecHandle& handle) { static_cast<void>(CloseContext(&handle)); }

}  // namespace ktlsim::sspi
