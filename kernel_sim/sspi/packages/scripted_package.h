// The scripted package: a package for tests, whose legs come from a script.
//
// It takes the same paths through handles, strands and async contexts as TLS does, without any
// cryptography, so that hundreds of thousands of schedules can be explored. Names: "ktlsim
// scripted". Register it with Runtime::RegisterPackage.
#pragma once

#include <sspi.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

struct ScriptedLeg {
  SECURITY_STATUS status = SEC_E_OK;
  std::string output;  // the token it makes
  ULONG attributes = 0;
  std::string expected;  // when not empty: another input is SEC_E_INVALID_TOKEN
  // When set: the leg suspends first, and this is called with its resume token.
  std::function<void(executive::ResumeToken)> on_suspend;
  // When set: called at the start of each run, on the thread that runs the leg.
  std::function<void()> on_run;
};

// The auth data of an acquire call. Alive as long as its credentials and their contexts.
struct Script {
  std::vector<ScriptedLeg> legs;
  // Later calls repeat the last leg instead of failing.
  bool repeats = false;
  SECURITY_STATUS acquire_status = SEC_E_OK;
};

class ScriptedPackage final : public Package {
 public:
  static constexpr const char* kName = "ktlsim scripted";
  static ScriptedPackage& Instance();

  std::span<const std::string_view> Names() const override;
  SECURITY_STATUS Acquire(const AcquireArguments& arguments,
                          std::unique_ptr<PackageCredential>* credential) override;
  SECURITY_STATUS CreateContext(PackageCredential& credential,
                                std::unique_ptr<PackageContext>* context) override;
};

}  // namespace ktlsim::sspi
