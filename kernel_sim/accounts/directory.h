// Directory: accounts, groups and mapping rules, as a file had them at one time.
//
// What a newcomer gets wrong: to find the account is not to let it in. Whether it is disabled or
// has expired is asked at each use, since time goes on.
//
// Immutable: any thread at once, any level.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel_sim/accounts/account.h"
#include "kernel_sim/accounts/certificate_facts.h"
#include "kernel_sim/digest/accounts.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::accounts {

// What the rules say of a client. `account` is null unless the outcome is kToken, and lives as long
// as the directory.
struct Match {
  security::MappingOutcome outcome = security::MappingOutcome::kNoMatch;
  const Account* account = nullptr;
  std::vector<security::Sid> groups;  // in addition to the account's
  security::PrivilegeSet privileges;  // of these groups
};

class Directory {
 public:
  Directory() = default;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Reads a TOML text; README.md has the form. Null: *error is "NAME:LINE: key `x`: what is wrong;
  // the remedy", in one line. Passive level. Throws std::bad_alloc.
  static std::shared_ptr<const Directory> Parse(std::string_view text, const std::string& name,
                                                std::string* error);

  const std::string& domain() const { return domain_; }
  const security::Sid& domain_sid() const { return domain_sid_; }
  const std::vector<Account>& accounts() const { return accounts_; }
  const std::vector<Group>& groups() const { return groups_; }
  std::size_t rules() const { return rules_.size(); }

  // The account that somebody logs on to: `user` in `domain`, in which "" and "." are this
  // directory; or a user principal name with the domain "". ASCII case makes no difference. Null:
  // there is none.
  const Account* FindForLogon(std::string_view user, std::string_view domain) const;
  // The name under which wrong passwords are counted: of an account its own; of anything else what
  // an account's would be, so that the count does not tell whether there is one. May throw
  // std::bad_alloc.
  std::string NameForPace(std::string_view user, std::string_view domain) const;
  // By name; by SID. Null: there is none.
  const Account* FindByName(std::string_view name) const;
  const Account* FindBySid(security::SidView sid) const;
  const Group* FindGroupByName(std::string_view name) const;
  const Group* FindGroupBySid(security::SidView sid) const;

  // `issuers`: as in TlsClient. `now`: seconds since 1970. May throw std::bad_alloc.
  Match MapCertificate(const CertificateFacts& facts, std::span<const security::KeyId> issuers,
                       std::int64_t now) const;
  Match MapDigest(std::string_view user, std::string_view realm, std::int64_t now) const;

  // What is verified for somebody who has no password here: it costs what the password of one of
  // the accounts costs, the same for the same name, and each cost is as frequent as among the
  // accounts. Null: no account has a password.
  const PasswordHash* DecoyFor(std::string_view user) const;

  // All Digest lines, for a server of Digest. Null: there are none.
  const std::shared_ptr<const digest::Accounts>& digest_accounts() const {
    return digest_accounts_;
  }

 private:
  friend class DirectoryBuilder;
  bool IsOwnDomain(std::string_view domain) const;
  using Index = std::unordered_map<std::string, std::size_t>;

  void AddRuleMatches(const std::string& key, std::span<const security::KeyId> issuers,
                      std::vector<const MappingRule*>* matches) const;

  std::string domain_;
  security::Sid domain_sid_;
  std::vector<Account> accounts_;
  std::vector<Group> groups_;
  std::vector<MappingRule> rules_;
  Index names_;   // of accounts, in lower case
  Index upns_;    // the same
  Index digest_;  // DigestKey
  Index group_names_;
  Index account_sids_;  // SidKey
  Index group_sids_;
  // What a certificate has to have: see the Key functions.
  std::unordered_multimap<std::string, std::size_t> rule_keys_;
  // One for each cost that a password here has. Of all numbers below the last `until`, those below
  // its own and not below the one before are its share.
  struct Decoy {
    std::size_t until = 0;
    PasswordHash hash;
  };
  std::vector<Decoy> decoys_;
  std::array<std::uint8_t, 32> decoy_key_{};
  std::shared_ptr<const digest::Accounts> digest_accounts_;
};

// Whether the account can be used at all now.
inline bool IsUsable(const Account& account, std::int64_t now) {
  return !account.disabled && !account.locked && now < account.expires;
}

// What rules are found by. A letter for the kind comes first, so that no two kinds meet.
std::string EmailKey(std::string_view folded);
std::string UpnKey(std::string_view folded);
std::string SerialKey(const security::KeyId& issuer, std::string_view serial);
std::string SubjectKey(const security::KeyId& key);
std::string IssuerKey(const security::KeyId& issuer);
std::string DigestKey(std::string_view user, std::string_view realm);
std::string SidKey(security::SidView sid);

}  // namespace ktlsim::accounts
