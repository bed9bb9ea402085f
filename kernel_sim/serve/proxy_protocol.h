// The PROXY protocol, version 2: tells a backend whose connection it is, before the bytes of
// the connection (haproxy.org, proxy-protocol.txt, 2.2).
//
// Private to serve/. Any level, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "io/address.h"

namespace ktlsim::serve {

struct ProxyFacts {
  io::Address source;       // the client
  io::Address destination;  // what it connected to
  std::string alpn;         // PP2_TYPE_ALPN; empty: none
  std::string server_name;  // PP2_TYPE_AUTHORITY; empty: none
  std::string tls_version;  // PP2_SUBTYPE_SSL_VERSION: "TLSv1.3"
  std::string cipher_name;  // PP2_SUBTYPE_SSL_CIPHER
  // The client has shown a certificate: now, or when the session that is resumed began.
  bool client_certificate = false;
  bool certificate_verified = false;
  bool resumed = false;
};

inline constexpr std::size_t kProxyHeaderBytesMax = 1280;

// Writes the header and returns its length. Addresses of different families, or none: a header that
// names no address (AF_UNSPEC), with the rest. Both of Unix-domain sockets: AF_UNIX, and the client
// has no name as a rule. Texts longer than 255 bytes are left out.
std::size_t FormatProxyHeader(const ProxyFacts& facts,
                              std::span<std::byte, kProxyHeaderBytesMax> out);

}  // namespace ktlsim::serve
