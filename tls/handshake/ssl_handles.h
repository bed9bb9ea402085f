// Owners for the objects of libssl. Private to this module.
#pragma once

#include <memory>

#include <openssl/ssl.h>

#include "tls/openssl_handles.h"

namespace ktlsim::tls {

using SslPtr = std::unique_ptr<SSL, Deleter<&SSL_free>>;
using SslCtxPtr = std::unique_ptr<SSL_CTX, Deleter<&SSL_CTX_free>>;

}  // namespace ktlsim::tls
