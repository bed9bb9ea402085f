// Allocations of the whole program that fail when a test says so: those of the library, of OpenSSL,
// of the C++ runtime and of the C library alike. A program that links allocation_faults.cc has its
// malloc family and its operators new replaced.
//
// Numbers are counted while a fault is armed, over every thread that is not exempt. Which thread
// gets which number is the scheduler's choice where several allocate; with one that works and one
// that waits a number names the same allocation in every run.
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

  // Begins to count from zero, and fails what `n` and `extent` say while a Scope exists.
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

  // What the program has allocated and not given back.
  static std::int64_t LiveBlocks();
  // From Remember on it is noted who allocates what. Remembered tells who allocated what is still
  // there, and ends that.
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
