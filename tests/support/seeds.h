// Which seeds a test runs: its own, or what the environment says. KTLSIM_SEED=<n> runs that one
// alone; KTLSIM_SEEDS=<n> says how many.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>

namespace ktlsim::test {

inline std::optional<std::uint64_t> NumberFromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  bool one = false;  // chosen by KTLSIM_SEED: everything about it is printed
};

// Part `part` of `parts` of the seeds; the parts are of about the same size.
inline Seeds SeedsToRun(std::uint64_t otherwise, std::uint64_t part = 0, std::uint64_t parts = 1) {
  if (const auto one = NumberFromEnvironment("KTLSIM_SEED")) {
    // In one part only.
    if (part == *one % parts) return {.first = *one, .last = *one, .one = true};
    return {.first = 1, .last = 0, .one = true};
  }
  const std::uint64_t count = NumberFromEnvironment("KTLSIM_SEEDS").value_or(otherwise);
  return {.first = count * part / parts + 1, .last = count * (part + 1) / parts};
}

}  // namespace ktlsim::test
