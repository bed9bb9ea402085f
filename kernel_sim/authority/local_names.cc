#include "kernel_sim/authority/local_names.h"

#include <cstddef>
#include <memory>
#include <string>

#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/authority/local_accounts.h"
#include "kernel_sim/base/characters.h"

namespace ktlsim::authority {
namespace {

using accounts::Account;
using accounts::Directory;
using accounts::Group;
using authorization::AccountName;
using security::Fault;

bool IsDomainOf(const Directory& directory, std::string_view domain) {
  return domain == "." || EqualsIgnoringCase(domain, directory.domain());
}

// Whoever has this name in the directory; one of them is null.
struct Found {
  const Account* account = nullptr;
  const Group* group = nullptr;
};

Found FindByName(const Directory& directory, std::string_view name) {
  return {.account = directory.FindByName(name), .group = directory.FindGroupByName(name)};
}

Found FindByText(const Directory& directory, std::string_view text) {
  if (const std::size_t at = text.find('\\'); at != std::string_view::npos) {
    if (!IsDomainOf(directory, text.substr(0, at))) return {};
    return FindByName(directory, text.substr(at + 1));
  }
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return FindByName(directory, text);
  // A user principal name comes first: it is told of one account by itself.
  const Account* const by_upn = directory.FindForLogon(text, "");
  if (by_upn != nullptr) return {.account = by_upn};
  if (!IsDomainOf(directory, text.substr(at + 1))) return {};
  return FindByName(directory, text.substr(0, at));
}

Fault NameFound(const Directory& directory, const Found& found, AccountName* name) {
  if (found.account != nullptr) {
    *name = {directory.domain(), found.account->name, SidTypeUser};
  } else if (found.group != nullptr) {
    *name = {directory.domain(), found.group->name, SidTypeGroup};
  }
  return found.account != nullptr || found.group != nullptr ? Fault::kNone : Fault::kNoneMapped;
}

AccountName NameOfDomain(const Directory& directory) {
  return {directory.domain(), directory.domain(), SidTypeDomain};
}

}  // namespace

Fault LocalNames::FindName(security::SidView sid, AccountName* account) const {
  const std::shared_ptr<const Directory> directory = LocalAccounts::Instance().directory();
  if (directory == nullptr) return Fault::kNoneMapped;
  if (sid == directory->domain_sid().view()) {
    *account = NameOfDomain(*directory);
    return Fault::kNone;
  }
  return NameFound(*directory,
                   {.account = directory->FindBySid(sid), .group = directory->FindGroupBySid(sid)},
                   account);
}

Fault LocalNames::FindSid(std::string_view name, security::Sid* sid, AccountName* account) const {
  const std::shared_ptr<const Directory> directory = LocalAccounts::Instance().directory();
  if (directory == nullptr) return Fault::kNoneMapped;
  const Found found = FindByText(*directory, name);
  if (found.account != nullptr || found.group != nullptr) {
    *sid = found.account != nullptr ? found.account->sid : found.group->sid;
    return NameFound(*directory, found, account);
  }
  if (!EqualsIgnoringCase(name, directory->domain())) return Fault::kNoneMapped;
  *sid = directory->domain_sid();
  *account = NameOfDomain(*directory);
  return Fault::kNone;
}

}  // namespace ktlsim::authority
