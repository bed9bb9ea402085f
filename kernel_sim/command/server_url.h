// Which server a command talks to: a URL, HOST:PORT, or the socket of one on this machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktlsim::command {

struct ServerUrl {
  std::string host;  // a name or an address; an IPv6 address without its brackets
  std::uint16_t port = 443;
  std::string path;  // with the query; empty: none was given
  // "unix:/PATH" or "unix:@NAME": where the server is, whatever the host name is. Empty: none.
  std::string unix_socket = {};

  // Where it is, for people: the socket, or Authority().
  std::string Place() const;
  // "host:port", with brackets around an IPv6 address (RFC 3986 3.2.2).
  std::string Authority() const;
  bool IsAddress() const;  // `host` is an address, not a name
};

// "https://HOST[:PORT][/PATH]", "HOST:PORT", "[ADDRESS]:PORT" or a Unix-domain socket, whose host
// is "localhost". Empty: done. Else what is wrong and what would be right; `*url` is as it was.
std::string ParseServerUrl(std::string_view text, ServerUrl* url);

// Splits "host:port" and "[address]:port"; the port may be missing with its colon. False: neither.
bool SplitAuthority(std::string_view authority, std::string_view* host, std::string_view* port);

// Empty when `path` can stand in a request line (RFC 9112 3.2.1); else what is wrong.
std::string CheckRequestPath(std::string_view path);

// Empty when `name` can be a host: a DNS name or an address literal.
std::string CheckHostName(std::string_view name);

}  // namespace ktlsim::command
