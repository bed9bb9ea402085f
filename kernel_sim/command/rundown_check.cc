#include "kernel_sim/command/rundown_check.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>

#include <fmt/format.h>

namespace ktlsim::command {

bool RundownCheck::clean() const {
  return std::all_of(counters.begin(), counters.end(),
                     [](const auto& counter) { return counter.second == 0; });
}

std::string RundownCheck::Leftovers() const {
  std::string text;
  for (const auto& [name, left] : counters) {
    if (left == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", left, name);
  }
  return text;
}

RundownCheck CheckRundown() {
  KtlsimStatistics now{};
  now.cbSize = sizeof(now);
  RundownCheck check;
  if (KtlsimQueryStatistics(&now) != SEC_E_OK) {
    check.counters = {{"statistics_unavailable", 1}};
    return check;
  }
  check.counters = {{"requests_in_flight", now.cInFlight},
                    {"async_contexts", now.cAsyncContexts},
                    {"security_contexts", now.cSecurityContexts},
                    {"credentials", now.cCredentials},
                    {"context_buffers", now.cContextBuffers},
                    {"notify_threads", now.cNotifyThreads},
                    {"misuse", now.cMisuse}};
  return check;
}

}  // namespace ktlsim::command
