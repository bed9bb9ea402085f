#include "kernel_sim/command/durations.h"

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include <fmt/format.h>

namespace ktlsim::command {
namespace {

constexpr double kLongestNs = 100.0 * 3600e9;

struct Unit {
  std::string_view name;
  double ns;
};
constexpr std::array kUnits = {Unit{"ns", 1},  Unit{"us", 1e3}, Unit{"ms", 1e6},
                               Unit{"s", 1e9}, Unit{"m", 60e9}, Unit{"h", 3600e9}};

}  // namespace

std::optional<std::uint64_t> ParseDurationNs(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || std::signbit(number)) return {};
  const std::string_view name(rest, static_cast<std::size_t>(end - rest));
  if (name.empty() && number == 0) return 0;
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    const double ns = number * unit.ns;
    if (ns > kLongestNs) return {};
    return static_cast<std::uint64_t>(std::llround(ns));
  }
  return {};
}

std::string FormatDuration(std::uint64_t ns) {
  const auto value = static_cast<double>(ns);
  // A value that three digits round up to the next unit is shown in that unit.
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 999500) return fmt::format("{:.3g} us", value / 1e3);
  if (ns < 999500000) return fmt::format("{:.3g} ms", value / 1e6);
  return fmt::format("{:.3g} s", value / 1e9);
}

}  // namespace ktlsim::command
