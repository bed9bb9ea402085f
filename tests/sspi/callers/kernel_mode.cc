#define SECURITY_KERNEL
#define CALLER_NAME RunKernelModeCxx
#include "tests/sspi/callers/whole_connection.inc"
