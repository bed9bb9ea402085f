#include "kernel_sim/command/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "kernel_sim/command/similar.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

struct Variable {
  std::string_view name;
  std::array<std::string_view, 2> values;  // unused places are empty
};

// Their readers: base/trace.cc, executive/misuse.cc, tls/record/aead_engine.cc, io/uring_probe.cc.
constexpr std::array kVariables = {
    Variable{"KTLSIM_TRACE", {"text", "json"}},
    Variable{"KTLSIM_MISUSE", {"abort"}},
    Variable{"KTLSIM_AEAD", {"evp", "ipsec-mb"}},
    Variable{"KTLSIM_RING_LEVEL", {"6.1"}},
};

std::string CheckOne(std::string_view name, std::string_view value) {
  const auto* const variable = std::find_if(kVariables.begin(), kVariables.end(),
                                            [name](const Variable& v) { return v.name == name; });
  if (variable == kVariables.end()) {
    // One letter only: tests have variables of their own, such as KTLSIM_SEED.
    std::vector<std::string> known;
    known.reserve(kVariables.size());
    for (const Variable& each : kVariables) known.emplace_back(each.name);
    const std::string similar = SimilarName(name, known, 1);
    if (similar.empty()) return {};
    return fmt::format("the environment has {}, which ktlsim does not read; did you mean {}?",
                       Printable(name), similar);
  }
  // An empty variable counts as none, as it does for most programs.
  if (value.empty()) return {};
  std::string all;
  for (const std::string_view word : variable->values) {
    if (word.empty()) continue;
    if (value == word) return {};
    all.append(all.empty() ? "" : " or ").append(word);
  }
  return fmt::format("the environment variable {} is \"{}\": it can be {}", name, Printable(value),
                     all);
}

}  // namespace

std::string CheckEnvironment(std::span<const char* const> environment) {
  for (const std::string_view entry : environment) {
    if (!entry.starts_with("KTLSIM_")) continue;
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    std::string wrong = CheckOne(entry.substr(0, equals), entry.substr(equals + 1));
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string CheckEnvironment() {
  std::size_t count = 0;
  while (environ != nullptr && environ[count] != nullptr) ++count;
  return CheckEnvironment(std::span<const char* const>(environ, count));
}

}  // namespace ktlsim::command
