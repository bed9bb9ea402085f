// The step from OpenSSL's connection to our own record layer. Private to this module.
#pragma once

#include <memory>

#include "kernel_sim/base/result.h"
#include "tls/handshake/established.h"
#include "tls/handshake/ssl_connection.h"

namespace ktlsim::tls {

// `connection` has finished its handshake. It is freed here, or kept in the PostHandshake of a
// client that waits for a ticket.
Result<Established> TakeOverConnection(std::unique_ptr<SslConnection> connection);

}  // namespace ktlsim::tls
