// FramedPackage: a security package for tests. Its tokens and records are framed like TLS, so that
// a transport application can carry them, but are not protected. Its legs suspend, or need
// CompleteAuthToken, when the script says so.
//
//   client: hello ->   <- server: welcome   client: finished ->     then records both ways
#pragma once

#include <sspi.h>

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::test {

// The auth data of an acquire call. Alive as long as its credentials and their contexts.
struct FramedScript {
  // Called once for each leg. A leg that suspends passes its resume token to `suspended`.
  std::function<bool()> suspends;
  std::function<void(executive::ResumeToken token)> suspended;
  // The leg returns SEC_I_COMPLETE_NEEDED or ..._AND_CONTINUE: its token is wrong until completed.
  std::function<bool()> needs_completion;
};

class FramedPackage final : public sspi::Package {
 public:
  static constexpr const char* kName = "ktlsim framed";
  static FramedPackage& Instance();

  std::span<const std::string_view> Names() const override;
  sspi::CallResult Acquire(const sspi::AcquireArguments& arguments, sspi::PackageCall* call,
                           std::unique_ptr<sspi::PackageCredential>* credential) override;
  SECURITY_STATUS CreateContext(sspi::PackageCredential& credential,
                                std::unique_ptr<sspi::PackageContext>* context) override;
};

}  // namespace ktlsim::test
