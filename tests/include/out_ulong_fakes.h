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

// Each answers NULL, or the check that failed.
const char* CheckOutParametersInC(void);
const char* CheckOutParametersInCxx(void);
const char* CheckOutParametersInKernelModeC(void);
const char* CheckOutParametersInKernelModeCxx(void);

#ifdef __cplusplus
}
#endif
