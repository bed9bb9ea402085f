// Account, Group, MappingRule: what a directory knows, as it was read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/accounts/password_hash.h"
#include "kernel_sim/base/unix_identity.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::accounts {

// The values are those of LOGON32_LOGON_...
enum class LogonType : std::uint8_t {
  kInteractive = 2,
  kNetwork = 3,
  kBatch = 4,
  kService = 5,
  kNetworkCleartext = 8,
  kNewCredentials = 9,
};

// The types that an account allows. kNetworkCleartext is allowed with kNetwork; kNewCredentials
// needs no account.
class LogonTypes {
 public:
  constexpr LogonTypes() = default;
  constexpr LogonTypes(std::initializer_list<LogonType> types) {
    for (const LogonType type : types) Add(type);
  }
  constexpr void Add(LogonType type) { bits_ |= Bit(type); }
  constexpr bool Has(LogonType type) const { return (bits_ & Bit(type)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }

 private:
  static constexpr std::uint32_t Bit(LogonType type) {
    const LogonType asked = type == LogonType::kNetworkCleartext ? LogonType::kNetwork : type;
    return 1U << static_cast<unsigned>(asked);
  }

  std::uint32_t bits_ = 0;
};

inline constexpr LogonTypes kAllLogonTypes = {LogonType::kInteractive, LogonType::kNetwork,
                                              LogonType::kBatch, LogonType::kService};

// H(user:realm:password). It opens the realm as the password does.
struct DigestLine {
  digest::HashId hash_id = digest::HashId::kMd5;
  std::string user;
  std::string realm;
  digest::HashValue hash;
};

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

struct Account {
  std::string name;
  std::string upn;  // empty: none
  security::Sid sid;
  std::vector<security::Sid> groups;
  security::PrivilegeSet privileges;  // its own and those of its groups
  std::optional<PasswordHash> password;
  std::vector<DigestLine> digest;
  LogonTypes logon_types = kAllLogonTypes;
  bool disabled = false;
  bool locked = false;
  bool password_must_change = false;
  std::int64_t expires = kNever;  // seconds since 1970
  std::int64_t password_expires = kNever;
  std::optional<UnixIdentity> unix_identity;  // for real impersonation; no id of it is 0
};

struct Group {
  std::string name;
  security::Sid sid;
  security::PrivilegeSet privileges;
};

inline constexpr std::size_t kNoAccount = std::numeric_limits<std::size_t>::max();

struct MappingRule {
  // Who has to have issued the certificate: one of them. Empty: whoever.
  std::vector<security::KeyId> issuers;
  std::size_t account = kNoAccount;  // its index
  std::optional<Group> group;        // that the client is in as well
};

}  // namespace ktlsim::accounts
