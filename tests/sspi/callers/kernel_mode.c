#define SECURITY_KERNEL
#define CALLER_NAME RunKernelModeC
#include "tests/sspi/callers/whole_connection.inc"
