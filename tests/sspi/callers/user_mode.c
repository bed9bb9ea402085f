#define CALLER_NAME RunUserModeC
#include "tests/sspi/callers/whole_connection.inc"
