// The signals that `ktlsim serve` is led by.
#pragma once

#include <csignal>

namespace ktlsim::command {

// Blocks them for this thread and those it starts, so that only Next takes them. Made before the
// first other thread.
class ServeSignals {
 public:
  ServeSignals() {
    sigemptyset(&set_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    // A closed pipe or socket is an outcome like any other.
    std::signal(SIGPIPE, SIG_IGN);
  }
  ServeSignals(const ServeSignals&) = delete;
  ServeSignals& operator=(const ServeSignals&) = delete;

  int Next() {
    int signal = 0;
    sigwait(&set_, &signal);
    return signal;
  }
  static bool Ends(int signal) { return signal == SIGTERM || signal == SIGINT; }

  // From here on SIGTERM and SIGINT have their default effect: they end the process at once.
  static void LetGo() {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  }

 private:
  sigset_t set_;
};

}  // namespace ktlsim::command
