#include "kernel_sim/authorization/process_token.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/security/acl.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Privilege;
using security::Sid;
using security::Token;
using security::TokenGroup;

constexpr std::uint64_t kUnixAuthority = 22;  // Samba's, for names of another system
constexpr std::uint32_t kUnixUsers = 1;
constexpr std::uint32_t kUnixGroups = 2;
constexpr Sid kServiceSid(5, {6});
constexpr Sid kLocalSid(2, {0});
constexpr Sid kUsersSid(5, {32, 545});

// As a service's account has them.
constexpr security::PrivilegeSet kHeld = {
    Privilege::kAssignPrimaryToken, Privilege::kIncreaseQuota, Privilege::kAudit,
    Privilege::kChangeNotify,       Privilege::kImpersonate,   Privilege::kCreateGlobal};
constexpr security::PrivilegeSet kEnabled = {Privilege::kAudit, Privilege::kChangeNotify,
                                             Privilege::kImpersonate, Privilege::kCreateGlobal};

security::PrivilegeSet HeldBy(uid_t user) {
  security::PrivilegeSet held = kHeld;
  if (user == 0) {
    for (const Privilege one : {Privilege::kTcb, Privilege::kSecurity, Privilege::kTakeOwnership,
                                Privilege::kBackup, Privilege::kRestore, Privilege::kDebug}) {
      held.Add(one);
    }
  }
  return held;
}

// No thread may be making the token while the process forks.
struct Place {
  Place() { pthread_atfork(&Lock, &Unlock, &Unlock); }
  static void Lock();
  static void Unlock();

  Mutex mutex;
  Token::Ref token KTLSIM_GUARDED_BY(mutex);
  std::atomic<bool> used{false};  // the token does not change any more
};

Place& TheToken() {
  static NeverDestroyed<Place> place;
  return place.get();
}

// Its handlers precede those of whoever uses it while holding locks of its own.
[[maybe_unused]] const Place& place_from_the_start = TheToken();  // NOLINT(cert-err58-cpp)

KTLSIM_NO_THREAD_SAFETY void Place::Lock() { TheToken().mutex.lock(); }
KTLSIM_NO_THREAD_SAFETY void Place::Unlock() { TheToken().mutex.unlock(); }

// One group more than there are is room for a process that is given one meanwhile.
std::vector<gid_t> GroupsOfProcess() {
  std::vector<gid_t> groups{getegid()};
  const int count = getgroups(0, nullptr);
  if (count <= 0) return groups;
  groups.resize(1 + static_cast<std::size_t>(count));
  const int read = getgroups(count, groups.data() + 1);
  groups.resize(1 + static_cast<std::size_t>(std::max(read, 0)));
  return groups;
}

Token::Ref MakeOwn() {
  try {
    const std::vector<gid_t> groups = GroupsOfProcess();
    return MakeProcessToken({.user = geteuid(), .groups = groups});
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

Sid SidOfUnixUser(uid_t user) { return Sid(kUnixAuthority, {kUnixUsers, user}); }
Sid SidOfUnixGroup(gid_t group) { return Sid(kUnixAuthority, {kUnixGroups, group}); }

std::optional<security::AclView> WriteDefaultDacl(security::SidView user,
                                                  std::span<std::byte> memory) {
  Fault fault = security::InitializeAcl(memory, security::kAclRevision);
  for (const security::SidView sid : {user, security::kLocalSystemSid.view()}) {
    if (fault != Fault::kNone) return std::nullopt;
    fault = security::AppendAce(memory.data(), security::kAclRevision,
                                {.mask = security::kGenericAll, .sid = sid});
  }
  return fault == Fault::kNone ? security::AclView::Read(memory) : std::nullopt;
}

Token::Ref MakeProcessToken(const UnixIds& ids) try {
  std::vector<TokenGroup> groups;
  for (const gid_t group : ids.groups) groups.push_back({.sid = SidOfUnixGroup(group)});
  const std::uint32_t owner = security::kGroupMandatory | security::kGroupEnabledByDefault |
                              security::kGroupEnabled | security::kGroupOwner;
  if (ids.user == 0) groups.push_back({.sid = security::kAdministratorsSid, .attributes = owner});
  for (const Sid& one :
       {kUsersSid, security::kWorldSid, kLocalSid, security::kAuthenticatedUserSid, kServiceSid}) {
    groups.push_back({.sid = one});
  }
  const Sid user = SidOfUnixUser(ids.user);
  std::array<std::byte, 128> memory{};
  security::TokenContents contents;
  contents.user = user;
  contents.groups = groups;
  contents.privileges = {
      .held = HeldBy(ids.user), .enabled = kEnabled, .enabled_by_default = kEnabled};
  if (!ids.groups.empty()) contents.primary_group = SidOfUnixGroup(ids.groups.front());
  contents.default_dacl = WriteDefaultDacl(user, memory);
  contents.token_id = NextLuid();
  contents.authentication_id = security::kSystemSession;
  contents.source = {.name = {'k', 't', 'l', 's', 'i', 'm', ' ', ' '}, .id = {}};
  contents.integrity = ids.user == 0 ? security::kHighIntegrity : security::kMediumIntegrity;
  Token::Ref token;
  if (Token::Create(contents, &token) != Fault::kNone) return nullptr;
  return token;
} catch (const std::bad_alloc&) {
  return nullptr;
}

// Once it is used, the place is only read.
KTLSIM_NO_THREAD_SAFETY const Token::Ref& ProcessToken() {
  Place& place = TheToken();
  if (place.used.load(std::memory_order_acquire)) return place.token;
  const MutexLock lock(place.mutex);
  if (place.token == nullptr) place.token = MakeOwn();
  place.used.store(place.token != nullptr, std::memory_order_release);
  return place.token;
}

bool UseProcessToken(Token::Ref token) {
  if (token == nullptr || token->state()->type() != security::TokenType::kPrimary) return false;
  Place& place = TheToken();
  const MutexLock lock(place.mutex);
  if (place.used.load(std::memory_order_relaxed)) return false;
  place.token = std::move(token);
  return true;
}

security::Luid NextLuid() {
  // Below it are those that mean something, of privileges and of the system's sessions.
  static std::atomic<std::uint64_t> next{0x10000};
  const std::uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
  return {.low = static_cast<std::uint32_t>(number),
          .high = static_cast<std::int32_t>(number >> 32)};
}

}  // namespace ktlsim::authorization
