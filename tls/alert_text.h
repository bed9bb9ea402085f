// What a received alert says, in words.
#pragma once

#include "tls/types.h"

namespace ktlsim::tls {

// "the client refused our certificate (alert unknown_ca received)": the sender, the meaning and the
// name (RFC 8446 6). `own_role`: of the side that received it. A literal, never null; numbers
// without a name share one.
const char* ReceivedAlertText(AlertDescription description, Role own_role);

}  // namespace ktlsim::tls
