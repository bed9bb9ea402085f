#include "kernel_sim/unix_identity/identity_switch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace ktlsim::unix_identity {
namespace {

// Nobody knows any more as whom this thread would go on.
[[noreturn]] void EndProcess(const char* call, int error_number) {
  std::array<char, 128> memory{};
  // Not fmt: this may be for want of memory.
  std::fprintf(stderr,
               "ktlsim: a thread cannot return from a client's Unix identity: %s: %s; the process "
               "ends, since it might go on with another one's rights\n",
               call, strerror_r(error_number, memory.data(), memory.size()));
  std::abort();
}

void Must(int error_number, const char* call) {
  if (error_number != 0) EndProcess(call, error_number);
}

std::string ErrorText(int error_number) {
  std::array<char, 128> memory{};
  return strerror_r(error_number, memory.data(), memory.size());
}

}  // namespace

std::string IdentitySwitch::Prepare() {
  ThreadCredentials now;
  if (const int error_number = calls_.Read(&now); error_number != 0) {
    return error_number == EINVAL
               ? fmt::format(
                     "the process has more than {} supplementary groups: start it with less",
                     UnixIdentity::kGroupsMax)
               : "its own identity cannot be read: " + ErrorText(error_number);
  }
  if (now.user.saved != now.user.effective || now.group.saved != now.group.effective) {
    return "the saved user or group id is not the effective one: start the process with both the "
           "same, or there is no way back";
  }
  // Threads that act as somebody return to what was there before.
  if (prepared_ && !(now == process_)) {
    return "the ids, groups or capabilities of this thread are not those of the first start: "
           "change "
           "them before that";
  }
  if (!std::exchange(prepared_, true)) process_ = now;
  // What is refused here would end the process on the way back.
  if (const int refused = TryCapabilities(); refused != 0) {
    return fmt::format(
        "a trial to set the capabilities that it has failed: {}; a filter of system calls "
        "(systemd: SystemCallFilter=) has to permit capset and prctl, and what is inheritable has "
        "to be permitted and in the bounding set",
        ErrorText(refused));
  }
  const int error_number = TakeUncounted(UnixIdentity::Nobody());
  if (error_number != 0) {
    return fmt::format(
        "a trial to act as uid 65534 failed: {}; a container has to map the ids of the accounts, "
        "and to permit setgroups; a filter of system calls (systemd: SystemCallFilter=) has to "
        "permit setgroups, setresgid and setresuid",
        ErrorText(error_number));
  }
  Return();
  return {};
}

// Nothing changes, unless what was inheritable cannot be so again.
int IdentitySwitch::TryCapabilities() noexcept {
  const int error_number = calls_.SetCapabilities(process_.capabilities);
  if (error_number != 0 || process_.capabilities.inheritable == 0) return error_number;
  if (const int cleared = calls_.SetCapabilities(InEffect()); cleared != 0) return cleared;
  return calls_.SetCapabilities(process_.capabilities);
}

// The process's, of which no program that is run gets anything.
CapabilitySets IdentitySwitch::InEffect() const noexcept {
  CapabilitySets sets = process_.capabilities;
  sets.inheritable = 0;
  sets.ambient = 0;
  return sets;
}

CapabilitySets IdentitySwitch::NoneInEffect() const noexcept {
  CapabilitySets sets = InEffect();
  sets.effective = 0;
  return sets;
}

int IdentitySwitch::Take(const UnixIdentity& identity) noexcept {
  const int error_number = TakeUncounted(identity);
  (error_number == 0 ? taken_ : refused_).Add(1);
  return error_number;
}

int IdentitySwitch::TakeUncounted(const UnixIdentity& identity) noexcept {
  if (identity.uid == 0 || identity.gid == 0 || identity.groups.size() > UnixIdentity::kGroupsMax ||
      std::ranges::find(identity.groups, gid_t{0}) != identity.groups.end()) {
    return EPERM;
  }
  ThreadCredentials now;
  if (const int error_number = calls_.Read(&now); error_number != 0) return error_number;
  return now == process_ ? Change(identity) : EPERM;
}

// What has been done is undone where a later step fails.
int IdentitySwitch::Change(const UnixIdentity& identity) noexcept {
  int error_number = calls_.SetGroups(identity.groups);
  if (error_number != 0) return error_number;
  error_number = calls_.SetGroup(identity.gid);
  if (error_number == 0) error_number = calls_.SetUser(identity.uid);
  if (error_number == 0) error_number = calls_.SetCapabilities(NoneInEffect());
  if (error_number == 0 && !HasTaken(identity)) error_number = EPERM;
  if (error_number != 0) Return();
  return error_number;
}

bool IdentitySwitch::HasTaken(const UnixIdentity& identity) noexcept {
  ThreadCredentials now;
  if (calls_.Read(&now) != 0) return false;
  UserIds user = process_.user;
  user.effective = user.file = identity.uid;
  GroupIds group = process_.group;
  group.effective = group.file = identity.gid;
  return now.user == user && now.group == group && now.capabilities == NoneInEffect() &&
         SameGroups(now.groups(), identity.groups);
}

// To raise what is permitted, and to return to a saved id, needs no capability; the groups do.
void IdentitySwitch::Return() noexcept {
  Must(calls_.SetCapabilities(InEffect()), "capset");
  Must(calls_.SetUser(process_.user.effective), "setresuid");
  Must(calls_.SetGroup(process_.group.effective), "setresgid");
  Must(calls_.SetGroups(process_.groups()), "setgroups");
  // Whoever becomes uid 0 again gets all that is permitted, which may be more than before. What
  // programs inherit comes back, too.
  Must(calls_.SetCapabilities(process_.capabilities), "capset");
  ThreadCredentials now;
  Must(calls_.Read(&now), "getresuid");
  if (!(now == process_)) EndProcess("the result is not as before", EPERM);
}

SwitchFigures IdentitySwitch::figures() const {
  return {.taken = taken_.Sum(), .refused = refused_.Sum()};
}

}  // namespace ktlsim::unix_identity
