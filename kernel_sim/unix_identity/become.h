// A process becomes a Unix user for good.
#pragma once

#include "kernel_sim/base/unix_identity.h"

namespace ktlsim::unix_identity {

// In a forked child of a process with real impersonation, whose thread acted as the process: real,
// effective and saved ids are those of `identity`, with its groups, and no capability is left, not
// for programs that it runs either. Until it runs one, it is not traced by its user and leaves no
// core dump. 0, or an errno value: the child is to end. System calls only.
int BecomeForGood(const UnixIdentity& identity) noexcept;

}  // namespace ktlsim::unix_identity
