// The kernel-mode forms of the public functions: counted strings, and the statuses of kernel
// Schannel.
//
// A translation unit with SECURITY_KERNEL calls them by the documented names, which visibility.h
// binds to these symbols. Here they have the symbols' own names, because one translation unit sees
// the functions of one mode only. Unless noted, each behaves like its user-mode counterpart.
#pragma once

#include <sspi.h>

extern "C" {

KTLSIM_API SECURITY_STATUS Ktlsim_k_QuerySecurityPackageInfoW(PSECURITY_STRING name,
                                                              PSecPkgInfoW* info);
KTLSIM_API SECURITY_STATUS Ktlsim_k_AcquireCredentialsHandleW(
    PSECURITY_STRING principal, PSECURITY_STRING package, ULONG use, void* logon_id,
    void* auth_data, SEC_GET_KEY_FN get_key, void* get_key_argument, PCredHandle credential,
    PTimeStamp expiry);
KTLSIM_API SECURITY_STATUS Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(
    SspiAsyncContext* async, PSECURITY_STRING principal, PSECURITY_STRING package, ULONG use,
    void* logon_id, void* auth_data, SEC_GET_KEY_FN get_key, void* get_key_argument,
    PCredHandle credential, PTimeStamp expiry);
KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_InitializeSecurityContextW(
    PCredHandle credential, PCtxtHandle context, PSECURITY_STRING target, ULONG flags, ULONG zero1,
    ULONG representation, PSecBufferDesc input, ULONG zero2, PCtxtHandle new_context,
    PSecBufferDesc output, KtlsimUlongOut attributes, PTimeStamp expiry);
KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_SspiInitializeSecurityContextAsyncW(
    SspiAsyncContext* async, PCredHandle credential, PCtxtHandle context, PSECURITY_STRING target,
    ULONG flags, ULONG zero1, ULONG representation, PSecBufferDesc input, ULONG zero2,
    PCtxtHandle new_context, PSecBufferDesc output, KtlsimUlongOut attributes, PTimeStamp expiry);
KTLSIM_OUT_API SECURITY_STATUS Ktlsim_k_SspiAcceptSecurityContextAsync(
    SspiAsyncContext* async, PCredHandle credential, PCtxtHandle context, PSecBufferDesc input,
    ULONG flags, ULONG representation, PCtxtHandle new_context, PSecBufferDesc output,
    KtlsimUlongOut attributes, PTimeStamp expiry);

// Kernel Schannel has none of these. Alerts are sealed there: EncryptMessage with
// SECQOP_WRAP_OOB_DATA.
KTLSIM_API SECURITY_STATUS Ktlsim_k_ApplyControlToken(PCtxtHandle context, PSecBufferDesc input);
KTLSIM_API SECURITY_STATUS Ktlsim_k_ImpersonateSecurityContext(PCtxtHandle context);
KTLSIM_API SECURITY_STATUS Ktlsim_k_SetContextAttributesA(PCtxtHandle context, ULONG attribute,
                                                          void* buffer, ULONG bytes);
KTLSIM_API SECURITY_STATUS Ktlsim_k_SetContextAttributesW(PCtxtHandle context, ULONG attribute,
                                                          void* buffer, ULONG bytes);
KTLSIM_API SECURITY_STATUS Ktlsim_k_ExportSecurityContext(PCtxtHandle context, ULONG flags,
                                                          PSecBuffer packed, void** token);
KTLSIM_API SECURITY_STATUS Ktlsim_k_ImportSecurityContextW(PSECURITY_STRING package,
                                                           PSecBuffer packed, void* token,
                                                           PCtxtHandle context);
KTLSIM_API SECURITY_STATUS Ktlsim_k_DelegateSecurityContext(
    PCtxtHandle context, PSECURITY_STRING target, SecDelegationType type, PTimeStamp expiry,
    PSecBuffer parameters, PSecBufferDesc output);
KTLSIM_API SECURITY_STATUS Ktlsim_k_AddCredentialsW(PCredHandle credential,
                                                    PSECURITY_STRING principal,
                                                    PSECURITY_STRING package, ULONG use,
                                                    void* auth_data, SEC_GET_KEY_FN get_key,
                                                    void* get_key_argument, PTimeStamp expiry);

}  // extern "C"
