// How to replay a run, printed also when the run ends the program: then no message of the test
// would be printed.
#pragma once

#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <utility>

namespace ktlsim::test {

// One at a time. This thread itself ends the program, inside a call, where `text` may allocate.
class ReplayHint {
 public:
  explicit ReplayHint(std::function<std::string()> text) {
    text_ = std::move(text);
    for (const int signal : kSignals) {
      // A sanitizer says more itself.
      const auto previous = std::signal(signal, &ReplayHint::Say);
      if (previous != SIG_DFL) std::signal(signal, previous);
    }
  }
  ReplayHint(const ReplayHint&) = delete;
  ReplayHint& operator=(const ReplayHint&) = delete;
  ~ReplayHint() {
    for (const int signal : kSignals) {
      const auto current = std::signal(signal, SIG_DFL);
      if (current != &ReplayHint::Say) std::signal(signal, current);
    }
    text_ = nullptr;
  }

 private:
  static void Say(int signal) {
    std::signal(signal, SIG_DFL);
    const std::string text = text_() + "\n";
    static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
  }

  static constexpr std::array kSignals = {SIGABRT, SIGSEGV};

  static inline std::function<std::string()> text_;
};

}  // namespace ktlsim::test
