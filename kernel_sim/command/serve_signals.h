// The signals that control `ktlsim serve`.
#pragma once

#include <csignal>
#include <cstdint>
#include <string>

namespace ktlsim::command {

// Blocks them for this thread and those it starts, so that only Next takes them. Made before the
// first other thread.
class ServeSignals {
 public:
  ServeSignals();
  ~ServeSignals();
  ServeSignals(const ServeSignals&) = delete;
  ServeSignals& operator=(const ServeSignals&) = delete;

  // Why they could not be blocked, in words; empty: they are.
  const std::string& error() const { return error_; }

  // Waits for the next one. Where waiting is impossible, it says so and returns SIGTERM: a server
  // that no signal reaches could only be killed. With `limit_ns` it returns 0 when none came in
  // that time.
  int Next(std::uint64_t limit_ns = 0);
  // Another thread makes Next return this when it has a result; it may come without one.
  static int Nudge() { return SIGRTMIN; }
  static bool Ends(int signal) { return signal == SIGTERM || signal == SIGINT; }

  // From here on SIGTERM and SIGINT have their default effect: they end the process at once.
  static void LetGo();
  // Until Hold, so that a long start can be ended.
  static void Hold();

 private:
  // The signal, 0 when the limit is over, or a negative errno value.
  int NextFromCall(std::uint64_t limit_ns) const;
  int NextFromDescriptor(std::uint64_t limit_ns);

  sigset_t set_{};
  std::string error_;
  int descriptor_ = -1;  // a signalfd, for where rt_sigtimedwait is refused
};

}  // namespace ktlsim::command
