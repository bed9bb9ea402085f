#include "kernel_sim/authority/local_accounts.h"

#include <pthread.h>

#include <ctime>
#include <new>
#include <utility>

#include "kernel_sim/authority/local_names.h"
#include "kernel_sim/authorization/directory_names.h"
#include "kernel_sim/authorization/process_token.h"

namespace ktlsim::authority {

using accounts::AccountService;

LocalAccounts& LocalAccounts::Instance() {
  static NeverDestroyed<LocalAccounts> accounts;
  return accounts.get();
}

// Registered after the runtime's fork handlers, so `lock_` is taken before those wait until nobody
// is in the middle of a directory or of a table of sessions; whoever is may wait for `lock_`.
LocalAccounts::LocalAccounts() {
  sspi::Runtime::Instance().Watch(*this);
  pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
  static constexpr LocalNames kNames;
  authorization::UseDirectoryNames(&kNames);
}

std::shared_ptr<AccountService> LocalAccounts::MakeService() const try {
  accounts::ServiceSurroundings surroundings;
  surroundings.clock = &clock_;
  surroundings.wall_seconds = [] { return std::int64_t{std::time(nullptr)}; };
  surroundings.new_luid = [] { return authorization::NextLuid(); };
  return std::make_shared<AccountService>(std::move(surroundings), accounts::ServiceLimits());
} catch (const std::bad_alloc&) {
  return nullptr;
}

std::shared_ptr<AccountService> LocalAccounts::present() {
  const SpinLockHolder holder(lock_);
  return held_ != nullptr && held_->forks == forks_ ? held_->service : nullptr;
}

std::shared_ptr<const accounts::Directory> LocalAccounts::directory() {
  std::shared_ptr<AccountService> service;
  {
    const SpinLockHolder holder(lock_);
    if (held_ != nullptr) service = held_->service;
  }
  return service != nullptr ? service->store().snapshot().directory : nullptr;
}

std::shared_ptr<AccountService> LocalAccounts::service() {
  if (std::shared_ptr<AccountService> service = present()) return service;
  std::shared_ptr<AccountService> made = MakeService();
  std::unique_ptr<Held> place(new (std::nothrow) Held());
  if (made == nullptr || place == nullptr) return nullptr;
  const SpinLockHolder holder(lock_);
  // Another thread may have been faster.
  if (held_ == nullptr || held_->forks != forks_) {
    if (held_ != nullptr) made->store().Use(held_->service->store().snapshot().directory);
    if (stopped_) made->EndLogons();
    place->service = std::move(made);
    place->forks = forks_;
    place->inherited = held_;
    held_ = place.release();
  }
  return held_->service;
}

std::string LocalAccounts::Load(const char* path) try {
  const MutexLock lock(change_);
  const std::shared_ptr<AccountService> accounts = service();
  if (accounts == nullptr) return std::string(accounts::kNoMemoryForAccounts);
  auto mapper = std::make_shared<accounts::DirectoryMapper>(accounts);
  std::string error = accounts->store().Load(path);
  if (error.empty()) sspi::Runtime::Instance().UseIdentityMapper(std::move(mapper));
  return error;
} catch (const std::bad_alloc&) {
  return std::string(accounts::kNoMemoryForAccounts);
}

bool LocalAccounts::Remove() {
  const MutexLock lock(change_);
  const std::shared_ptr<AccountService> accounts = service();
  if (accounts == nullptr) return false;
  sspi::Runtime::Instance().UseIdentityMapper(nullptr);
  accounts->store().Use(nullptr);
  accounts->EndLogons();
  const SpinLockHolder holder(lock_);
  if (!stopped_) accounts->AdmitLogons();
  return true;
}

accounts::LogonFault LocalAccounts::LogOn(const accounts::LogonRequest& request,
                                          const security::Token* caller,
                                          security::Token::Ref* token) {
  const std::shared_ptr<AccountService> accounts = service();
  return accounts != nullptr ? accounts->LogOn(request, caller, token)
                             : accounts::LogonFault::kNoMemory;
}

void LocalAccounts::SetStopped(bool stopped) {
  const SpinLockHolder holder(lock_);
  stopped_ = stopped;
}

void LocalAccounts::OnStop() {
  SetStopped(true);
  if (const std::shared_ptr<AccountService> accounts = present()) accounts->EndLogons();
}

void LocalAccounts::OnStart() {
  SetStopped(false);
  if (const std::shared_ptr<AccountService> accounts = present()) accounts->AdmitLogons();
}

KTLSIM_NO_THREAD_SAFETY void LocalAccounts::BeforeFork() { Instance().lock_.lock(); }
KTLSIM_NO_THREAD_SAFETY void LocalAccounts::AfterForkInParent() { Instance().lock_.unlock(); }

KTLSIM_NO_THREAD_SAFETY void LocalAccounts::AfterForkInChild() {
  LocalAccounts& accounts = Instance();
  ++accounts.forks_;
  accounts.stopped_ = false;
  accounts.lock_.unlock();
  // A change may have been under way, on a thread that does not exist here.
  new (&accounts.change_) Mutex();
}

}  // namespace ktlsim::authority
