// Allocations of the whole program that fail when a test says so: those of the library, of OpenSSL,
// of the C++ runtime and of the C library alike. A program that links allocation_faults.cc has its
// malloc family and its operators new replaced.
//
// Allocations are numbered while a fault is armed, over every thread that is not exempt. Where
// several threads allocate, the scheduler decides which thread gets which number. With one thread
// that works and one that waits, a number names the same allocation in every run.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace ktlsim::test {

enum class FaultExtent : std::uint8_t {
  kOne,         // the n-th allocation fails, no other
  kFromThenOn,  // memory has run out: the n-th and every later one
};

class AllocationFaults {
 public:
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  // Starts counting from zero, and fails the allocations that `n` and `extent` name while a Scope
  // exists.
  static void Prepare(std::uint64_t n, FaultExtent extent);
  // True: an allocation has failed since Prepare.
  static bool Fired();
  // Allocations counted since Prepare, those that failed included.
  static std::uint64_t Counted();
  // Failed since Prepare, and since the program began.
  static std::uint64_t Failed();
  static std::uint64_t FailedInAll();
  // The callers of the first allocation that failed, innermost first.
  static std::string Where();

  // What the program has allocated and not freed.
  static std::int64_t LiveBlocks();
  // From Remember on, the callers of each allocation are noted. Remembered names the callers of
  // those that are not freed, and ends the noting.
  static void Remember();
  static std::string Remembered();

  // Allocations count, and may fail, on every thread while one exists.
  class Scope {
   public:
    Scope();
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // The thread's own allocations neither count nor fail while one exists on it.
  class Exempt {
   public:
    Exempt();
    ~Exempt();
    Exempt(const Exempt&) = delete;
    Exempt& operator=(const Exempt&) = delete;
  };
};

}  // namespace ktlsim::test
