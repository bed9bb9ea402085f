// After KtlsimStop everything that was made must be gone. These counters show it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ktlsim::command {

struct RundownCheck {
  // Name and what is left, in a fixed order.
  std::vector<std::pair<std::string, std::uint64_t>> counters;

  bool clean() const;
  // "2 security_contexts, 1 credentials"; empty when clean.
  std::string Leftovers() const;
};

// Any time after the paths have stopped and the credentials were freed.
RundownCheck CheckRundown();

}  // namespace ktlsim::command
