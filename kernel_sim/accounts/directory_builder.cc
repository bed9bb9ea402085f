#include "kernel_sim/accounts/directory_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "kernel_sim/accounts/unix_names.h"
#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/toml_depth.h"
#include "kernel_sim/digest/account_file.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::accounts {
namespace {

constexpr std::string_view kDefaultDomain = "KTLSIM";
constexpr std::size_t kNameBytesMax = 256;
// Numbers that are derived from names are not below it; those that a domain gives are.
constexpr std::uint32_t kDerivedRid = 0x80000000;

struct LogonWord {
  std::string_view word;
  LogonType type;
};
constexpr std::array kLogonWords = {
    LogonWord{"interactive", LogonType::kInteractive}, LogonWord{"network", LogonType::kNetwork},
    LogonWord{"batch", LogonType::kBatch}, LogonWord{"service", LogonType::kService}};

// Not one that a logon name, a line of Digest or a message has another use for.
std::string CheckName(std::string_view name) {
  constexpr std::string_view kForbidden = "\"/\\[]:;|=,+*?<>@";
  const auto bad = [&](char c) {
    return c == '\t' || IsControl(c) || kForbidden.find(c) != std::string_view::npos;
  };
  if (name.empty() || name.size() > kNameBytesMax || !digest::IsUtf8(name) ||
      std::ranges::any_of(name, bad) || name == ".") {
    return fmt::format("a name is 1 to {} bytes of UTF-8 without any of {}", kNameBytesMax,
                       kForbidden);
  }
  return {};
}

// Four numbers that the name alone decides. False: no memory for the hash.
bool HashName(std::string_view name, std::array<std::uint32_t, 4>* numbers) {
  digest::Hasher hasher(digest::HashId::kSha256);
  digest::HashValue hash;
  if (!hasher.Hash({FoldUpn(name)}, &hash)) return false;
  for (std::size_t i = 0; i < numbers->size(); ++i) {
    std::uint32_t number = 0;
    for (std::size_t j = 0; j < 4; ++j) number = (number << 8U) | hash.bytes()[4 * i + j];
    (*numbers)[i] = number;
  }
  return true;
}

bool IsBuiltin(security::SidView sid) {
  return sid.authority() == 5 && sid.sub_authorities() == 2 && sid.sub_authority(0) == 32;
}

// S-1-5-21-a-b-c-rid.
bool IsOfDomain(security::SidView sid) {
  return sid.authority() == 5 && sid.sub_authorities() == 5 && sid.sub_authority(0) == 21;
}

void Add(security::PrivilegeSet added, security::PrivilegeSet* privileges) {
  added.ForEach([&](security::Privilege one) { privileges->Add(one); });
}

void Add(const security::Sid& sid, std::vector<security::Sid>* sids) {
  if (std::ranges::find(*sids, sid) == sids->end()) sids->push_back(sid);
}

// The parser's texts are wiped: lines of Digest open their realm.
void WipeTexts(toml::node& node) {
  if (auto* const text = node.as_string()) OPENSSL_cleanse(text->get().data(), text->get().size());
  if (toml::array* const list = node.as_array()) {
    for (toml::node& one : *list) WipeTexts(one);
  }
  if (toml::table* const table = node.as_table()) {
    for (auto&& [key, one] : *table) WipeTexts(one);
  }
}

class WipeAtEnd {
 public:
  explicit WipeAtEnd(toml::node& node) : node_(node) {}
  ~WipeAtEnd() { WipeTexts(node_); }
  WipeAtEnd(const WipeAtEnd&) = delete;
  WipeAtEnd& operator=(const WipeAtEnd&) = delete;

 private:
  toml::node& node_;
};

}  // namespace

std::shared_ptr<const Directory> Directory::Parse(std::string_view text, const std::string& name,
                                                  std::string* error) {
  if (const std::size_t line = LineTooDeep(text); line != 0) {
    *error = fmt::format(
        "{}:{}: a key of more than {} parts, or more than {} brackets in each other; nothing here "
        "needs that",
        name, line, kKeyPartsMax, kNestingMax);
    return nullptr;
  }
  try {
    toml::table top = toml::parse(text, name);
    const WipeAtEnd wipe(top);
    DirectoryBuilder builder(name);
    std::shared_ptr<const Directory> made = builder.Build(top);
    *error = builder.mistake();
    return made;
  } catch (const toml::parse_error& wrong) {
    *error =
        fmt::format("{}:{}: not TOML: {}", name, wrong.source().begin.line, wrong.description());
    return nullptr;
  }
}

