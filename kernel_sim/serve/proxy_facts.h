// What the PROXY protocol reports about a connection, taken from the connection.
//
// Private to serve/. On the connection's loop, at dispatch level.
#pragma once

#include "kernel_sim/serve/proxy_protocol.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

// The facts of an established connection. Throws bad_alloc.
ProxyFacts ProxyFactsOf(transport::Connection& connection);

}  // namespace ktlsim::serve
