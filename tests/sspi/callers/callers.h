// The same program in each language and mode, callable from one test.
#pragma once

#include <ktlsim/sspi_ext.h>

#ifdef __cplusplus
extern "C" {
#endif

// Each makes a connection with the server's `certificate` and returns NULL, or what failed.
const char* RunUserModeC(PCCERT_CONTEXT certificate);
const char* RunUserModeCxx(PCCERT_CONTEXT certificate);
const char* RunKernelModeC(PCCERT_CONTEXT certificate);
const char* RunKernelModeCxx(PCCERT_CONTEXT certificate);

#ifdef __cplusplus
}
#endif
