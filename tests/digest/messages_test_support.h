// What the tests of the messages share.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/digest/directive_writer.h"

namespace ktlsim::digest::test {

// The text that `format(room)` writes, or what its fault says. Also writes into each shorter
// buffer, which must only tell the length.
template <typename Format>
std::string Text(const Format& format) {
  std::array<char, 8192> room{};
  const Written written = format(std::span<char>(room));
  if (written.fault != Fault::kNone) return "fault: " + std::string(ToText(written.fault));
  const std::size_t step = written.bytes > 512 ? 97 : 1;
  for (std::size_t bytes = 0; bytes < written.bytes; bytes += step) {
    std::array<char, 8192> other{};
    const Written shorter = format(std::span(other).first(bytes));
    EXPECT_EQ(shorter.bytes, written.bytes);
    EXPECT_EQ(other[bytes], '\0') << "written past the end";
  }
  return {room.data(), written.bytes};
}

}  // namespace ktlsim::digest::test
