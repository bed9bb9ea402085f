#define CALLER_NAME RunUserModeCxx
#include "tests/sspi/callers/whole_connection.inc"
