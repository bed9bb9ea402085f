#include "kernel_sim/authorization/account_names.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <vector>

#include "kernel_sim/authorization/directory_names.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/characters.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Sid;
using security::SidView;

// Pairs with UseDirectoryNames: who finds the pointer finds what it points to.
std::atomic<const DirectoryNames*> directory_names = nullptr;

struct KnownAccount {
  Sid sid;
  std::string_view domain;
  std::string_view name;
  SID_NAME_USE use = SidTypeWellKnownGroup;
};

constexpr std::string_view kNoDomain;
constexpr std::string_view kNt = "NT AUTHORITY";
constexpr std::string_view kBuiltin = "BUILTIN";
constexpr std::string_view kLabels = "Mandatory Label";
constexpr std::string_view kUnixUserDomain = "Unix User";
constexpr std::string_view kUnixGroupDomain = "Unix Group";

constexpr KnownAccount kKnownAccounts[] = {
    {Sid(0, {0}), kNoDomain, "NULL SID"},
    {security::kWorldSid, kNoDomain, "Everyone"},
    {Sid(2, {0}), kNoDomain, "LOCAL"},
    {Sid(3, {0}), kNoDomain, "CREATOR OWNER"},
    {Sid(3, {1}), kNoDomain, "CREATOR GROUP"},
    {security::kOwnerRightsSid, kNoDomain, "OWNER RIGHTS"},
    {Sid(5, {2}), kNt, "NETWORK"},
    {Sid(5, {3}), kNt, "BATCH"},
    {Sid(5, {4}), kNt, "INTERACTIVE"},
    {Sid(5, {6}), kNt, "SERVICE"},
    {Sid(5, {7}), kNt, "ANONYMOUS LOGON"},
    {security::kSelfSid, kNt, "SELF"},
    {security::kAuthenticatedUserSid, kNt, "Authenticated Users"},
    {Sid(5, {12}), kNt, "RESTRICTED"},
    {Sid(5, {15}), kNt, "This Organization"},
    {security::kLocalSystemSid, kNt, "SYSTEM"},
    {Sid(5, {19}), kNt, "LOCAL SERVICE"},
    {Sid(5, {20}), kNt, "NETWORK SERVICE"},
    {Sid(5, {33}), kNt, "WRITE RESTRICTED"},
    {Sid(5, {64, 10}), kNt, "NTLM Authentication"},
    {Sid(5, {64, 14}), kNt, "SChannel Authentication"},
    {Sid(5, {64, 21}), kNt, "Digest Authentication"},
    {Sid(5, {32}), kBuiltin, "BUILTIN", SidTypeDomain},
    {security::kAdministratorsSid, kBuiltin, "Administrators", SidTypeAlias},
    {Sid(5, {32, 545}), kBuiltin, "Users", SidTypeAlias},
    {Sid(5, {32, 546}), kBuiltin, "Guests", SidTypeAlias},
    {Sid(5, {32, 547}), kBuiltin, "Power Users", SidTypeAlias},
    {Sid(5, {32, 548}), kBuiltin, "Account Operators", SidTypeAlias},
    {Sid(5, {32, 549}), kBuiltin, "Server Operators", SidTypeAlias},
    {Sid(5, {32, 550}), kBuiltin, "Print Operators", SidTypeAlias},
    {Sid(5, {32, 551}), kBuiltin, "Backup Operators", SidTypeAlias},
    {Sid(5, {32, 552}), kBuiltin, "Replicator", SidTypeAlias},
    {Sid(5, {32, 555}), kBuiltin, "Remote Desktop Users", SidTypeAlias},
    {Sid(5, {32, 556}), kBuiltin, "Network Configuration Operators", SidTypeAlias},
    {Sid(5, {32, 558}), kBuiltin, "Performance Monitor Users", SidTypeAlias},
    {Sid(5, {32, 559}), kBuiltin, "Performance Log Users", SidTypeAlias},
    {Sid(5, {32, 568}), kBuiltin, "IIS_IUSRS", SidTypeAlias},
    {Sid(5, {32, 573}), kBuiltin, "Event Log Readers", SidTypeAlias},
    {Sid(16, {0}), kLabels, "Untrusted Mandatory Level", SidTypeLabel},
    {Sid(16, {4096}), kLabels, "Low Mandatory Level", SidTypeLabel},
    {Sid(16, {8192}), kLabels, "Medium Mandatory Level", SidTypeLabel},
    {Sid(16, {8448}), kLabels, "Medium Plus Mandatory Level", SidTypeLabel},
    {Sid(16, {12288}), kLabels, "High Mandatory Level", SidTypeLabel},
    {Sid(16, {16384}), kLabels, "System Mandatory Level", SidTypeLabel},
};

AccountName NameOf(const KnownAccount& known) {
  return {.domain = std::string(known.domain), .name = std::string(known.name), .use = known.use};
}

