#include "kernel_sim/accounts/unix_names.h"

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ktlsim::accounts {
namespace {

// The largest number means "no change" to the system.
constexpr std::int64_t kIdMax = 0xFFFFFFFE;
constexpr std::string_view kRange =
    "write a name, or 1 to 4294967294; the superuser's 0 is never taken on";
// Of what the system says of one user or group, its members included.
constexpr std::size_t kEntryBytesMax = std::size_t{1} << 20;

struct SystemUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Calls `ask` with more and more memory. False: the system does not know it.
template <typename Entry, typename Ask>
bool AskSystem(const Ask& ask, Entry* entry, std::vector<char>* memory) {
  for (memory->resize(1024); memory->size() <= kEntryBytesMax; memory->resize(4 * memory->size())) {
    Entry* found = nullptr;
    const int error_number = ask(entry, memory, &found);
    if (error_number == 0) return found != nullptr;
    if (error_number != ERANGE && error_number != EINTR) return false;
  }
  return false;
}

std::optional<SystemUser> FindUser(const NameOrNumber& who) {
  passwd entry{};
  std::vector<char> memory;
  const bool found = AskSystem<passwd>(
      [&who](passwd* into, std::vector<char>* bytes, passwd** result) {
        return who.number
                   ? getpwuid_r(static_cast<uid_t>(*who.number), into, bytes->data(), bytes->size(),
                                result)
                   : getpwnam_r(who.name.c_str(), into, bytes->data(), bytes->size(), result);
      },
      &entry, &memory);
  if (!found) return std::nullopt;
  return SystemUser{.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid};
}

std::optional<gid_t> FindGroup(const NameOrNumber& which) {
  if (which.number) return static_cast<gid_t>(*which.number);
  group entry{};
  std::vector<char> memory;
  const bool found = AskSystem<group>(
      [&which](group* into, std::vector<char>* bytes, group** result) {
        return getgrnam_r(which.name.c_str(), into, bytes->data(), bytes->size(), result);
      },
      &entry, &memory);
  return found ? std::optional(entry.gr_gid) : std::nullopt;
}

// False: more than anybody here may have.
bool GroupsOf(const SystemUser& user, std::vector<gid_t>* groups) {
  groups->resize(UnixIdentity::kGroupsMax);
  int count = static_cast<int>(groups->size());
  if (getgrouplist(user.name.c_str(), user.gid, groups->data(), &count) < 0) return false;
  groups->resize(static_cast<std::size_t>(count));
  return true;
}

bool InRange(const NameOrNumber& id) {
  return !id.number || (*id.number > 0 && *id.number <= kIdMax);
}

// Empty: *gid is a group's that may be taken on.
std::string CheckGroup(const NameOrNumber& which, gid_t* gid) {
  if (!InRange(which)) return std::string(kRange);
  const std::optional<gid_t> found = FindGroup(which);
  if (!found) return "the system has no such group; write one that it has, or its number";
  if (*found == 0) return std::string(kRange);
  *gid = *found;
  return {};
}

void ReadGroup(const TomlTable& table, const std::optional<SystemUser>& known,
               UnixIdentity* identity) {
  if (const std::optional<NameOrNumber> which = table.NameOrNumberOf("unix-group")) {
    const std::string wrong = CheckGroup(*which, &identity->gid);
    if (!wrong.empty()) table.Tell("unix-group", wrong);
  } else if (!known) {
    table.Tell("unix-group", "is missing; the system does not know the user, and so not its group");
  } else if (known->gid == 0) {
    table.Tell("unix-user", "its group is 0, which is never taken on; write unix-group as well");
  } else {
    identity->gid = known->gid;
  }
}

void ReadGroups(const TomlTable& table, const std::optional<SystemUser>& known,
                UnixIdentity* identity) {
  std::vector<gid_t>& groups = identity->groups;
  if (table.Has("unix-groups")) {
    table.NamesOrNumbers("unix-groups", [&groups](const NameOrNumber& which) {
      gid_t gid = 0;
      std::string wrong = CheckGroup(which, &gid);
      groups.push_back(gid);
      if (groups.size() > UnixIdentity::kGroupsMax) wrong = "more than 1024 groups; write less";
      return wrong;
    });
  } else if (known) {
    if (!GroupsOf(*known, &groups) || std::ranges::find(groups, gid_t{0}) != groups.end()) {
      table.Tell(
          "unix-user",
          "its groups with the system are more than 1024, or 0 is among them, which is never "
          "taken on; write unix-groups as well");
    }
    std::erase(groups, identity->gid);
  }
  std::ranges::sort(groups);
  groups.erase(std::ranges::unique(groups).begin(), groups.end());
}

}  // namespace

std::optional<UnixIdentity> ReadUnixIdentity(const TomlTable& table) {
  const std::optional<NameOrNumber> who = table.NameOrNumberOf("unix-user");
  if (!who) {
    for (const std::string_view key : {"unix-group", "unix-groups"}) {
      if (table.Has(key)) table.Tell("unix-user", fmt::format("is missing; {} needs it", key));
    }
    return std::nullopt;
  }
  if (!InRange(*who)) {
    table.Tell("unix-user", kRange);
    return std::nullopt;
  }
  const std::optional<SystemUser> known = FindUser(*who);
  if (!known && !who->number) {
    table.Tell("unix-user", "the system has no such user; write one that it has, or its number");
    return std::nullopt;
  }
  UnixIdentity identity;
  identity.uid = known ? known->uid : static_cast<uid_t>(*who->number);
  if (identity.uid == 0) {
    table.Tell("unix-user", kRange);
    return std::nullopt;
  }
  ReadGroup(table, known, &identity);
  ReadGroups(table, known, &identity);
  return identity;
}

}  // namespace ktlsim::accounts
