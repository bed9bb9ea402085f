// CallbackGate: once the process is ending, no callback is entered any more.
//
// exit() destroys the program's static objects while the library's threads still run, so a callback
// would use objects that no longer exist. A program that stops the library first (Executive::Stop)
// gets all its callbacks. One that exits without a stop loses those that were still owed, and
// nothing else: calls, statuses and a later stop still work.
#pragma once

#include <cstdint>

namespace ktlsim::executive {

class CallbackGate {
 public:
  // Before a callback. False: the process is ending, and the callback must not be called. Any
  // level.
  static bool Enter();
  // After a callback whose Enter returned true.
  static void Leave();
  // For an exit handler: from now on Enter refuses. Waits until the callbacks that were entered
  // before have returned, but no longer than `patience_ns`; inside a callback it does not wait.
  // Passive level.
  static void Close(std::uint64_t patience_ns);
  // In a forked child, where the calling thread's callback is the only one that exists. The gate
  // stays closed only if that thread was ending the process.
  static void AfterForkInChild();
};

}  // namespace ktlsim::executive
