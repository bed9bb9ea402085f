// Descriptor: owns a file descriptor and closes it. Not for sockets of a ring, which closes its
// own.
#pragma once

#include <unistd.h>

#include <utility>

namespace ktlsim {

// Any thread, one at a time. A negative number is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { Reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  bool valid() const { return number_ >= 0; }
  // Closes what it has, and owns `number` from now on.
  void Reset(int number) {
    if (valid()) close(number_);
    number_ = number;
  }
  // Hands the descriptor to the caller, who closes it.
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

}  // namespace ktlsim
