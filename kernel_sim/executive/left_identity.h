// What a caller's code leaves in the identity slot of one of the runtime's threads: it is taken out
// and counted, so that nobody's work runs as somebody else. Private to the executive.
#pragma once

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/executive/misuse.h"

namespace ktlsim::executive {

// Empties the slot. What is in it, but for `applied`, is misuse; `what` names it, a literal.
inline void EmptyIdentity(const Identity* applied, const char* what) {
  if (!ThreadIdentity::IsSet()) return;
  const bool left = ThreadIdentity::Present() != applied;
  ThreadIdentity::Exchange(nullptr);
  if (left) ReportMisuse(what);
}

// Around a callback, which begins as the process and without an error.
class CallbackIdentity {
 public:
  CallbackIdentity() {
    KTLSIM_CHECK(!ThreadIdentity::IsSet());
    SetLastError(0);
  }
  ~CallbackIdentity() { EmptyIdentity(nullptr, "a callback left an identity"); }
  CallbackIdentity(const CallbackIdentity&) = delete;
  CallbackIdentity& operator=(const CallbackIdentity&) = delete;
};

}  // namespace ktlsim::executive
