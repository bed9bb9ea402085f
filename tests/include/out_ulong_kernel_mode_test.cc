#define SECURITY_KERNEL
#include <string.h>

#include "tests/include/out_ulong_fakes.h"

#define NAME_OF_INITIALIZE_W "Ktlsim_k_InitializeSecurityContextW"
#define NAME_OF_INITIALIZE_ASYNC_W "Ktlsim_k_SspiInitializeSecurityContextAsyncW"
#define NAME_OF_ACCEPT_ASYNC "Ktlsim_k_SspiAcceptSecurityContextAsync"
#include "tests/include/out_ulong_calls.inc"

const char* CheckOutParametersInKernelModeCxx(void) { return CheckOutParameters(); }
