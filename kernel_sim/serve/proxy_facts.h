// What the PROXY protocol tells of a connection, asked of the connection.
//
// Private to serve/. On the connection's loop, at dispatch level.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kernel_sim/serve/proxy_protocol.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

// The name in a ClientHello, which is gone when the handshake is over. Empty: none, or not all of
// the message is there.
std::string ServerNameIn(std::span<const std::byte> client_hello);

// Of an established connection. Throws bad_alloc.
ProxyFacts ProxyFactsOf(transport::Connection& connection, std::string server_name);

}  // namespace ktlsim::serve
