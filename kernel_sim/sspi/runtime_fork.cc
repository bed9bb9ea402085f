// The runtime around a fork: what is locked before it, and what parent and child do after it.
#include <pthread.h>

#include <new>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {

bool Runtime::RegisterForkHandlers() {
  return pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild) == 0;
}

// All locks are held while the process is copied. Otherwise a child could inherit one that is held
// by a thread which does not exist there, and a table that is half changed. The first lock keeps
// forks apart; the gate comes before the others, because threads inside it take those.
KTLSIM_NO_THREAD_SAFETY void Runtime::BeforeFork() {
  Runtime& runtime = Instance();
  runtime.packages_mutex_.lock();
  ForkGate::Close();
  LockCertificates();
  LockContextBuffers();
  runtime.security_contexts_.lock();
  runtime.credentials_.lock();
  runtime.async_contexts_.lock();
  runtime.mapper_lock_.lock();
}

KTLSIM_NO_THREAD_SAFETY void Runtime::UnlockAfterFork() {
  mapper_lock_.unlock();
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

// Threads do not survive a fork: the child's calls fail until it starts a runtime of its own. Two
// processes that seal with the same keys would repeat nonces: the contexts stay with the parent,
// and the child's handle tables find none of them.
KTLSIM_NO_THREAD_SAFETY void Runtime::AfterForkInChild() {
  Runtime& runtime = Instance();
  runtime.UnlockAfterFork();
  ForkGate::OpenInChild();
  executive::CallbackGate::AfterForkInChild();
  executive::NotificationPool::ForgetCallback();
  runtime.packages_mutex_.unlock();
  // A start or a stop may have held it, on a thread that does not exist here.
  new (&runtime.start_mutex_) Mutex();
  runtime.Move(RuntimeEvent::kFork);
  runtime.security_contexts_.Hide();
  runtime.credentials_.Hide();
  runtime.inherited_ = true;
}

}  // namespace ktlsim::sspi
