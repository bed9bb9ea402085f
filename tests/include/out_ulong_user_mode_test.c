#include <string.h>

#include "tests/include/out_ulong_fakes.h"

#define NAME_OF_INITIALIZE_W "InitializeSecurityContextW"
#define NAME_OF_INITIALIZE_ASYNC_W "SspiInitializeSecurityContextAsyncW"
#define NAME_OF_ACCEPT_ASYNC "SspiAcceptSecurityContextAsync"
#include "tests/include/out_ulong_calls.inc"

const char* CheckOutParametersInC(void) { return CheckOutParameters(); }