// Calls one of getpwuid_r and its like with as much memory as it needs. None: nobody is there, or
// the C library cannot tell. *fault is kNoMemory if that is why.
template <typename Entry, typename Call>
std::optional<Entry> AskSystem(const Call& call, std::vector<char>* memory, Fault* fault) {
  constexpr std::size_t kBytesMax = std::size_t{1} << 20;  // a group of very many members
  for (memory->resize(1024);; memory->resize(2 * memory->size())) {
    Entry entry{};
    Entry* found = nullptr;
    const int error = call(&entry, memory->data(), memory->size(), &found);
    if (error == ERANGE && memory->size() < kBytesMax) continue;
    *fault = error == ENOMEM ? Fault::kNoMemory : Fault::kNoneMapped;
    if (found == nullptr) return std::nullopt;
    *fault = Fault::kNone;
    return entry;
  }
}

std::optional<passwd> UserOf(std::string_view name, std::vector<char>* memory, Fault* fault) {
  const std::string text(name);
  return AskSystem<passwd>(
      [&](passwd* entry, char* at, std::size_t room, passwd** found) {
        return getpwnam_r(text.c_str(), entry, at, room, found);
      },
      memory, fault);
}

std::optional<group> GroupOf(std::string_view name, std::vector<char>* memory, Fault* fault) {
  const std::string text(name);
  return AskSystem<group>(
      [&](group* entry, char* at, std::size_t room, group** found) {
        return getgrnam_r(text.c_str(), entry, at, room, found);
      },
      memory, fault);
}

Fault NameUnixUser(uid_t id, AccountName* account) {
  std::vector<char> memory;
  Fault fault = Fault::kNone;
  const auto user =
      AskSystem<passwd>([id](passwd* entry, char* at, std::size_t room,
                             passwd** found) { return getpwuid_r(id, entry, at, room, found); },
                        &memory, &fault);
  if (user) *account = {std::string(kUnixUserDomain), user->pw_name, SidTypeUser};
  return fault;
}

Fault NameUnixGroup(gid_t id, AccountName* account) {
  std::vector<char> memory;
  Fault fault = Fault::kNone;
  const auto found_group =
      AskSystem<group>([id](group* entry, char* at, std::size_t room,
                            group** found) { return getgrgid_r(id, entry, at, room, found); },
                       &memory, &fault);
  if (found_group) *account = {std::string(kUnixGroupDomain), found_group->gr_name, SidTypeGroup};
  return fault;
}

struct SplitName {
  std::optional<std::string_view> domain;
  std::string_view name;

  bool MayBeIn(std::string_view of) const { return !domain || EqualsIgnoringCase(*domain, of); }
};

SplitName Split(std::string_view text) {
  if (const std::size_t at = text.find('\\'); at != std::string_view::npos) {
    return {text.substr(0, at), text.substr(at + 1)};
  }
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    return {text.substr(at + 1), text.substr(0, at)};
  }
  return {std::nullopt, text};
}

Fault FindUnix(const SplitName& split, Sid* sid, AccountName* account) {
  std::vector<char> memory;
  Fault fault = Fault::kNoneMapped;
  if (split.MayBeIn(kUnixUserDomain)) {
    if (const auto user = UserOf(split.name, &memory, &fault)) {
      *sid = SidOfUnixUser(user->pw_uid);
      *account = {std::string(kUnixUserDomain), user->pw_name, SidTypeUser};
      return Fault::kNone;
    }
    if (fault == Fault::kNoMemory) return fault;
  }
  if (split.MayBeIn(kUnixGroupDomain)) {
    if (const auto found = GroupOf(split.name, &memory, &fault)) {
      *sid = SidOfUnixGroup(found->gr_gid);
      *account = {std::string(kUnixGroupDomain), found->gr_name, SidTypeGroup};
      return Fault::kNone;
    }
  }
  return fault;
}

}  // namespace

void UseDirectoryNames(const DirectoryNames* names) {
  directory_names.store(names, std::memory_order_release);
}

Fault FindAccountName(SidView sid, AccountName* account) {
  const auto* const known = std::ranges::find_if(
      kKnownAccounts, [sid](const KnownAccount& one) { return one.sid.view() == sid; });
  if (known != std::end(kKnownAccounts)) {
    *account = NameOf(*known);
    return Fault::kNone;
  }
  if (const DirectoryNames* const directory = directory_names.load(std::memory_order_acquire)) {
    const Fault fault = directory->FindName(sid, account);
    if (fault != Fault::kNoneMapped) return fault;
  }
  if (sid.sub_authorities() != 2) return Fault::kNoneMapped;
  if (sid == SidOfUnixUser(sid.last()).view()) return NameUnixUser(sid.last(), account);
  if (sid == SidOfUnixGroup(sid.last()).view()) return NameUnixGroup(sid.last(), account);
  return Fault::kNoneMapped;
}

Fault FindAccount(std::string_view name, Sid* sid, AccountName* account) {
  const SplitName split = Split(name);
  if (split.name.empty()) return Fault::kNoneMapped;
  for (const KnownAccount& known : kKnownAccounts) {
    if (!EqualsIgnoringCase(known.name, split.name) || !split.MayBeIn(known.domain)) continue;
    *sid = known.sid;
    *account = NameOf(known);
    return Fault::kNone;
  }
  if (const DirectoryNames* const directory = directory_names.load(std::memory_order_acquire)) {
    const Fault fault = directory->FindSid(name, sid, account);
    if (fault != Fault::kNoneMapped) return fault;
  }
  return FindUnix(split, sid, account);
}

}  // namespace ktlsim::authorization
