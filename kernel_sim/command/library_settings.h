// The settings of the library itself, which every command that starts it offers.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {

inline constexpr std::size_t kLibrarySettings = 7;
inline constexpr std::size_t kPlacementSettings = 1;
inline constexpr std::size_t kKeyLogSettings = 1;
inline constexpr std::size_t kNotifySettings = 1;
inline constexpr std::size_t kTraceSettings = 3;

// KTLSIM_NOTIFY_ON_PROCESSOR and KTLSIM_NOTIFY_POOL.
inline constexpr std::array kNotifyWords = {Word<ULONG>{"on-processor", KTLSIM_NOTIFY_ON_PROCESSOR},
                                            Word<ULONG>{"pool", KTLSIM_NOTIFY_POOL}};

// All but the placement and the notification.
std::span<const CommandSetting<StartupOptions>, kLibrarySettings> LibrarySettings();
// `--placement inline|pool` alone: `stress` has one of its own.
std::span<const CommandSetting<StartupOptions>, kPlacementSettings> PlacementSettings();
// `--key-log FILE` alone, for commands whose traffic a user may want to decrypt.
std::span<const CommandSetting<StartupOptions>, kKeyLogSettings> KeyLogSettings();
// `--trace FILE` and how much of it.
std::span<const CommandSetting<StartupOptions>, kTraceSettings> TraceSettings();
// `--notify on-processor|pool`, likewise.
std::span<const CommandSetting<StartupOptions>, kNotifySettings> NotifySettings();

}  // namespace ktlsim::command
