// Address: where a socket listens or connects. IPv4, IPv6 or none.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel_sim/base/result.h"

namespace ktlsim::io {

class Address {
 public:
  Address() = default;
  // Copies `length` bytes, at most those of an IPv6 address.
  Address(const sockaddr* address, socklen_t length);

  // "127.0.0.1:443", "[::1]:443", "*:443" (any IPv4); port 0 lets the kernel choose. No name
  // look-up. kContract with words on a bad text.
  static Result<Address> Parse(std::string_view text);
  static Address Loopback(std::uint16_t port);

  // An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as the IPv4 address; any other as it is.
  Address Unmapped() const;

  std::string ToString() const;
  std::uint16_t port() const;
  int family() const { return storage_.any.sa_family; }
  const sockaddr* data() const { return &storage_.any; }
  socklen_t size() const { return length_; }

 private:
  // Small: every connection keeps its peer's.
  union Storage {
    sockaddr_in6 v6;
    sockaddr_in v4;
    sockaddr any;
  };

  Storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace ktlsim::io
