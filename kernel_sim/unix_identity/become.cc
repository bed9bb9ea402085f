#include "kernel_sim/unix_identity/become.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kernel_sim/unix_identity/identity_calls.h"

namespace ktlsim::unix_identity {

int BecomeForGood(const UnixIdentity& identity) noexcept {
  if (identity.uid == 0 || identity.gid == 0) return EPERM;
  IdentityCalls& calls = LinuxCalls();
  if (const int error_number = calls.SetGroups(identity.groups); error_number != 0) {
    return error_number;
  }
  const gid_t gid = identity.gid;
  if (syscall(SYS_setresgid, gid, gid, gid) != 0) return errno;
  const uid_t uid = identity.uid;
  if (syscall(SYS_setresuid, uid, uid, uid) != 0) return errno;
  // Its memory is still a copy of the parent's, and by now its user could trace it where
  // fs.suid_dumpable is 1. exec makes the program's own memory dumpable again.
  if (syscall(SYS_prctl, PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) != 0) return errno;
  // The ambient ones go with the inheritable ones.
  if (const int error_number = calls.SetCapabilities({}); error_number != 0) return error_number;
  ThreadCredentials now;
  if (const int error_number = calls.Read(&now); error_number != 0) return error_number;
  const bool is_it =
      now.user == UserIds{.real = uid, .effective = uid, .saved = uid, .file = uid} &&
      now.group == GroupIds{.real = gid, .effective = gid, .saved = gid, .file = gid} &&
      now.capabilities == CapabilitySets() && SameGroups(now.groups(), identity.groups);
  return is_it ? 0 : EPERM;
}

}  // namespace ktlsim::unix_identity
