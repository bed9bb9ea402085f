// DirectoryBuilder: makes a Directory of a TOML text. Part of Directory::Parse.
//
// One thread, passive level. Throws std::bad_alloc and toml::parse_error.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/accounts/toml_table.h"

namespace ktlsim::accounts {

class DirectoryBuilder {
 public:
  explicit DirectoryBuilder(const std::string& file) : mistake_(file) {}

  // Null: `mistake` says why.
  std::shared_ptr<const Directory> Build(const toml::table& top);
  const std::string& mistake() const { return mistake_.text(); }

 private:
  void ReadDomain(const TomlTable& top);
  void ReadGroup(const toml::table& table);
  void ReadAccount(const toml::table& table);
  void ReadMapping(const toml::table& table);
  void Finish();

  // What accounts and groups have in common. Its SID is one of the domain, or, for a group, a
  // built-in one.
  bool ReadName(const TomlTable& table, std::string* name);
  bool ReadSid(const TomlTable& table, const std::string& name, bool is_group, security::Sid* sid);
  void ReadPrivileges(const TomlTable& table, security::PrivilegeSet* privileges);

  void ReadUpn(const TomlTable& table, Account* account);
  void ReadGroups(const TomlTable& table, Account* account);
  void ReadPassword(const TomlTable& table, Account* account);
  void ReadDigest(const TomlTable& table, Account* account);
  void ReadTimes(const TomlTable& table, Account* account);
  void ReadLogonTypes(const TomlTable& table, Account* account);
  std::string AddDigestUser(std::string_view user, std::string_view realm, std::size_t account);

  // The rule's key. "": it has none, and the mistake is told.
  std::string ReadRuleKey(const TomlTable& table, const MappingRule& rule);
  std::string ReadIssuerRuleKey(const TomlTable& table, const MappingRule& rule);
  void ReadDigestRule(const TomlTable& table);
  void ReadIssuers(const TomlTable& table, MappingRule* rule);
  bool ReadWhom(const TomlTable& table, MappingRule* rule);

  TomlMistake mistake_;
  std::shared_ptr<Directory> made_ = std::make_shared<Directory>();
  std::set<std::string> names_;  // of accounts and groups, in lower case
  std::string digest_lines_;
};

}  // namespace ktlsim::accounts
