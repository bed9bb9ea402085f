#include "kernel_sim/accounts/unix_names.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
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

// What the system said. Only kNone means that there is no such user or group; kFailed, that it
// could not look (no descriptor, an error of the disk), and another time there may be one.
enum class Answer : std::uint8_t { kFound, kNone, kFailed };

constexpr std::string_view kCannotLook =
    "the system could not look it up; try again, or write numbers for user, group and groups";

// Where several services are asked (nsswitch.conf), the last one's "no" hides that an earlier one
// could not look. The files are asked everywhere: whether they can be opened says it for them.
bool CanLookIn(const char* file) {
  const int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno == ENOENT;
  close(descriptor);
  return true;
}
Answer NoneIn(const char* file) { return CanLookIn(file) ? Answer::kNone : Answer::kFailed; }

constexpr const char* kUsersFile = "/etc/passwd";
constexpr const char* kGroupsFile = "/etc/group";

// Calls `ask` with more and more memory.
template <typename Entry, typename Ask>
Answer AskSystem(const Ask& ask, Entry* entry, std::vector<char>* memory) {
  for (memory->resize(1024); memory->size() <= kEntryBytesMax; memory->resize(4 * memory->size())) {
    Entry* found = nullptr;
    const int error_number = ask(entry, memory, &found);
    if (error_number == 0) return found != nullptr ? Answer::kFound : Answer::kNone;
    if (error_number == ENOENT || error_number == ESRCH) return Answer::kNone;
    if (error_number != ERANGE && error_number != EINTR) return Answer::kFailed;
  }
  return Answer::kFailed;
}

// kFound: *user is written.
Answer FindUser(const NameOrNumber& who, SystemUser* user) {
  passwd entry{};
  std::vector<char> memory;
  const Answer answer = AskSystem<passwd>(
      [&who](passwd* into, std::vector<char>* bytes, passwd** result) {
        return who.number
                   ? getpwuid_r(static_cast<uid_t>(*who.number), into, bytes->data(), bytes->size(),
                                result)
                   : getpwnam_r(who.name.c_str(), into, bytes->data(), bytes->size(), result);
      },
      &entry, &memory);
  if (answer == Answer::kNone) return NoneIn(kUsersFile);
  if (answer == Answer::kFound) {
    *user = {.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid};
  }
  return answer;
}

// kFound: *gid is written.
Answer FindGroup(const NameOrNumber& which, gid_t* gid) {
  if (which.number) {
    *gid = static_cast<gid_t>(*which.number);
    return Answer::kFound;
  }
  group entry{};
  std::vector<char> memory;
  const Answer answer = AskSystem<group>(
      [&which](group* into, std::vector<char>* bytes, group** result) {
        return getgrnam_r(which.name.c_str(), into, bytes->data(), bytes->size(), result);
      },
      &entry, &memory);
  if (answer == Answer::kNone) return NoneIn(kGroupsFile);
  if (answer == Answer::kFound) *gid = entry.gr_gid;
  return answer;
}

// getgrouplist leaves out what it cannot look up, and says so in errno only; it has other values
// there after a success, too.
bool SaysFailure(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOMEM ||
         error_number == EIO || error_number == ETIMEDOUT;
}

// kNone: more than anybody here may have.
Answer GroupsOf(const SystemUser& user, std::vector<gid_t>* groups) {
  groups->resize(UnixIdentity::kGroupsMax);
  int count = static_cast<int>(groups->size());
  errno = 0;
  const int result = getgrouplist(user.name.c_str(), user.gid, groups->data(), &count);
  const int error_number = errno;
  if (SaysFailure(error_number) || !CanLookIn(kGroupsFile)) return Answer::kFailed;
  if (result < 0) return Answer::kNone;
  groups->resize(static_cast<std::size_t>(count));
  return Answer::kFound;
}

bool InRange(const NameOrNumber& id) {
  return !id.number || (*id.number > 0 && *id.number <= kIdMax);
}

// Empty: *gid is a group's that may be taken on.
std::string CheckGroup(const NameOrNumber& which, gid_t* gid) {
  if (!InRange(which)) return std::string(kRange);
  gid_t found = 0;
  switch (FindGroup(which, &found)) {
    case Answer::kFound:
      break;
    case Answer::kNone:
      return "the system has no such group; write one that it has, or its number";
    case Answer::kFailed:
      return std::string(kCannotLook);
  }
  if (found == 0) return std::string(kRange);
  *gid = found;
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
    const Answer answer = GroupsOf(*known, &groups);
    if (answer == Answer::kFailed) {
      table.Tell("unix-user", kCannotLook);
    } else if (answer == Answer::kNone || std::ranges::find(groups, gid_t{0}) != groups.end()) {
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
  std::optional<SystemUser> known;
  // With numbers for all of it the system is not asked.
  const bool complete = who->number && table.Has("unix-group") && table.Has("unix-groups");
  if (!complete) {
    SystemUser user;
    const Answer answer = FindUser(*who, &user);
    if (answer == Answer::kFailed) {
      table.Tell("unix-user", kCannotLook);
      return std::nullopt;
    }
    if (answer == Answer::kFound) known = std::move(user);
  }
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
