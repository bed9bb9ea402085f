#include "kernel_sim/unix_identity/real_impersonation.h"

#include <cap-ng.h>

#include <type_traits>

#include <fmt/format.h>

#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::unix_identity {
namespace {

IdentitySwitch& Switch() {
  // Threads return with it while the process exits.
  static_assert(std::is_trivially_destructible_v<IdentitySwitch>);
  static IdentitySwitch made(LinuxCalls());
  return made;
}

// Empty: none is missing.
std::string MissingCapabilities() {
  if (capng_get_caps_process() != 0) {
    return "the capabilities of the process cannot be read: is /proc mounted?";
  }
  const bool user = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) != 0;
  const bool group = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID) != 0;
  if (user && group) return {};
  return fmt::format(
      "{} missing: run as root, give the program the capabilities (setcap "
      "cap_setuid,cap_setgid+ep PROGRAM), or its systemd unit "
      "(AmbientCapabilities=CAP_SETUID CAP_SETGID)",
      user    ? "CAP_SETGID is"
      : group ? "CAP_SETUID is"
              : "CAP_SETUID and CAP_SETGID are");
}

}  // namespace

std::string Begin() {
  if (std::string missing = MissingCapabilities(); !missing.empty()) return missing;
  if (std::string wrong = Switch().Prepare(); !wrong.empty()) return wrong;
  ThreadIdentity::UseSwitch(&Switch());
  return {};
}

void End() { ThreadIdentity::UseSwitch(nullptr); }

bool InForce() { return ThreadIdentity::Switches(); }

SwitchFigures Figures() { return Switch().figures(); }

}  // namespace ktlsim::unix_identity
