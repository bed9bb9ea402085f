// A host for packages that a test makes by hand, below the public API: one processor, counters of
// its own.
#pragma once

#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::test {

class TestPackageHost final : public sspi::PackageHost {
 public:
  // It outlives every credential, as a host must.
  static TestPackageHost& Instance() {
    static auto* const host = new TestPackageHost();
    return *host;
  }

  sspi::PackageCounters& counters() override { return counters_; }
  void NoteReason(std::initializer_list<std::string_view> parts) override {
    sspi::NoteReason(parts);
  }
  unsigned processor_count() const override { return 1; }
  unsigned processor_index() const override { return 0; }
  executive::Reference<sspi::CredentialObject> FindCredential(const SecHandle*) override {
    return {};
  }

 private:
  sspi::PackageCounters counters_;
};

}  // namespace ktlsim::test
