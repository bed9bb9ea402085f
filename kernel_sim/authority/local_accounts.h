// LocalAccounts: the accounts of this process: who logs on with a password, and whom clients that
// TLS or Digest has authenticated are mapped to.
//
// What a newcomer gets wrong: a forked child does not share them. It has the directory as it was,
// with sessions, helper threads and delays of its own, and none of the passwords that sessions
// keep.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/accounts/account_service.h"
#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/security/token.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::authority {

class LocalAccounts final : private sspi::RuntimeWatcher {
 public:
  static LocalAccounts& Instance();

  // Reads `path`; from then on it counts, for logons and as the mapper of clients. Empty: it does.
  // Otherwise what is wrong, and what counted before goes on counting. Passive level, any thread.
  std::string Load(const char* path) KTLSIM_EXCLUDES(change_, lock_);
  // There are no accounts any more, and logons in progress end. False: no memory.
  bool Remove() KTLSIM_EXCLUDES(change_, lock_);

  // As AccountService::LogOn.
  accounts::LogonFault LogOn(const accounts::LogonRequest& request, const security::Token* caller,
                             security::Token::Ref* token);
  // The one that counts now; in a forked child the parent's, until it loads its own. Null: there is
  // none. Any thread, any level.
  std::shared_ptr<const accounts::Directory> directory() KTLSIM_EXCLUDES(lock_);
  // Null: no memory. Made on the first use of each process.
  std::shared_ptr<accounts::AccountService> service() KTLSIM_EXCLUDES(lock_);

 private:
  friend class NeverDestroyed<LocalAccounts>;

  // One process's. Those of the processes that this one was forked from are kept, untouched: their
  // threads do not exist here, so they could not end in order.
  struct Held {
    std::shared_ptr<accounts::AccountService> service;
    std::uint64_t forks = 0;
    Held* inherited = nullptr;
  };

  LocalAccounts();

  void OnStop() override;
  void OnStart() override;
  static void BeforeFork();
  static void AfterForkInParent();
  static void AfterForkInChild();

  std::shared_ptr<accounts::AccountService> MakeService() const;
  // Null: there is none of this process yet.
  std::shared_ptr<accounts::AccountService> present() KTLSIM_EXCLUDES(lock_);
  void SetStopped(bool stopped) KTLSIM_EXCLUDES(lock_);

  const MonotonicClock clock_;
  Mutex change_;  // one change after the other
  SpinLock lock_;
  Held* held_ KTLSIM_GUARDED_BY(lock_) = nullptr;
  std::uint64_t forks_ KTLSIM_GUARDED_BY(lock_) = 0;  // that led to this process
  bool stopped_ KTLSIM_GUARDED_BY(lock_) = false;     // the library was
};

}  // namespace ktlsim::authority