std::shared_ptr<const Directory> DirectoryBuilder::Build(const toml::table& top) {
  const TomlTable table(top, {"domain", "domain-sid", "group", "account", "mapping"}, mistake_);
  ReadDomain(table);
  table.Tables("group", [&](const toml::table& one) { ReadGroup(one); });
  table.Tables("account", [&](const toml::table& one) { ReadAccount(one); });
  table.Tables("mapping", [&](const toml::table& one) { ReadMapping(one); });
  if (mistake_.none()) Finish();
  OPENSSL_cleanse(digest_lines_.data(), digest_lines_.size());
  return mistake_.none() ? std::move(made_) : nullptr;
}

void DirectoryBuilder::ReadDomain(const TomlTable& top) {
  made_->domain_ = top.Text("domain").value_or(std::string(kDefaultDomain));
  if (std::string wrong = CheckName(made_->domain_); !wrong.empty()) top.Tell("domain", wrong);
  if (const std::optional<std::string> text = top.Text("domain-sid")) {
    const security::Fault fault = security::ParseSid(*text, &made_->domain_sid_);
    security::Sid account = made_->domain_sid_;
    if (fault != security::Fault::kNone || !account.Append(1) || !IsOfDomain(account)) {
      top.Tell("domain-sid", "write S-1-5-21-A-B-C, with three numbers of your choice");
    }
    return;
  }
  std::array<std::uint32_t, 4> numbers{};
  if (!HashName(made_->domain_, &numbers)) return top.Tell("domain", "no memory for its hash");
  made_->domain_sid_ = security::Sid(5, {21, numbers[0], numbers[1], numbers[2]});
}

// ---- What accounts and groups have in common

bool DirectoryBuilder::ReadName(const TomlTable& table, std::string* name) {
  const std::optional<std::string> text = table.Text("name");
  if (!text) {
    table.Tell("name", "is missing; add it");
    return false;
  }
  std::string wrong = CheckName(*text);
  if (wrong.empty() && !names_.insert(FoldUpn(*text)).second) {
    wrong = "another account or group has it; capital letters make no difference";
  }
  if (!wrong.empty()) table.Tell("name", wrong);
  *name = *text;
  return wrong.empty();
}

bool DirectoryBuilder::ReadSid(const TomlTable& table, const std::string& name, bool is_group,
                               security::Sid* sid) {
  if (const std::optional<std::string> text = table.Text("sid")) {
    const bool read = security::ParseSid(*text, sid) == security::Fault::kNone;
    if (!read || (!IsOfDomain(*sid) && !(is_group && IsBuiltin(*sid)))) {
      table.Tell("sid", is_group ? "write S-1-5-21-A-B-C-N, or S-1-5-32-N for a built-in group"
                                 : "write S-1-5-21-A-B-C-N");
      return false;
    }
  } else {
    std::array<std::uint32_t, 4> numbers{};
    *sid = made_->domain_sid_;
    if (!HashName(name, &numbers) || !sid->Append(numbers[0] | kDerivedRid)) {
      table.Tell("name", "no memory for its hash");
      return false;
    }
  }
  const std::string key = SidKey(*sid);
  if (!made_->account_sids_.contains(key) && !made_->group_sids_.contains(key)) return true;
  table.Tell(table.Has("sid") ? "sid" : "name",
             "another account or group has the same SID; give one of them another `sid`");
  return false;
}

void DirectoryBuilder::ReadPrivileges(const TomlTable& table, security::PrivilegeSet* privileges) {
  table.Texts("privileges", [&](const std::string& name) -> std::string {
    const std::optional<security::Privilege> one = security::FindPrivilege(name);
    if (!one) return "there is no such privilege; write one such as SeChangeNotifyPrivilege";
    privileges->Add(*one);
    return {};
  });
}

// ---- Groups

