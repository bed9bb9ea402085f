// Durations as people write them: "500ms", "10s", "2m".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ktlsim::command {

// A number, also with a fraction, and a unit: ns, us, ms, s, m or h. "0" needs none. Empty:
// anything else, or more than 100 hours.
std::optional<std::uint64_t> ParseDurationNs(std::string_view text);

constexpr double Seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// Three significant digits and the unit that suits: "1.24 ms".
std::string FormatDuration(std::uint64_t ns);

}  // namespace ktlsim::command
