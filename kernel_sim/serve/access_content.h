// AccessContent: asks what the client of a request may do before another content responds to it,
// and lets that one work as the client.
//
// Private to serve/.
#pragma once

#include "kernel_sim/serve/access_guard.h"
#include "kernel_sim/serve/http_content.h"

namespace ktlsim::serve {

// Takes over `content`, also on failure. Null: no memory. Both `guard` and `connection` outlive it.
HttpContent* MakeAccessContent(AccessGuard& guard, HttpContent& content,
                               transport::Connection& connection);

}  // namespace ktlsim::serve