void DirectoryBuilder::ReadGroup(const toml::table& table) {
  const TomlTable read(table, {"name", "sid", "privileges"}, mistake_);
  Group group;
  if (!ReadName(read, &group.name) || !ReadSid(read, group.name, /*is_group=*/true, &group.sid)) {
    return;
  }
  ReadPrivileges(read, &group.privileges);
  made_->group_names_.emplace(FoldUpn(group.name), made_->groups_.size());
  made_->group_sids_.emplace(SidKey(group.sid), made_->groups_.size());
  made_->groups_.push_back(std::move(group));
}

// ---- Accounts

void DirectoryBuilder::ReadAccount(const toml::table& table) {
  const TomlTable read(table,
                       {"name", "sid", "upn", "groups", "privileges", "password", "digest",
                        "logon-types", "disabled", "locked", "password-must-change", "expires",
                        "password-expires", "unix-user", "unix-group", "unix-groups"},
                       mistake_);
  Account account;
  if (!ReadName(read, &account.name) ||
      !ReadSid(read, account.name, /*is_group=*/false, &account.sid)) {
    return;
  }
  ReadPrivileges(read, &account.privileges);
  ReadUpn(read, &account);
  ReadGroups(read, &account);
  ReadPassword(read, &account);
  ReadDigest(read, &account);
  ReadLogonTypes(read, &account);
  ReadTimes(read, &account);
  account.unix_identity = ReadUnixIdentity(read);
  made_->names_.emplace(FoldUpn(account.name), made_->accounts_.size());
  made_->account_sids_.emplace(SidKey(account.sid), made_->accounts_.size());
  made_->accounts_.push_back(std::move(account));
}

void DirectoryBuilder::ReadUpn(const TomlTable& table, Account* account) {
  const std::optional<std::string> upn = table.Text("upn");
  if (!upn) return;
  account->upn = *upn;
  if (!IsUpn(*upn)) return table.Tell("upn", "write user@domain");
  if (!made_->upns_.emplace(FoldUpn(*upn), made_->accounts_.size()).second) {
    table.Tell("upn", "another account has it; capital letters make no difference");
  }
}

void DirectoryBuilder::ReadGroups(const TomlTable& table, Account* account) {
  table.Texts("groups", [&](const std::string& name) -> std::string {
    if (const Group* const group = made_->FindGroupByName(name)) {
      Add(group->sid, &account->groups);
      Add(group->privileges, &account->privileges);
      return {};
    }
    security::Sid sid;
    if (security::ParseSid(name, &sid) == security::Fault::kNone && IsBuiltin(sid)) {
      Add(sid, &account->groups);
      return {};
    }
    return "there is no such group; write the name of a [[group]], or S-1-5-32-N for a built-in "
           "one";
  });
}

void DirectoryBuilder::ReadPassword(const TomlTable& table, Account* account) {
  const std::optional<std::string> text = table.Text("password");
  if (!text) return;
  PasswordHash hash;
  if (const char* const wrong = PasswordHash::Parse(*text, &hash); wrong != nullptr) {
    // The text is not shown: it may be a password.
    return table.Tell("password",
                      fmt::format("no Argon2id hash that is taken here: {}; make one with "
                                  "`argon2 SALT -id -e` or `ktlsim accounts passwd`",
                                  wrong));
  }
  account->password = hash;
}

std::string DirectoryBuilder::AddDigestUser(std::string_view user, std::string_view realm,
                                            std::size_t account) {
  const auto [entry, added] = made_->digest_.emplace(DigestKey(user, realm), account);
  if (added || entry->second == account) return {};
  return "another account has this user in this realm; a client of Digest is one account's";
}

void DirectoryBuilder::ReadDigest(const TomlTable& table, Account* account) {
  table.Texts("digest", [&](const std::string& text) -> std::string {
    digest::AccountFile file;
    digest::AccountFault fault;
    const bool one_line = text.find_first_of("\r\n") == std::string::npos;
    if (!one_line || !file.Parse(text, &fault) || file.size() != 1) {
      return fmt::format(
          "{}; write USER:REALM:HASH, or SHA-256:USER:REALM:HASH, as a line of "
          "`ktlsim users`",
          fault.line != 0 ? fault.why : "it is not one line");
    }
    std::string wrong;
    file.ForEach([&](const digest::Account& read) {
      account->digest.push_back({.hash_id = read.hash_id,
                                 .user = std::string(read.user),
                                 .realm = std::string(read.realm),
                                 .hash = read.hash});
      wrong = AddDigestUser(read.user, read.realm, made_->accounts_.size());
      const auto same = [&](const DigestLine& line) {
        return line.hash_id == read.hash_id && line.user == read.user && line.realm == read.realm;
      };
      if (std::ranges::count_if(account->digest, same) > 1) {
        wrong = "another line has the same user, realm and algorithm";
      }
    });
    digest_lines_.append(text).append("\n");
    return wrong;
  });
}

