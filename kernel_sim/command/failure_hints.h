// What a caller of `ktlsim load` can do about a connection that failed.
#pragma once

#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {

// "--ca FILE trusts its issuer, --insecure accepts any certificate": options of `load` that may
// make the next connection succeed. "": none is known. A literal.
const char* ClientHint(const transport::EndReason& reason);

}  // namespace ktlsim::command
