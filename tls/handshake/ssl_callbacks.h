// What OpenSSL calls back during a handshake, made into calls on SslConnection and EndpointCore.
// No exception leaves a callback. Private to this module.
#pragma once

#include <openssl/ssl.h>

#include "tls/handshake/endpoint.h"

namespace ktlsim::tls {

// `context`'s app data is its EndpointCore, an SSL's is its SslConnection.
Status InstallCallbacks(SSL_CTX* context, const EndpointOptions& options);

}  // namespace ktlsim::tls
