// DigestRealm: a realm's users, as a credential of WDigest has them. RealmUsers: those that count
// now, for all listeners of the realm and over reloads.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/serve/digest_guard.h"

namespace ktlsim::command {

// Immutable.
class DigestRealm {
 public:
  // A mark of each line of the file of users, in order: the line cannot be read from it.
  using Marks = std::vector<std::string>;

  // Reads the file of users. Null: `*error` says what is wrong and the remedy. Passive level; the
  // library is started.
  static std::shared_ptr<const DigestRealm> Make(const ListenerConfig& config,
                                                 std::uint32_t store_wait_ms, std::string* error);
  // Passive level.
  ~DigestRealm();
  DigestRealm(const DigestRealm&) = delete;
  DigestRealm& operator=(const DigestRealm&) = delete;

  const CredHandle& credential() const { return credential_; }
  const Marks& marks() const { return marks_; }

 private:
  DigestRealm() { SecInvalidateHandle(&credential_); }

  CredHandle credential_;
  Marks marks_;
};

// Whether a line of `before` is missing in `after`: a user has gone, or has another password.
bool HasLostLine(const DigestRealm::Marks& before, const DigestRealm::Marks& after);

class RealmUsers final : public serve::DigestCredentials {
 public:
  explicit RealmUsers(std::shared_ptr<const DigestRealm> realm) : realm_(std::move(realm)) {}

  // From now on `realm` counts, also on connections that are older. True: a user has gone, or has
  // another password. Passive level.
  bool Use(std::shared_ptr<const DigestRealm> realm) KTLSIM_EXCLUDES(lock_);

  CredHandle Current() override KTLSIM_EXCLUDES(lock_);

 private:
  SpinLock lock_;
  std::shared_ptr<const DigestRealm> realm_ KTLSIM_GUARDED_BY(lock_);
};

// The users of every realm that is in use.
class Realms {
 public:
  // Those of the realm `name`, which are `realm` if there were none yet. Any thread.
  std::shared_ptr<RealmUsers> UsersOf(const std::string& name,
                                      const std::shared_ptr<const DigestRealm>& realm)
      KTLSIM_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<RealmUsers>> users_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
