// AccessControl: what `ktlsim serve --acl` needs once for the process: the accounts, the mapper
// that makes tokens of clients, and the audit trail.
//
// Passive level, one thread, except where it says otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kernel_sim/accounts/account_service.h"
#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/serve/access_guard.h"
#include "kernel_sim/unix_identity/identity_switch.h"

namespace ktlsim::command {

// A directory as a file had it.
struct LoadedAccounts {
  std::shared_ptr<const accounts::Directory> directory;  // null: no file was named
  std::string mark;                                      // of the file's content
};

// Empty: done; else what is wrong, as "FILE:LINE: ...", and the remedy. Any thread.
std::string LoadAccounts(const std::string& path, LoadedAccounts* loaded);

// What became of mappings and records.
struct AccessReport {
  accounts::MappingStatistics mappings;
  unix_identity::SwitchFigures switches;
  std::optional<audit::TrailFigures> trail;  // none: there is no trail
};

class AccessControl {
 public:
  enum class Purpose : std::uint8_t {
    kServe,
    kCheck,  // nothing is opened or changed
  };

  // Opens the trail; clients that are authenticated from now on are mapped. Null: *error says what
  // is wrong and the remedy. The library is started.
  static std::unique_ptr<AccessControl> Start(const AccessConfig& config, Purpose purpose,
                                              std::string* error);
  // Closes the trail, unless that is done. No client is mapped any more.
  ~AccessControl();
  AccessControl(const AccessControl&) = delete;
  AccessControl& operator=(const AccessControl&) = delete;

  // From now on `loaded` counts, unless it has the content of what counts already: a change of the
  // accounts closes kept connections of clients with certificates.
  void Use(const LoadedAccounts& loaded);
  // The policy of the file `path` for all listeners that name it, which is `policy` if there was
  // none yet. Any thread.
  std::shared_ptr<serve::AccessPolicies> PoliciesOf(
      const std::string& path, const std::shared_ptr<const serve::AccessPolicy>& policy)
      KTLSIM_EXCLUDES(mutex_);
  // Nobody is served any more. Empty: every record is in the trail; else what is missing.
  std::string Close();

  // Any thread.
  serve::AccessShare& share() { return share_; }
  AccessReport Report() const;

 private:
  AccessControl() = default;
  std::string OpenTrail(const AccessConfig& config, Purpose purpose);
  std::string MakeMapper();

  MonotonicClock clock_;
  std::unique_ptr<audit::AuditTrail> trail_;
  std::shared_ptr<accounts::AccountService> service_;
  std::shared_ptr<accounts::DirectoryMapper> mapper_;
  serve::AccessShare share_;
  std::string mark_;  // of the accounts that count
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<serve::AccessPolicies>> policies_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
