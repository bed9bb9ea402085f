// Acting as the client of a server's context.

#include "kernel_sim/authorization/impersonation.h"

#include <sspi.h>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/last_error.h"

namespace ktlsim::sspi {
namespace {

SECURITY_STATUS ImpersonateClient(PCtxtHandle handle) {
  const auto context = LookupContext(handle);
  if (!context) return SEC_E_INVALID_HANDLE;
  security::Token::Ref token;
  const SECURITY_STATUS status = context->ClientToken(&token);
  if (status != SEC_E_OK) return status;
  const security::Fault fault = authorization::Impersonate(token);
  if (fault == security::Fault::kNone) return SEC_E_OK;
  if (fault != security::Fault::kAccessDenied) return SEC_E_INSUFFICIENT_MEMORY;
  NoteReason("the Unix identity of the client's account cannot be taken on");
  return SEC_E_NO_IMPERSONATION;
}

// The thread's own token is not looked at: a context whose client is not mapped can be reverted.
SECURITY_STATUS RevertFromClient(PCtxtHandle handle) {
  if (!LookupContext(handle)) return SEC_E_INVALID_HANDLE;
  authorization::Revert();
  return SEC_E_OK;
}

SECURITY_STATUS OpenClientToken(PCtxtHandle handle, void** opened) {
  const auto context = LookupContext(handle);
  if (!context) return SEC_E_INVALID_HANDLE;
  if (opened == nullptr) return SEC_E_INVALID_PARAMETER;
  security::Token::Ref token;
  const SECURITY_STATUS status = context->ClientToken(&token);
  if (status != SEC_E_OK) return status;
  return authorization::OpenToken(std::move(token), authorization::kTokenAllAccess, opened) ==
                 security::Fault::kNone
             ? SEC_E_OK
             : SEC_E_INSUFFICIENT_MEMORY;
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS ImpersonateSecurityContext(PCtxtHandle phContext) {
  return Told(NothingThrown([&] { return ImpersonateClient(phContext); }));
}
SECURITY_STATUS RevertSecurityContext(PCtxtHandle phContext) {
  return Told(RevertFromClient(phContext));
}
SECURITY_STATUS QuerySecurityContextToken(PCtxtHandle phContext, void** Token) {
  return Told(NothingThrown([&] { return OpenClientToken(phContext, Token); }));
}

}  // extern "C"
