// DigestCall: one request's calls into the Digest package, and the memory that they use.
//
// Private to serve/. On the connection's loop at dispatch level.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "kernel_sim/serve/digest_guard.h"

namespace ktlsim::serve {

// Stays where it is while a call is in flight.
class DigestCall {
 public:
  // The most that the package writes.
  static constexpr std::size_t kChallengeBytesMax = 2048;

  // May throw std::bad_alloc. `token` without the scheme; empty: none. The method is a literal.
  DigestCall(DigestCredentials& credentials, const char* method, std::string_view target,
             std::string_view token);
  DigestCall(const DigestCall&) = delete;
  DigestCall& operator=(const DigestCall&) = delete;

  // Submit a call with `async`, which is idle. SEC_E_OK: its callback follows.
  SECURITY_STATUS Accept(SspiAsyncContext* async);
  SECURITY_STATUS Complete(SspiAsyncContext* async);

  // After a call that let the request pass: the value of Authentication-Info for the response,
  // which says that this server knows the password, too. Empty: there is none.
  std::string_view Sign();

  // From now on the request says nothing.
  void DropToken() { token_.clear(); }

  // After a call: the context that it was about, if it has one.
  const CtxtHandle& context() const { return context_; }
  // The challenge number `which`; empty: there is none.
  std::string_view challenge(std::size_t which) const;

 private:
  PSecBufferDesc Input();

  DigestCredentials& credentials_;
  CredHandle credential_{};
  const char* const method_;
  std::string target_;
  std::string token_;
  CtxtHandle context_{};
  std::array<SecBuffer, 4> input_buffers_{};
  SecBufferDesc input_{};
  std::array<SecBuffer, 2> output_buffers_{};
  SecBufferDesc output_{};
  ULONG attributes_ = 0;
  std::array<std::array<char, kChallengeBytesMax>, 2> challenges_;  // the first also for Sign
};

}  // namespace ktlsim::serve
