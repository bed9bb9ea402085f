// Execution levels, modelled on the kernel's IRQL: what the current thread may do at the moment.
//
// A level is a real thread-local variable, not only an annotation: functions that may block assert
// passive level on entry.
#pragma once

#include <cstdint>

namespace ktlsim {

enum class Level : std::uint8_t {
  kPassive,   // may block, allocate, take locks
  kDispatch,  // ring completions, lane work, on-processor notification: must not block
};

Level CurrentLevel();
const char* LevelName(Level level);

// Raises the level of this thread during a scope; never lowers it.
class ScopedLevel {
 public:
  explicit ScopedLevel(Level level);
  ~ScopedLevel();
  ScopedLevel(const ScopedLevel&) = delete;
  ScopedLevel& operator=(const ScopedLevel&) = delete;

 private:
  Level previous_;
};

}  // namespace ktlsim
