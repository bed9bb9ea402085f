#include "kernel_sim/base/level.h"

#include "kernel_sim/base/assert.h"

namespace ktlsim {
namespace {

thread_local Level current_level = Level::kPassive;

}  // namespace

Level CurrentLevel() { return current_level; }

const char* LevelName(Level level) {
  switch (level) {
    case Level::kPassive:
      return "passive";
    case Level::kDispatch:
      return "dispatch";
  }
  return "?";
}

ScopedLevel::ScopedLevel(Level level) : previous_(current_level) {
  KTLSIM_ASSERT(level >= previous_);
  current_level = level;
}

ScopedLevel::~ScopedLevel() { current_level = previous_; }

}  // namespace ktlsim
