// Address: where a socket listens or connects. IPv4, IPv6, a Unix-domain socket (unix(7)) or none.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/export.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::io {

// Bytes of a path before its NUL, or of an abstract name after it (sun_path, unix(7)).
inline constexpr std::size_t kUnixNameMax = 107;

class KTLSIM_EXPORT Address {
 public:
  Address() = default;
  // Copies `length` bytes of an IPv4, IPv6 or Unix-domain address. The name of a Unix-domain
  // address takes memory, which copies share; one without a name, as most clients have, takes none.
  Address(const sockaddr* address, socklen_t length);

  // "127.0.0.1:443", "[::1]:443", "*:443" (any IPv4); port 0 lets the kernel choose.
  // "unix:/run/a.sock", or "unix:@a" in the abstract namespace, of 1 to kUnixNameMax bytes. No name
  // look-up. A bad text is kContract, with words.
  static Result<Address> Parse(std::string_view text);
  static Address Loopback(std::uint16_t port);

  // An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as the IPv4 address; any other as it is.
  Address Unmapped() const;

  // As Parse reads it; a Unix-domain socket without a name is "unix:", no address is "none".
  std::string ToString() const;
  // 0 for a family without ports.
  std::uint16_t port() const;
  int family() const { return storage_.any.sa_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  // The file of a Unix-domain socket, followed by a NUL. Empty: it has none. Lives as long as a
  // copy of this does.
  std::string_view unix_path() const;
  const sockaddr* data() const;
  socklen_t size() const;

 private:
  struct UnixName;

  static Result<Address> ParseUnix(std::string_view name);

  // Small: every connection keeps its peer's.
  union Storage {
    sockaddr_in6 v6;
    sockaddr_in v4;
    sockaddr any;
  };

  Storage storage_{};
  socklen_t length_ = 0;
  std::shared_ptr<const UnixName> unix_name_;  // null: none, or no Unix-domain address
};

}  // namespace ktlsim::io
