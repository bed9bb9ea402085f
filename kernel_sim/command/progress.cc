#include "kernel_sim/command/progress.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

namespace ktlsim::command {

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::Begin(const std::string& operation, double seconds) {
  if (!terminal_) fmt::print(stderr, "{}, {:.3g} s ...\n", operation, seconds);
}

void Progress::Update(const std::string& operation, std::uint64_t done, double left_s) {
  if (terminal_) fmt::print(stderr, "\r\033[K{}: {} done, {:.0f} s left", operation, done, left_s);
}

void Progress::Wait(const std::string& operation, std::size_t connections, double left_s) {
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}: waiting for {} connections, {:.0f} s at most", operation,
               connections, left_s);
  } else if (!waiting_told_) {
    fmt::print(stderr, "{}: the time is over; waiting for {} connections, {:.3g} s at most ...\n",
               operation, connections, left_s);
  }
  waiting_told_ = true;
}

void Progress::End() {
  waiting_told_ = false;
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

}  // namespace ktlsim::command
