// The settings of the library itself, which every command that starts it offers.
#pragma once

#include <cstddef>
#include <span>

#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/startup.h"

namespace ktlsim::command {

inline constexpr std::size_t kLibrarySettings = 7;
inline constexpr std::size_t kPlacementSettings = 1;
inline constexpr std::size_t kKeyLogSettings = 1;

// All but the placement.
std::span<const CommandSetting<StartupOptions>, kLibrarySettings> LibrarySettings();
// `--placement inline|pool` alone: `stress` has one of its own.
std::span<const CommandSetting<StartupOptions>, kPlacementSettings> PlacementSettings();
// `--key-log FILE` alone, for commands whose traffic somebody may want to decrypt.
std::span<const CommandSetting<StartupOptions>, kKeyLogSettings> KeyLogSettings();

}  // namespace ktlsim::command
