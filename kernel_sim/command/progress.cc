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

void Progress::End() {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

}  // namespace ktlsim::command
