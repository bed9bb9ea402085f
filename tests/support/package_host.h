// A host for packages that a test makes by hand, below the public API: one processor, counters of
// its own, the real time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::test {

class TestPackageHost : public sspi::PackageHost {
 public:
  // It outlives every credential, as a host must.
  static TestPackageHost& Instance() {
    static auto* const host = new TestPackageHost();
    return *host;
  }

  virtual ~TestPackageHost() = default;

  sspi::PackageCounters& counters() override { return counters_; }
  void NoteReason(std::initializer_list<std::string_view> parts) override {
    sspi::NoteReason(parts);
  }
  unsigned processor_count() const override { return 1; }
  unsigned processor_index() const override { return 0; }
  const Clock& clock() const override { return clock_; }
  std::int64_t wall_seconds() const override { return std::time(nullptr); }
  // The same bytes each time.
  bool FillRandom(std::span<std::byte> bytes) override {
    std::ranges::fill(bytes, std::byte{0x5a});
    return true;
  }
  executive::Reference<sspi::CredentialObject> FindCredential(const SecHandle*) override {
    return {};
  }
  SECURITY_STATUS AddContext(const SecHandle&, std::unique_ptr<sspi::PackageContext>,
                             SecHandle*) override {
    return SEC_E_UNSUPPORTED_FUNCTION;
  }
  void EndContext(const SecHandle&) override {}

 private:
  MonotonicClock clock_;
  sspi::PackageCounters counters_;
};

}  // namespace ktlsim::test
