#include "io/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace ktlsim::io {

// A Unix-domain address with a name.
struct Address::UnixName {
  sockaddr_un address;
  char end;  // a sun_path may be full, without a NUL
  socklen_t length;
};

static_assert(sizeof(sockaddr_un::sun_path) == kUnixNameMax + 1);

namespace {

constexpr std::size_t kPathAt = offsetof(sockaddr_un, sun_path);

Status BadAddress(const char* what) { return {Category::kContract, 0, what}; }

bool ParsePort(std::string_view text, std::uint16_t& port) {
  if (text.empty()) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && stop == end;
}

template <typename Sockaddr>
Address FromSockaddr(const Sockaddr& address) {
  return {reinterpret_cast<const sockaddr*>(&address), sizeof(address)};
}

}  // namespace

Address::Address(const sockaddr* address, socklen_t length)
    : length_(std::min<socklen_t>(length, sizeof(storage_))) {
  if (length_ < sizeof(sa_family_t)) return;
  if (address->sa_family != AF_UNIX) {
    std::memcpy(&storage_, address, length_);
    return;
  }
  storage_.any.sa_family = AF_UNIX;
  length_ = sizeof(sa_family_t);
  if (length <= kPathAt) return;
  UnixName name{};
  length = std::min<socklen_t>(length, sizeof(sockaddr_un));
  std::memcpy(&name.address, address, length);
  name.length = length;
  unix_name_ = std::make_shared<const UnixName>(name);
}

Result<Address> Address::Parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return ParseUnix(text.substr(kUnix.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadAddress("an address needs a port: HOST:PORT");
  std::uint16_t port = 0;
  if (!ParsePort(text.substr(colon + 1), port)) return BadAddress("a port is 0 to 65535");
  const std::string_view host = text.substr(0, colon);

  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    const std::string inner(host.substr(1, host.size() - 2));
    if (inet_pton(AF_INET6, inner.c_str(), &address.sin6_addr) != 1) {
      return BadAddress("between brackets belongs an IPv6 address");
    }
    return FromSockaddr(address);
  }

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (host == "*") {
    address.sin_addr.s_addr = htonl(INADDR_ANY);
  } else if (inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) != 1) {
    return BadAddress("before the port belongs an IPv4 address, [IPv6] or *");
  }
  return FromSockaddr(address);
}

Result<Address> Address::ParseUnix(std::string_view name) {
  const bool abstract = name.starts_with('@');
  if (!abstract && !name.starts_with('/')) {
    return BadAddress("after unix: belongs a path that begins with /, or @NAME");
  }
  if (abstract) name.remove_prefix(1);
  if (name.empty()) return BadAddress("an abstract name has at least one byte");
  if (name.size() > kUnixNameMax) {
    return BadAddress("the path of a Unix-domain socket has 107 bytes at most");
  }
  if (name.find('\0') != std::string_view::npos) return BadAddress("a path has no NUL in it");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An abstract name begins with a NUL, a path ends with one (unix(7)).
  std::memcpy(address.sun_path + (abstract ? 1 : 0), name.data(), name.size());
  return Address(reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(kPathAt + name.size() + 1));
}

Address Address::Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return FromSockaddr(address);
}

Address Address::Unmapped() const {
  if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&storage_.v6.sin6_addr)) return *this;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = storage_.v6.sin6_port;
  std::memcpy(&address.sin_addr, &storage_.v6.sin6_addr.s6_addr[12], sizeof(address.sin_addr));
  return FromSockaddr(address);
}

const sockaddr* Address::data() const {
  return unix_name_ == nullptr ? &storage_.any
                               : reinterpret_cast<const sockaddr*>(&unix_name_->address);
}

socklen_t Address::size() const { return unix_name_ == nullptr ? length_ : unix_name_->length; }

std::string_view Address::unix_path() const {
  if (unix_name_ == nullptr || unix_name_->address.sun_path[0] == '\0') return {};
  const char* const path = unix_name_->address.sun_path;
  return {path, strnlen(path, unix_name_->length - kPathAt)};
}

std::string Address::ToString() const {
  if (is_unix()) {
    std::string text("unix:");
    if (unix_name_ == nullptr || !unix_path().empty()) return text.append(unix_path());
    return text.append("@").append(unix_name_->address.sun_path + 1,
                                   unix_name_->length - kPathAt - 1);
  }
  char host[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &storage_.v4.sin_addr, host, sizeof(host));
    return std::string(host) + ":" + std::to_string(port());
  }
  if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &storage_.v6.sin6_addr, host, sizeof(host));
    std::string text("[");
    text.append(host).append("]:").append(std::to_string(port()));
    return text;
  }
  return "none";
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

}  // namespace ktlsim::io