void DirectoryBuilder::ReadLogonTypes(const TomlTable& table, Account* account) {
  if (!table.Has("logon-types")) return;
  account->logon_types = {};
  table.Texts("logon-types", [&](const std::string& word) -> std::string {
    const auto* const found = std::ranges::find(kLogonWords, word, &LogonWord::word);
    if (found == kLogonWords.end()) return "write interactive, network, batch or service";
    account->logon_types.Add(found->type);
    return {};
  });
}

void DirectoryBuilder::ReadTimes(const TomlTable& table, Account* account) {
  account->disabled = table.Flag("disabled").value_or(false);
  account->locked = table.Flag("locked").value_or(false);
  account->password_must_change = table.Flag("password-must-change").value_or(false);
  account->expires = table.Time("expires").value_or(kNever);
  account->password_expires = table.Time("password-expires").value_or(kNever);
}

// ---- Mapping rules

void DirectoryBuilder::ReadIssuers(const TomlTable& table, MappingRule* rule) {
  table.Texts("issuers", [&](const std::string& text) -> std::string {
    const std::optional<security::KeyId> key = ParseKeyId(text);
    if (!key) return "a key identifier is the SHA-256 of the issuer's public key: 64 hex digits";
    rule->issuers.push_back(*key);
    return {};
  });
}

bool DirectoryBuilder::ReadWhom(const TomlTable& table, MappingRule* rule) {
  if (const std::optional<std::string> name = table.Text("account")) {
    const auto found = made_->names_.find(FoldUpn(*name));
    if (found == made_->names_.end()) {
      table.Tell("account", "there is no such account; write the name of an [[account]]");
      return false;
    }
    rule->account = found->second;
  }
  if (const std::optional<std::string> name = table.Text("group")) {
    const Group* const group = made_->FindGroupByName(*name);
    if (group == nullptr) {
      table.Tell("group", "there is no such group; write the name of a [[group]]");
      return false;
    }
    rule->group = *group;
  }
  return true;
}

std::string DirectoryBuilder::ReadIssuerRuleKey(const TomlTable& table, const MappingRule& rule) {
  const std::optional<std::string> text = table.Text("issuer");
  if (!text) return {};
  const std::optional<security::KeyId> issuer = ParseKeyId(*text);
  if (!issuer) {
    table.Tell("issuer", "write the SHA-256 of the issuer's public key: 64 hex digits");
    return {};
  }
  if (const std::optional<std::string> serial_text = table.Text("serial")) {
    const std::optional<std::string> serial = ParseSerial(*serial_text);
    if (serial) return SerialKey(*issuer, *serial);
    table.Tell("serial", "write the serial number in hex digits, 40 at most");
    return {};
  }
  if (rule.group) return IssuerKey(*issuer);
  table.Tell("issuer", "add `serial` for one certificate, or `group` for all of this issuer");
  return {};
}

std::string DirectoryBuilder::ReadRuleKey(const TomlTable& table, const MappingRule& rule) {
  if (table.Has("issuer")) return ReadIssuerRuleKey(table, rule);
  if (const std::optional<std::string> text = table.Text("subject-key")) {
    if (const std::optional<security::KeyId> key = ParseKeyId(*text)) return SubjectKey(*key);
    table.Tell("subject-key", "write the SHA-256 of the client's public key: 64 hex digits");
    return {};
  }
  const char* const kind = table.Has("upn") ? "upn" : "email";
  const std::optional<std::string> name = table.Text(kind);
  if (!name) return {};
  const bool is_upn = table.Has("upn");
  if (is_upn ? !IsUpn(*name) : !IsEmail(*name)) {
    table.Tell(kind, "write user@domain, as the certificates have it");
    return {};
  }
  if (rule.issuers.empty()) {
    table.Tell(kind,
               "add `issuers` with the key identifiers of those who may vouch for the name: any "
               "trusted authority can write any name");
    return {};
  }
  return is_upn ? UpnKey(FoldUpn(*name)) : EmailKey(FoldEmail(*name));
}

