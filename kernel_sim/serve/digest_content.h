// DigestContent: asks who a request is from before another content responds to it.
//
// Private to serve/.
#pragma once

#include "kernel_sim/serve/digest_guard.h"
#include "kernel_sim/serve/http_content.h"

namespace ktlsim::serve {

// Takes over `content`, also on failure. Null: no memory, or the guard is stopped. Both `guard` and
// `connection` outlive it, but for a call in progress at Release, which DigestGuard::Stop waits
// for.
HttpContent* MakeDigestContent(DigestGuard& guard, HttpContent& content,
                               transport::Connection& connection);

}  // namespace ktlsim::serve
