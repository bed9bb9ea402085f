// Real impersonation of the process: threads that act as a client have its Unix user.
//
// Passive level; not at the same time as itself, except Figures.
#pragma once

#include <string>

#include "kernel_sim/unix_identity/identity_switch.h"

namespace ktlsim::unix_identity {

// What the kernel says of the process.
struct StartFacts {
  bool cleansed = false;  // AT_SECURE: exec gave it rights that its caller lacks
  bool may_set_user = false;
  bool may_set_group = false;
};
// Empty: nothing is in the way. Otherwise what is wrong, and the remedy.
std::string JudgeStart(const StartFacts& facts);

// From now on, for the process as the calling thread is: CAP_SETUID and CAP_SETGID are in effect,
// exec gave it no rights that its caller lacks, and a trial succeeds. Empty: done. Otherwise what
// is missing, and the remedy; nothing changes.
std::string Begin();
// No thread takes on a Unix user any more; who has one keeps it until it acts as somebody else.
void End();
bool InForce();

// Since the process began. Any thread, any level.
SwitchFigures Figures();

}  // namespace ktlsim::unix_identity