void DirectoryBuilder::ReadDigestRule(const TomlTable& table) {
  const std::optional<std::string> user = table.Text("digest-user");
  const std::optional<std::string> realm = table.Text("realm");
  MappingRule rule;
  if (!ReadWhom(table, &rule)) return;
  if (!realm) return table.Tell("realm", "is missing; a client of Digest is a user of one realm");
  if (rule.account == kNoAccount) return table.Tell("account", "is missing; add it");
  const std::string wrong = AddDigestUser(user.value_or(""), *realm, rule.account);
  if (!wrong.empty()) table.Tell("digest-user", wrong);
}

void DirectoryBuilder::ReadMapping(const toml::table& table) {
  constexpr std::array kKinds = {std::string_view("upn"), std::string_view("email"),
                                 std::string_view("subject-key"), std::string_view("issuer"),
                                 std::string_view("digest-user")};
  const TomlTable read(table,
                       {"upn", "email", "subject-key", "issuer", "serial", "digest-user", "realm",
                        "issuers", "account", "group"},
                       mistake_);
  if (std::ranges::count_if(kKinds, [&](std::string_view kind) { return read.Has(kind); }) != 1) {
    return mistake_.Tell(table, "",
                         "[[mapping]]: write exactly one of upn, email, subject-key, issuer and "
                         "digest-user");
  }
  const auto refuse = [&](std::string_view key, std::string_view with) {
    if (read.Has(key) && !read.Has(with)) {
      read.Tell(key, fmt::format("stands with `{}` alone; remove it", with));
    }
  };
  refuse("serial", "issuer");
  refuse("realm", "digest-user");
  refuse("group", "issuer");
  if (read.Has("issuers") && !read.Has("upn") && !read.Has("email")) {
    read.Tell("issuers", "stands with `upn` or `email` alone; remove it");
  }
  if (read.Has("serial") && read.Has("group")) {
    read.Tell("group", "is for all certificates of an issuer; remove it or `serial`");
  }
  if (!mistake_.none()) return;
  if (read.Has("digest-user")) return ReadDigestRule(read);
  MappingRule rule;
  ReadIssuers(read, &rule);
  if (!ReadWhom(read, &rule)) return;
  const std::string key = ReadRuleKey(read, rule);
  if (!mistake_.none()) return;
  if (rule.account == kNoAccount && !rule.group) return read.Tell("account", "is missing; add it");
  made_->rule_keys_.emplace(key, made_->rules_.size());
  made_->rules_.push_back(std::move(rule));
}

// ---- The whole

void DirectoryBuilder::Finish() {
  if (!digest::FillRandom(made_->decoy_key_)) return mistake_.Tell("the system has no randomness");
  for (const Account& account : made_->accounts_) {
    if (!account.password) continue;
    const PasswordCost& cost = account.password->cost();
    auto decoy = std::ranges::find(made_->decoys_, cost,
                                   [](const Directory::Decoy& one) { return one.hash.cost(); });
    if (decoy == made_->decoys_.end()) {
      std::array<std::uint8_t, 48> bytes{};
      if (!digest::FillRandom(bytes)) return mistake_.Tell("the system has no randomness");
      made_->decoys_.push_back({.until = 0, .hash = PasswordHash(cost, bytes)});
      decoy = made_->decoys_.end() - 1;
    }
    ++decoy->until;
  }
  std::size_t until = 0;
  for (Directory::Decoy& decoy : made_->decoys_) until = decoy.until += until;
  if (digest_lines_.empty()) return;
  digest::AccountFile file;
  digest::AccountFault fault;
  if (!file.Parse(digest_lines_, &fault)) return mistake_.Tell(fault.why);
  made_->digest_accounts_ = digest::Accounts::Build(file, /*hashed_names=*/true);
  if (made_->digest_accounts_ == nullptr) mistake_.Tell("no memory for the lines of Digest");
}

}  // namespace ktlsim::accounts
