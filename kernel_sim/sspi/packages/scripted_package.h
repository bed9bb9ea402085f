// The scripted package: a package for tests, whose legs come from a script.
//
// It takes the same paths through handles, strands and async contexts as TLS does, without any
// cryptography, so that hundreds of thousands of schedules can be explored. Its one name is
// "ktlsim scripted". Register it with Runtime::RegisterPackage.
//
// There is a second one, "ktlsim scripted waiting", whose Acquire may suspend, and which kernel
// mode cannot call asynchronously.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// How a call waits before it does its work.
struct ScriptedWait {
  // When set: the call suspends, and this is called with its resume token.
  std::function<void(executive::ResumeToken)> on_suspend;
  int suspensions = 1;  // one after the other
  std::uint32_t limit_ms = 0;
  SECURITY_STATUS timed_out = SEC_E_NO_AUTHENTICATING_AUTHORITY;  // the outcome at the limit
  // When set: called at the start of each run, on the thread that runs it.
  std::function<void()> on_run;
};

struct ScriptedLeg : ScriptedWait {
  SECURITY_STATUS status = SEC_E_OK;
  std::string output;  // the token it makes
  ULONG attributes = 0;
  std::string expected;  // when not empty: another input is SEC_E_INVALID_TOKEN
  // When set: after its wait the leg continues on the context of this handle, if it is not null.
  std::function<SecHandle()> continue_on;
};

// The auth data of an acquire call. Alive as long as its credentials and their contexts.
struct Script {
  std::vector<ScriptedLeg> legs;
  // Later calls repeat the last leg instead of failing.
  bool repeats = false;
  SECURITY_STATUS acquire_status = SEC_E_OK;
  // Not empty: the client of an established context, as though Digest had authenticated it.
  std::string client_user;
  // A leg of another context that continues on one of this script, and a leg of one of this script
  // whose found context is dead.
  ScriptedLeg continued;
  ScriptedLeg found_dead;
  ScriptedWait acquire;  // of the waiting package
  ScriptedWait complete;
  ScriptedWait verify;
  ScriptedWait end;
  // When set: called when a context has been ended by its owner, after its wait.
  std::function<void()> on_end;
};

class ScriptedPackage final : public Package {
 public:
  static constexpr const char* kName = "ktlsim scripted";
  static constexpr const char* kWaitingName = "ktlsim scripted waiting";
  static ScriptedPackage& Instance();
  static ScriptedPackage& Waiting();

  std::span<const std::string_view> Names() const override;
  CallResult Acquire(const AcquireArguments& arguments, PackageCall* call,
                     std::unique_ptr<PackageCredential>* credential) override;
  bool AcquireMayWait() const override { return waiting_; }
  bool Signs() const override { return true; }
  bool HasKernelModeAsync() const override { return !waiting_; }
  SECURITY_STATUS CreateContext(PackageCredential& credential,
                                std::unique_ptr<PackageContext>* context) override;

 private:
  explicit ScriptedPackage(bool waiting) : waiting_(waiting) {}

  const bool waiting_;
};

}  // namespace ktlsim::sspi
