// Makes pthread_create fail with EAGAIN, as it does when the system has no more threads, in
// programs that are linked with thread_faults.cc: also for those that std::thread makes.
#pragma once

#include <cstdint>

namespace ktlsim::test {

// While it lives, the thread with the number `first` (from 0, counted on all threads) is not made,
// and with `all_later` no later one either. One at a time.
class ThreadFaults {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  explicit ThreadFaults(std::uint64_t first, bool all_later = false);
  ~ThreadFaults();
  ThreadFaults(const ThreadFaults&) = delete;
  ThreadFaults& operator=(const ThreadFaults&) = delete;

  // How many threads were requested, the refused ones included.
  static std::uint64_t asked();
};

}  // namespace ktlsim::test
