// PasswordPace: how soon after a wrong password the next attempt for the same name may begin.
//
// A name that nobody has is treated like any other. How many names are remembered is bounded: of
// those that nobody waits for, the one with the fewest failures is forgotten first.
//
// One thread at a time; allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "kernel_sim/base/clock.h"

namespace ktlsim::accounts {

struct PaceLimits {
  unsigned free_failures = 3;  // without a delay
  std::uint64_t first_delay_ns = kNsPerSecond;
  std::uint64_t longest_delay_ns = 30 * kNsPerSecond;
  std::uint64_t forgotten_after_ns = 15 * 60 * kNsPerSecond;
  unsigned waiting_max = 4;  // attempts for one name that are not over
  std::size_t names_max = 4096;
};

// How an attempt ended.
enum class AttemptEnd : std::uint8_t {
  kRight,     // the failures before it are forgotten
  kWrong,     // one failure more
  kUnjudged,  // nobody knows: failures stay as they are, and so does the delay after them
};

class PasswordPace {
 public:
  explicit PasswordPace(const PaceLimits& limits) : limits_(limits) {}

  // Another attempt for `name` is there. False: too many wait for it. Each one that was let in ends
  // with Finish or Withdraw.
  bool Admit(const std::string& name);
  void Withdraw(const std::string& name);
  // Whether an attempt may begin; if not, *due_ns is the earliest time, or none (UINT64_MAX) while
  // another attempt for the name runs.
  bool MayBegin(const std::string& name, std::uint64_t now_ns, std::uint64_t* due_ns) const;
  void Begin(const std::string& name);
  void Finish(const std::string& name, AttemptEnd end, std::uint64_t now_ns);

  // Between the end of an attempt and the beginning of the next, after so many failures.
  std::uint64_t DelayNs(unsigned failures) const;
  std::size_t size() const { return names_.size(); }

 private:
  struct Name {
    unsigned failures = 0;
    unsigned waiting = 0;  // those that run included
    bool runs = false;
    std::uint64_t due_ns = 0;
    std::uint64_t failed_ns = 0;
  };

  void MakeRoom();

  const PaceLimits limits_;
  std::unordered_map<std::string, Name> names_;
};

}  // namespace ktlsim::accounts
