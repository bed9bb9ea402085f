#include "kernel_sim/sspi/runtime.h"

#include <pthread.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include "io/uring.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/tls_package.h"

namespace ktlsim::sspi {
namespace {

thread_local std::string last_error_text;

// How long exit() waits for callbacks that were entered before.
constexpr std::uint64_t kExitPatienceNs = kNsPerSecond;

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return LowerAscii(x) == LowerAscii(y); });
}

}  // namespace

void SetLastErrorText(std::string text) { last_error_text = std::move(text); }
const char* LastErrorText() { return last_error_text.c_str(); }

Runtime& Runtime::MakeInstance() {
  // Leaked on purpose: threads may still be in a call while static objects are destroyed.
  static Runtime* const runtime = new Runtime();
  instance_.store(runtime, std::memory_order_release);
  return *runtime;
}

Runtime::Runtime() {
  readings_.Close();
  packages_.push_back(&TlsPackage::Instance());
  pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
}

// What is shared is copied in one piece, and the child can use it: no thread that could unlock it
// exists there. The first lock keeps forks apart; who is inside the gate takes all the others.
KTLSIM_NO_THREAD_SAFETY void Runtime::BeforeFork() {
  Runtime& runtime = Instance();
  runtime.packages_mutex_.lock();
  ForkGate::Close();
  LockCertificates();
  LockContextBuffers();
  runtime.security_contexts_.lock();
  runtime.credentials_.lock();
  runtime.async_contexts_.lock();
}

KTLSIM_NO_THREAD_SAFETY void Runtime::UnlockAfterFork() {
  async_contexts_.unlock();
  credentials_.unlock();
  security_contexts_.unlock();
  UnlockContextBuffers();
  UnlockCertificates();
}

KTLSIM_NO_THREAD_SAFETY void Runtime::AfterForkInParent() {
  Runtime& runtime = Instance();
  runtime.UnlockAfterFork();
  ForkGate::Open();
  runtime.packages_mutex_.unlock();
}

// Threads do not survive a fork: the child's calls fail until it starts a runtime of its own.
// Two processes that seal with the same keys would repeat nonces: the parent keeps them, and the
// child cannot even find them.
KTLSIM_NO_THREAD_SAFETY void Runtime::AfterForkInChild() {
  Runtime& runtime = Instance();
  runtime.UnlockAfterFork();
  ForkGate::OpenInChild();
  runtime.packages_mutex_.unlock();
  // A start or a stop may have held it, on a thread that is not here.
  new (&runtime.start_mutex_) Mutex();
  runtime.Move(RuntimeEvent::kFork);
  runtime.readings_.CloseAfterFork();
  runtime.security_contexts_.Hide();
  runtime.credentials_.Hide();
  runtime.inherited_ = true;
}

void Runtime::Move(RuntimeEvent event) {
  const RuntimeState before = state_.load(std::memory_order_relaxed);
  const RuntimeState after = kRuntimeTable.After(before, event);
  Trace("runtime_state", static_cast<std::uint64_t>(after), static_cast<std::uint64_t>(before));
  // Release: who sees that it runs sees the executive, too.
  state_.store(after, std::memory_order_release);
}

executive::Executive* Runtime::StartOnFirstUse(SECURITY_STATUS* failure) {
  switch (state_.load(std::memory_order_acquire)) {
    case RuntimeState::kRunning:
      return executive_.get();
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
  if (state_.load(std::memory_order_acquire) == RuntimeState::kNeverStarted) {
    *failure = StartLocked({});
    if (*failure != SEC_E_OK) return nullptr;
  }
  return executive_.get();
}

SECURITY_STATUS Runtime::StartLocked(executive::ExecutiveOptions options) {
  if (!options.ring_factory) {
    options.ring_factory = [] { return io::CreateUring(io::UringOptions()); };
  }
  auto executive = std::make_unique<executive::Executive>(async_contexts_);
  if (Status status = executive->Start(options); !status.ok()) {
    const std::string detail = io::LastProbeText();
    SetLastErrorText(detail.empty() ? status.ToString() : status.ToString() + ": " + detail);
    return status.category() == Category::kResource ? SEC_E_INSUFFICIENT_MEMORY
                                                    : SEC_E_INTERNAL_ERROR;
  }
  if (std::exchange(inherited_, false)) {
    // The threads of the parent's executive do not exist here: it cannot be destroyed.
    // NOLINTNEXTLINE(bugprone-unused-return-value): left where it is
    static_cast<void>(executive_.release());
    security_contexts_.CloseAll();
    credentials_.CloseAll();
  }
  static const int registered =
      std::atexit([] { executive::CallbackGate::Close(kExitPatienceNs); });
  static_cast<void>(registered);  // without it, callbacks may come while the process ends
  executive_ = std::move(executive);
  readings_.Reopen();
  Move(RuntimeEvent::kStart);
  return SEC_E_OK;
}

SECURITY_STATUS Runtime::Start(const executive::ExecutiveOptions& options) {
  MutexLock lock(start_mutex_);
  // A stop in progress holds the lock: a start waits for its end.
  if (!kRuntimeTable.Legal(state_.load(std::memory_order_acquire), RuntimeEvent::kStart)) {
    SetLastErrorText("ktlsim runs already: call KtlsimStop first");
    return SEC_E_INVALID_PARAMETER;
  }
  return StartLocked(options);
}

SECURITY_STATUS Runtime::Stop() {
  if (CurrentLevel() != Level::kPassive || executive::NotificationPool::InCallback()) {
    executive::ReportMisuse("KtlsimStop inside a callback or above passive level");
    return SEC_E_INVALID_PARAMETER;
  }
  MutexLock lock(start_mutex_);
  if (!kRuntimeTable.Legal(state_.load(std::memory_order_acquire), RuntimeEvent::kStop)) {
    return SEC_E_OK;  // nothing runs
  }
  Move(RuntimeEvent::kStop);
  readings_.Close();
  readings_.WaitUntilDrained();
  executive_->Stop();
  Move(RuntimeEvent::kDrained);
  return SEC_E_OK;
}

Package* Runtime::FindPackage(std::string_view name) {
  MutexLock lock(packages_mutex_);
  for (Package* package : packages_) {
    for (std::string_view known : package->Names()) {
      if (SameName(known, name)) return package;
    }
  }
  return nullptr;
}

void Runtime::RegisterPackage(Package& package) {
  MutexLock lock(packages_mutex_);
  if (std::find(packages_.begin(), packages_.end(), &package) == packages_.end()) {
    packages_.push_back(&package);
  }
}

}  // namespace ktlsim::sspi
