// A C program's own functions for a function table.
#include "tests/include/out_ulong_fakes.h"

static SECURITY_STATUS WriteTo(ULONG* out) {
  if (out == NULL) return SEC_I_CONTINUE_NEEDED;
  *out = kStoredValue;
  return SEC_E_OK;
}

SECURITY_STATUS CWriterOfInitializeW(PCredHandle credential, PCtxtHandle context,
                                     KTLSIM_STRING_W target, ULONG request, ULONG zero1,
                                     ULONG representation, PSecBufferDesc input, ULONG zero2,
                                     PCtxtHandle new_context, PSecBufferDesc output,
                                     ULONG* attributes, PTimeStamp expiry) {
  (void)credential, (void)context, (void)target, (void)request, (void)zero1, (void)representation;
  (void)input, (void)zero2, (void)new_context, (void)output, (void)expiry;
  return WriteTo(attributes);
}

SECURITY_STATUS CWriterOfDecrypt(PCtxtHandle context, PSecBufferDesc message, ULONG sequence,
                                 ULONG* qop) {
  (void)context, (void)message, (void)sequence;
  return WriteTo(qop);
}

SECURITY_STATUS CWriterOfEnumerateW(ULONG* count, PSecPkgInfoW* packages) {
  (void)packages;
  return WriteTo(count);
}

SECURITY_STATUS FailingDecrypt(PCtxtHandle context, PSecBufferDesc message, ULONG sequence,
                               ULONG* qop) {
  (void)context, (void)message, (void)sequence, (void)qop;
  return SEC_E_INVALID_HANDLE;
}
