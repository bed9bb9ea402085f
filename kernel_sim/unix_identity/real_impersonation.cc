#include "kernel_sim/unix_identity/real_impersonation.h"

#include <cap-ng.h>
#include <sys/auxv.h>

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

// Empty: *facts is written.
std::string ReadFacts(StartFacts* facts) {
  if (capng_get_caps_process() != 0) {
    return "the capabilities of the process cannot be read: is /proc mounted?";
  }
  facts->cleansed = getauxval(AT_SECURE) != 0;
  facts->may_set_user = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) != 0;
  facts->may_set_group = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID) != 0;
  return {};
}

}  // namespace

std::string JudgeStart(const StartFacts& facts) {
  const bool user = facts.may_set_user;
  const bool group = facts.may_set_group;
  if (!user || !group) {
    return fmt::format(
        "{} missing: run as root, or give them to the systemd unit "
        "(AmbientCapabilities=CAP_SETUID CAP_SETGID)",
        user    ? "CAP_SETGID is"
        : group ? "CAP_SETUID is"
                : "CAP_SETUID and CAP_SETGID are");
  }
  if (facts.cleansed) {
    return "the program's file has rights of its own (setcap, a set-user-ID bit, or a transition "
           "of SELinux or AppArmor), so that everybody who may run it could become any user by its "
           "settings: take them away (setcap -r), and run it as root or with systemd's "
           "AmbientCapabilities=CAP_SETUID CAP_SETGID";
  }
  return {};
}

std::string Begin() {
  StartFacts facts;
  if (std::string wrong = ReadFacts(&facts); !wrong.empty()) return wrong;
  if (std::string wrong = JudgeStart(facts); !wrong.empty()) return wrong;
  if (std::string wrong = Switch().Prepare(); !wrong.empty()) return wrong;
  ThreadIdentity::UseSwitch(&Switch());
  return {};
}

void End() { ThreadIdentity::UseSwitch(nullptr); }

bool InForce() { return ThreadIdentity::Switches(); }

SwitchFigures Figures() { return Switch().figures(); }

}  // namespace ktlsim::unix_identity
