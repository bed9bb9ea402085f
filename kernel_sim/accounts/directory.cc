#include "kernel_sim/accounts/directory.h"

#include <algorithm>

#include "kernel_sim/base/characters.h"

namespace ktlsim::accounts {
namespace {

using security::MappingOutcome;

std::string KeyOf(char kind, std::string_view first, std::string_view second = {}) {
  std::string key(1, kind);
  key.append(first);
  key.push_back('\0');
  key.append(second);
  return key;
}

std::string_view BytesOf(const security::KeyId& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

Match Refuse(MappingOutcome outcome) {
  Match match;
  match.outcome = outcome;
  return match;
}

Match GrantMatch(const Account& account, std::int64_t now, Match match) {
  const bool good = IsUsable(account, now) && account.logon_types.Has(LogonType::kNetwork);
  if (!good) return Refuse(MappingOutcome::kDisabled);
  match.outcome = MappingOutcome::kToken;
  match.account = &account;
  return match;
}

}  // namespace

std::string EmailKey(std::string_view folded) { return KeyOf('e', folded); }
std::string UpnKey(std::string_view folded) { return KeyOf('u', folded); }
std::string SerialKey(const security::KeyId& issuer, std::string_view serial) {
  return KeyOf('s', BytesOf(issuer), serial);
}
std::string SubjectKey(const security::KeyId& key) { return KeyOf('k', BytesOf(key)); }
std::string IssuerKey(const security::KeyId& issuer) { return KeyOf('i', BytesOf(issuer)); }
std::string DigestKey(std::string_view user, std::string_view realm) {
  return KeyOf('d', user, realm);
}
std::string SidKey(security::SidView sid) {
  return {reinterpret_cast<const char*>(sid.image().data()), sid.image().size()};
}

const Account* Directory::FindByName(std::string_view name) const {
  const auto found = names_.find(FoldUpn(name));
  return found == names_.end() ? nullptr : &accounts_[found->second];
}

const Group* Directory::FindGroupByName(std::string_view name) const {
  const auto found = group_names_.find(FoldUpn(name));
  return found == group_names_.end() ? nullptr : &groups_[found->second];
}

const Account* Directory::FindBySid(security::SidView sid) const {
  const auto found = account_sids_.find(SidKey(sid));
  return found == account_sids_.end() ? nullptr : &accounts_[found->second];
}

const Group* Directory::FindGroupBySid(security::SidView sid) const {
  const auto found = group_sids_.find(SidKey(sid));
  return found == group_sids_.end() ? nullptr : &groups_[found->second];
}

bool Directory::IsOwnDomain(std::string_view domain) const {
  return domain.empty() || domain == "." || EqualsIgnoringCase(domain, domain_);
}

const Account* Directory::FindForLogon(std::string_view user, std::string_view domain) const {
  if (!IsOwnDomain(domain)) return nullptr;
  if (!domain.empty() || user.find('@') == std::string_view::npos) return FindByName(user);
  const auto found = upns_.find(FoldUpn(user));
  return found == upns_.end() ? nullptr : &accounts_[found->second];
}

std::string Directory::NameForPace(std::string_view user, std::string_view domain) const {
  if (const Account* const account = FindForLogon(user, domain)) return FoldUpn(account->name);
  if (!IsOwnDomain(domain)) return FoldUpn(domain).append("\\").append(FoldUpn(user));
  // An account is mostly called as its user principal name begins.
  if (domain.empty()) user = user.substr(0, user.rfind('@'));
  return FoldUpn(user);
}

void Directory::AddRuleMatches(const std::string& key, std::span<const security::KeyId> issuers,
                               std::vector<const MappingRule*>* matches) const {
  const auto [first, last] = rule_keys_.equal_range(key);
  for (auto at = first; at != last; ++at) {
    const MappingRule& rule = rules_[at->second];
    const bool by_anybody = rule.issuers.empty();
    // The one that issued the certificate itself. What stands above it did not vouch for the name.
    const bool by_issuer =
        !issuers.empty() && std::ranges::find(rule.issuers, issuers.front()) != rule.issuers.end();
    if (by_anybody || by_issuer) matches->push_back(&rule);
  }
}

Match Directory::MapCertificate(const CertificateFacts& facts,
                                std::span<const security::KeyId> issuers, std::int64_t now) const {
  std::vector<const MappingRule*> matches;
  for (const std::string& upn : facts.upns) AddRuleMatches(UpnKey(upn), issuers, &matches);
  for (const std::string& email : facts.emails) AddRuleMatches(EmailKey(email), issuers, &matches);
  AddRuleMatches(SubjectKey(facts.key), issuers, &matches);
  std::vector<const MappingRule*> of_issuer;
  if (!issuers.empty()) {
    AddRuleMatches(SerialKey(issuers.front(), facts.serial), issuers, &matches);
    AddRuleMatches(IssuerKey(issuers.front()), issuers, &of_issuer);
  }
  Match match;
  for (const MappingRule* const rule : of_issuer) {
    if (!rule->group) continue;
    match.groups.push_back(rule->group->sid);
    rule->group->privileges.ForEach([&](security::Privilege one) { match.privileges.Add(one); });
  }
  // Everybody of the issuer is whom its rule names, except for those who have a rule of their own.
  if (matches.empty()) matches = std::move(of_issuer);
  std::erase_if(matches, [](const MappingRule* rule) { return rule->account == kNoAccount; });
  if (matches.empty()) return {};
  const std::size_t account = matches.front()->account;
  const bool same = std::ranges::all_of(
      matches, [&](const MappingRule* rule) { return rule->account == account; });
  if (!same) return Refuse(MappingOutcome::kTwoMatches);
  return GrantMatch(accounts_[account], now, std::move(match));
}

Match Directory::MapDigest(std::string_view user, std::string_view realm, std::int64_t now) const {
  const auto found = digest_.find(DigestKey(user, realm));
  if (found == digest_.end()) return {};
  return GrantMatch(accounts_[found->second], now, {});
}

const PasswordHash* Directory::DecoyFor(std::string_view user) const {
  if (decoys_.empty()) return nullptr;
  const std::string_view key(reinterpret_cast<const char*>(decoy_key_.data()), decoy_key_.size());
  digest::Hasher hasher(digest::HashId::kSha256);
  digest::HashValue hash;
  // Without memory for a hash it is any of them.
  if (!hasher.Hash({key, FoldUpn(user)}, &hash)) return &decoys_.front().hash;
  std::size_t number = 0;
  for (const std::uint8_t byte : hash.bytes().first(8)) number = (number << 8U) | byte;
  number %= decoys_.back().until;
  const auto found = std::ranges::upper_bound(decoys_, number, {}, &Decoy::until);
  return &found->hash;
}

}  // namespace ktlsim::accounts
