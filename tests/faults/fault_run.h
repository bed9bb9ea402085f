// One scene played with a failing allocation in it, and every scene played with every one.
//
// A scene makes calls of the public API. Its preparation and its clean-up run without faults; the
// calls under test run inside FaultRun::Call. A scene ends early when a call has failed. It keeps
// nothing from one run to the next except what it had before the first.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/allocation_faults.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {

class FaultRun {
 public:
  FaultRun(std::string scene, std::uint64_t n, FaultExtent extent);
  ~FaultRun();
  FaultRun(const FaultRun&) = delete;
  FaultRun& operator=(const FaultRun&) = delete;

  bool fired() const { return AllocationFaults::Fired(); }

  // Returns the value of `call`, in which allocations count and may fail.
  template <typename Function>
  auto Call(const Function& call) {
    const AllocationFaults::Scope scope;
    return call();
  }
  // The same for a status. True: it is `expected`. Once the fault has fired it may also be
  // SEC_E_INSUFFICIENT_MEMORY, but nothing else, and never an exception.
  template <typename Function>
  bool Returns(SECURITY_STATUS expected, const char* what, const Function& call) {
    return Judge(expected, what, Status(call));
  }
  // Then, with memory again, the same call succeeds.
  template <typename Function>
  bool ReturnsOrCanBeRetried(SECURITY_STATUS expected, const char* what, const Function& call) {
    const SECURITY_STATUS status = Status(call);
    if (Judge(expected, what, status)) return true;
    if (status != SEC_E_INSUFFICIENT_MEMORY) return false;
    const SECURITY_STATUS again = call();
    if (again != expected) Report(std::string(what) + " a second time", again);
    return again == expected;
  }
  // The status of `call`, not judged yet.
  template <typename Function>
  SECURITY_STATUS Status(const Function& call) {
    try {
      return Call(call);
    } catch (const std::exception&) {
      return kThrew;
    }
  }
  bool Judge(SECURITY_STATUS expected, const char* what, SECURITY_STATUS status);
  void Report(const std::string& what, SECURITY_STATUS status);

 private:
  static constexpr auto kThrew = static_cast<SECURITY_STATUS>(0xA009FFFF);

  const std::string scene_;
  const std::uint64_t n_;
  const FaultExtent extent_;
};

using Scene = std::function<void(FaultRun&)>;

// Plays `scene` with its allocations failing: a seeded share of them, `share` of each extent, or
// all (KTLSIM_FAULTS=all). After each run the counts of the runtime are what they were, no memory
// is left allocated, and the scene passes without faults.
void PlayWithFaults(const std::string& name, const Scene& scene, std::uint64_t share = 12);

// How many of `count` numbers to try: chosen by seed, the first and the last ones always.
std::vector<std::uint64_t> NumbersToFail(std::uint64_t count, std::uint64_t share);

// Everything takes ten times as long under a sanitizer.
#ifdef KTLSIM_TEST_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// Whether every allocation is to fail once (KTLSIM_FAULTS=all).
bool EveryFault();

}  // namespace ktlsim::test
