#include "kernel_sim/accounts/password_pace.h"

#include <algorithm>
#include <limits>

namespace ktlsim::accounts {

bool PasswordPace::Admit(const std::string& name) {
  if (!names_.contains(name)) MakeRoom();
  Name& entry = names_[name];
  if (entry.waiting >= limits_.waiting_max) return false;
  ++entry.waiting;
  return true;
}

void PasswordPace::Withdraw(const std::string& name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  --found->second.waiting;
  if (found->second.waiting == 0 && found->second.failures == 0) names_.erase(found);
}

bool PasswordPace::MayBegin(const std::string& name, std::uint64_t now_ns,
                            std::uint64_t* due_ns) const {
  const auto found = names_.find(name);
  *due_ns = 0;
  if (found == names_.end()) return true;
  *due_ns = found->second.runs ? std::numeric_limits<std::uint64_t>::max() : found->second.due_ns;
  return !found->second.runs && now_ns >= found->second.due_ns;
}

void PasswordPace::Begin(const std::string& name) {
  const auto found = names_.find(name);
  if (found != names_.end()) found->second.runs = true;
}

void PasswordPace::Finish(const std::string& name, AttemptEnd end, std::uint64_t now_ns) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  Name& entry = found->second;
  entry.runs = false;
  if (end != AttemptEnd::kUnjudged) {
    const bool old = entry.failures != 0 && now_ns - entry.failed_ns > limits_.forgotten_after_ns;
    entry.failures = end == AttemptEnd::kRight ? 0 : old ? 1 : entry.failures + 1;
    entry.failed_ns = now_ns;
  }
  entry.due_ns = now_ns + DelayNs(entry.failures);
  Withdraw(name);
}

std::uint64_t PasswordPace::DelayNs(unsigned failures) const {
  if (failures < limits_.free_failures) return 0;
  std::uint64_t delay = limits_.first_delay_ns;
  for (unsigned i = limits_.free_failures; i < failures && delay < limits_.longest_delay_ns; ++i) {
    delay *= 2;
  }
  return std::min(delay, limits_.longest_delay_ns);
}

void PasswordPace::MakeRoom() {
  if (names_.size() < limits_.names_max) return;
  auto least = names_.end();
  for (auto at = names_.begin(); at != names_.end(); ++at) {
    if (at->second.waiting != 0) continue;
    if (least == names_.end() || at->second.failures < least->second.failures ||
        (at->second.failures == least->second.failures &&
         at->second.failed_ns < least->second.failed_ns)) {
      least = at;
    }
  }
  if (least != names_.end()) names_.erase(least);
}

}  // namespace ktlsim::accounts
