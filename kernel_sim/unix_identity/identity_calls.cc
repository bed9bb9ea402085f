#include "kernel_sim/unix_identity/identity_calls.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace ktlsim::unix_identity {
namespace {

constexpr uid_t kUnchanged = static_cast<uid_t>(-1);

int ErrorOf(long result) { return result < 0 ? errno : 0; }

long Ambient(unsigned long operation, int capability) {
  return syscall(SYS_prctl, PR_CAP_AMBIENT, operation, static_cast<unsigned long>(capability), 0UL,
                 0UL);
}

// A 64-bit set has its lower half in the first structure.
std::uint64_t Joined(std::uint32_t low, std::uint32_t high) {
  return low | (std::uint64_t{high} << 32U);
}

class Calls final : public IdentityCalls {
 public:
  int SetGroups(std::span<const gid_t> groups) noexcept override {
    return ErrorOf(syscall(SYS_setgroups, groups.size(), groups.data()));
  }
  int SetGroup(gid_t effective) noexcept override {
    return ErrorOf(syscall(SYS_setresgid, kUnchanged, effective, kUnchanged));
  }
  int SetUser(uid_t effective) noexcept override {
    return ErrorOf(syscall(SYS_setresuid, kUnchanged, effective, kUnchanged));
  }
  int SetCapabilities(const CapabilitySets& sets) noexcept override;
  int Read(ThreadCredentials* credentials) noexcept override;
};

int Calls::SetCapabilities(const CapabilitySets& sets) noexcept {
  // 0: the calling thread.
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto shift = static_cast<unsigned>(32 * i);
    data[i].effective = static_cast<std::uint32_t>(sets.effective >> shift);
    data[i].permitted = static_cast<std::uint32_t>(sets.permitted >> shift);
    data[i].inheritable = static_cast<std::uint32_t>(sets.inheritable >> shift);
  }
  if (syscall(SYS_capset, &head, data.data()) != 0) return errno;
  for (std::uint64_t rest = sets.ambient; rest != 0; rest &= rest - 1) {
    const int capability = std::countr_zero(rest);
    if (Ambient(PR_CAP_AMBIENT_RAISE, capability) < 0) return errno;
  }
  return 0;
}

int ReadCapabilities(CapabilitySets* sets) {
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &head, data.data()) != 0) return errno;
  *sets = {.effective = Joined(data[0].effective, data[1].effective),
           .permitted = Joined(data[0].permitted, data[1].permitted),
           .inheritable = Joined(data[0].inheritable, data[1].inheritable)};
  // Only these can be.
  for (std::uint64_t rest = sets->permitted & sets->inheritable; rest != 0; rest &= rest - 1) {
    const int capability = std::countr_zero(rest);
    const long is_set = Ambient(PR_CAP_AMBIENT_IS_SET, capability);
    if (is_set < 0) return errno;
    if (is_set > 0) sets->ambient |= std::uint64_t{1} << static_cast<unsigned>(capability);
  }
  return 0;
}

int Calls::Read(ThreadCredentials* credentials) noexcept {
  UserIds& user = credentials->user;
  GroupIds& group = credentials->group;
  if (syscall(SYS_getresuid, &user.real, &user.effective, &user.saved) != 0) return errno;
  if (syscall(SYS_getresgid, &group.real, &group.effective, &group.saved) != 0) return errno;
  // An id that nobody has changes nothing; what is there is returned.
  user.file = static_cast<uid_t>(syscall(SYS_setfsuid, kUnchanged));
  group.file = static_cast<gid_t>(syscall(SYS_setfsgid, kUnchanged));
  const long count =
      syscall(SYS_getgroups, credentials->groups_memory.size(), credentials->groups_memory.data());
  if (count < 0) return errno;
  credentials->groups_count = static_cast<std::size_t>(count);
  return ReadCapabilities(&credentials->capabilities);
}

}  // namespace

bool ThreadCredentials::operator==(const ThreadCredentials& other) const {
  return user == other.user && group == other.group && capabilities == other.capabilities &&
         SameGroups(groups(), other.groups());
}

bool SameGroups(std::span<const gid_t> one, std::span<const gid_t> other) noexcept {
  if (std::ranges::equal(one, other)) return true;
  if (one.size() != other.size() || one.size() > UnixIdentity::kGroupsMax) return false;
  // Without the heap: a forked child compares, too.
  std::array<gid_t, UnixIdentity::kGroupsMax> first;
  std::array<gid_t, UnixIdentity::kGroupsMax> second;
  const auto first_end = std::ranges::copy(one, first.begin()).out;
  const auto second_end = std::ranges::copy(other, second.begin()).out;
  std::sort(first.begin(), first_end);
  std::sort(second.begin(), second_end);
  return std::equal(first.begin(), first_end, second.begin(), second_end);
}

IdentityCalls& LinuxCalls() {
  static constinit Calls calls;
  return calls;
}

}  // namespace ktlsim::unix_identity
