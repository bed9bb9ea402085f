// What the tests of the out-parameters share between C and C++.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#ifdef __cplusplus
extern "C" {
#endif

// The highest bit tells sign extension apart.
#define kStoredValue 0x80000001U

typedef struct {
  const char* name;
  const void* before;
  const void* after;
} FakeCall;
extern FakeCall last_fake_call;

// A C program's functions for a table: they write through the pointer that they are given.
KTLSIM_OUT_API SECURITY_STATUS CWriterOfInitializeW(PCredHandle credential, PCtxtHandle context,
                                                    KTLSIM_STRING_W target, ULONG request,
                                                    ULONG zero1, ULONG representation,
                                                    PSecBufferDesc input, ULONG zero2,
                                                    PCtxtHandle new_context, PSecBufferDesc output,
                                                    KTLSIM_ULONG_OUT attributes, PTimeStamp expiry);
KTLSIM_OUT_API SECURITY_STATUS CWriterOfDecrypt(PCtxtHandle context, PSecBufferDesc message,
                                                ULONG sequence, KTLSIM_ULONG_OUT qop);
KTLSIM_OUT_API SECURITY_STATUS CWriterOfEnumerateW(KTLSIM_ULONG_OUT count, PSecPkgInfoW* packages);
KTLSIM_OUT_API SECURITY_STATUS FailingDecrypt(PCtxtHandle context, PSecBufferDesc message,
                                              ULONG sequence, KTLSIM_ULONG_OUT qop);

// Each returns NULL, or the check that failed.
const char* CheckOutParametersInC(void);
const char* CheckOutParametersInCxx(void);
const char* CheckOutParametersInKernelModeC(void);
const char* CheckOutParametersInKernelModeCxx(void);

#ifdef __cplusplus
}
#endif
