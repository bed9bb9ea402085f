// CallbackGate: once the process ends, no callback is entered any more.
//
// exit() destroys the program's static objects while the library's threads still run; a callback
// would then work on what is gone. A drain (Executive::Stop) delivers everything and comes first; a
// program that leaves without one loses the callbacks that were still owed, and nothing else:
// calls, statuses and a later drain work on.
#pragma once

#include <cstdint>

namespace ktlsim::executive {

class CallbackGate {
 public:
  // In front of a callback. False: the process is ending, it is not to be called. Any level.
  static bool Enter();
  // Behind one that was called.
  static void Leave();
  // For an exit handler: from now on Enter refuses. Callbacks that were entered before are waited
  // for, but not for longer than `patience_ns`, and not from inside one. Passive level.
  static void Close(std::uint64_t patience_ns);
  // In a forked child: of the callbacks that were entered only the caller's own exists there, and
  // only a process whose own thread is ending it stays closed.
  static void AfterForkInChild();
};

}  // namespace ktlsim::executive
