// Fakes of the functions with out-parameters, written as the library writes them. Each stores the
// same value and returns whether the caller wanted it. `last_fake_call` keeps the arguments next to
// the out-parameter, because a wrong calling convention would shift them.
#include "tests/include/out_ulong_fakes.h"

FakeCall last_fake_call;

namespace {

SECURITY_STATUS Answer(const char* name, const void* before, KtlsimUlongOut out,
                       const void* after) {
  last_fake_call = {name, before, after};
  out.Store(kStoredValue);
  return out ? SEC_E_OK : SEC_I_CONTINUE_NEEDED;
}

}  // namespace

extern "C" {

SECURITY_STATUS AcceptSecurityContext(PCredHandle, PCtxtHandle, PSecBufferDesc, ULONG, ULONG,
                                      PCtxtHandle, PSecBufferDesc pOutput,
                                      KtlsimUlongOut pfContextAttr, PTimeStamp ptsExpiry) {
  return Answer("AcceptSecurityContext", pOutput, pfContextAttr, ptsExpiry);
}

SECURITY_STATUS InitializeSecurityContextA(PCredHandle, PCtxtHandle, LPSTR, ULONG, ULONG, ULONG,
                                           PSecBufferDesc, ULONG, PCtxtHandle,
                                           PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
                                           PTimeStamp ptsExpiry) {
  return Answer("InitializeSecurityContextA", pOutput, pfContextAttr, ptsExpiry);
}

SECURITY_STATUS InitializeSecurityContextW(PCredHandle, PCtxtHandle, LPWSTR, ULONG, ULONG, ULONG,
                                           PSecBufferDesc, ULONG, PCtxtHandle,
                                           PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
                                           PTimeStamp ptsExpiry) {
  return Answer("InitializeSecurityContextW", pOutput, pfContextAttr, ptsExpiry);
}

// The symbol of InitializeSecurityContextW in kernel mode.
KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_InitializeSecurityContextW(
    PCredHandle, PCtxtHandle, PSECURITY_STRING, ULONG, ULONG, ULONG, PSecBufferDesc, ULONG,
    PCtxtHandle, PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr, PTimeStamp ptsExpiry) {
  return Answer("Ktlsim_k_InitializeSecurityContextW", pOutput, pfContextAttr, ptsExpiry);
}

SECURITY_STATUS SspiInitializeSecurityContextAsyncW(SspiAsyncContext*, PCredHandle, PCtxtHandle,
                                                    LPWSTR, ULONG, ULONG, ULONG, PSecBufferDesc,
                                                    ULONG, PCtxtHandle, PSecBufferDesc pOutput,
                                                    KtlsimUlongOut pfContextAttr,
                                                    PTimeStamp ptsExpiry) {
  return Answer("SspiInitializeSecurityContextAsyncW", pOutput, pfContextAttr, ptsExpiry);
}

KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_SspiInitializeSecurityContextAsyncW(
    SspiAsyncContext*, PCredHandle, PCtxtHandle, PSECURITY_STRING, ULONG, ULONG, ULONG,
    PSecBufferDesc, ULONG, PCtxtHandle, PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
    PTimeStamp ptsExpiry) {
  return Answer("Ktlsim_k_SspiInitializeSecurityContextAsyncW", pOutput, pfContextAttr, ptsExpiry);
}

SECURITY_STATUS SspiAcceptSecurityContextAsync(SspiAsyncContext*, PCredHandle, PCtxtHandle,
                                               PSecBufferDesc, ULONG, ULONG, PCtxtHandle,
                                               PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
                                               PTimeStamp ptsExpiry) {
  return Answer("SspiAcceptSecurityContextAsync", pOutput, pfContextAttr, ptsExpiry);
}

// The symbol of SspiAcceptSecurityContextAsync in kernel mode.
KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_SspiAcceptSecurityContextAsync(
    SspiAsyncContext*, PCredHandle, PCtxtHandle, PSecBufferDesc, ULONG, ULONG, PCtxtHandle,
    PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr, PTimeStamp ptsExpiry) {
  return Answer("Ktlsim_k_SspiAcceptSecurityContextAsync", pOutput, pfContextAttr, ptsExpiry);
}

SECURITY_STATUS VerifySignature(PCtxtHandle, PSecBufferDesc pMessage, ULONG, KtlsimUlongOut pfQOP) {
  return Answer("VerifySignature", pMessage, pfQOP, nullptr);
}

SECURITY_STATUS DecryptMessage(PCtxtHandle, PSecBufferDesc pMessage, ULONG, KtlsimUlongOut pfQOP) {
  return Answer("DecryptMessage", pMessage, pfQOP, nullptr);
}

SECURITY_STATUS SspiDecryptMessageAsync(SspiAsyncContext*, PCtxtHandle, PSecBufferDesc pMessage,
                                        ULONG, KtlsimUlongOut pfQOP) {
  return Answer("SspiDecryptMessageAsync", pMessage, pfQOP, nullptr);
}

SECURITY_STATUS SspiVerifySignatureAsync(SspiAsyncContext*, PCtxtHandle, PSecBufferDesc pMessage,
                                         ULONG, KtlsimUlongOut pfQOP) {
  return Answer("SspiVerifySignatureAsync", pMessage, pfQOP, nullptr);
}

SECURITY_STATUS EnumerateSecurityPackagesW(KtlsimUlongOut pcPackages, PSecPkgInfoW* ppPackageInfo) {
  return Answer("EnumerateSecurityPackagesW", nullptr, pcPackages,
                static_cast<const void*>(ppPackageInfo));
}

SECURITY_STATUS EnumerateSecurityPackagesA(KtlsimUlongOut pcPackages, PSecPkgInfoA* ppPackageInfo) {
  return Answer("EnumerateSecurityPackagesA", nullptr, pcPackages,
                static_cast<const void*>(ppPackageInfo));
}

SECURITY_STATUS SslGetServerIdentity(PBYTE, DWORD, PBYTE* ServerIdentity,
                                     KtlsimUlongOut ServerIdentitySize, DWORD) {
  return Answer("SslGetServerIdentity", static_cast<const void*>(ServerIdentity),
                ServerIdentitySize, nullptr);
}

}  // extern "C"
