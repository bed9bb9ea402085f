// The signals that `ktlsim serve` is led by.
#pragma once

#include <csignal>
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

  // Waits for the next one. Where none can be waited for, says so and takes it for SIGTERM: a
  // server that no signal reaches could only be killed.
  int Next();
  // What another thread has Next return when it has something; it may come for no reason.
  static int Nudge() { return SIGRTMIN; }
  static bool Ends(int signal) { return signal == SIGTERM || signal == SIGINT; }

  // From here on SIGTERM and SIGINT have their default effect: they end the process at once.
  static void LetGo();
  // Until Hold: so that a start that takes long can be ended.
  static void Hold();

 private:
  // The signal, or a negative errno value.
  int NextFromCall() const;
  int NextFromDescriptor();

  sigset_t set_{};
  std::string error_;
  int descriptor_ = -1;  // a signalfd, for where rt_sigtimedwait is refused
};

}  // namespace ktlsim::command
