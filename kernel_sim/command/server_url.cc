#include "kernel_sim/command/server_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

constexpr std::string_view kExamples =
    "write a URL like https://localhost:8443/, HOST:PORT like localhost:8443, or unix:/PATH";
constexpr std::size_t kHostMax = 253;

bool IsLiteral(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string Wrong(std::string_view text, std::string_view why) {
  return fmt::format("\"{}\": {}; {}", Printable(text), why, kExamples);
}

}  // namespace

bool SplitAuthority(std::string_view authority, std::string_view* host, std::string_view* port) {
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return false;
    *host = authority.substr(1, close - 1);
    const std::string_view rest = authority.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return false;
    *port = rest.empty() ? rest : rest.substr(1);
    return host->find(':') != std::string_view::npos && (rest.empty() || !port->empty());
  }
  const std::size_t colon = authority.find(':');
  *host = authority.substr(0, colon);
  *port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon + 1);
  // More colons: an IPv6 address without brackets, whose port would be ambiguous.
  return port->find(':') == std::string_view::npos &&
         (colon == std::string_view::npos || !port->empty());
}

std::string ServerUrl::Place() const { return unix_socket.empty() ? Authority() : unix_socket; }

std::string ServerUrl::Authority() const {
  const bool brackets = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", host, brackets ? "]" : "", port);
}

bool ServerUrl::IsAddress() const { return IsLiteral(host); }

std::string CheckHostName(std::string_view name) {
  if (name.empty()) return "a name is needed";
  if (IsLiteral(std::string(name))) return {};
  if (name.size() > kHostMax) return "a name has 253 characters at most";
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  if (!std::all_of(name.begin(), name.end(), good)) {
    return fmt::format(
        "\"{}\" is not a host name: letters, digits, '-', '_' and '.' only (a name of other "
        "letters "
        "in its xn-- form)",
        Printable(name));
  }
  return {};
}

std::string CheckRequestPath(std::string_view path) {
  const bool good = path.starts_with('/') && std::all_of(path.begin(), path.end(), [](char c) {
                      return c > ' ' && c < '\x7f' && c != '#';
                    });
  if (good) return {};
  return fmt::format(
      "\"{}\" is not a path: it begins with / and has no blanks, no control characters and no #; "
      "write a blank as %20",
      Printable(path));
}

std::string ParseServerUrl(std::string_view text, ServerUrl* url) {
  constexpr std::string_view kScheme = "https://";
  if (text.starts_with("unix:")) {
    SocketName name;
    if (std::string wrong = ParseSocketName(text, SocketUse::kConnect, &name); !wrong.empty()) {
      return wrong;
    }
    *url = {.host = "localhost", .path = {}, .unix_socket = name.unix_socket.ToString()};
    return {};
  }
  std::string_view authority = text;
  std::string_view path;
  const bool is_url = text.find("://") != std::string_view::npos;
  if (is_url) {
    if (!text.starts_with(kScheme))
      return Wrong(text, "only https:// can be used: this speaks TLS");
    authority.remove_prefix(kScheme.size());
    const std::size_t slash = authority.find_first_of("/?#");
    if (slash != std::string_view::npos) path = authority.substr(slash);
    authority = authority.substr(0, slash);
    // A fragment is never sent (RFC 9110 7.1).
    path = path.substr(0, path.find('#'));
  }
  std::string_view host;
  std::string_view port_text;
  if (!SplitAuthority(authority, &host, &port_text)) {
    return Wrong(text, "that is no host and port (an IPv6 address stands in brackets)");
  }
  if (const std::string wrong = CheckHostName(host); !wrong.empty()) return Wrong(text, wrong);
  if (!is_url && port_text.empty()) return Wrong(text, "the port is missing");
  std::uint64_t port = 443;
  if (!port_text.empty()) {
    std::uint64_t parsed = 0;
    const bool digits = port_text.find_first_not_of("0123456789") == std::string_view::npos;
    if (!digits || !ParseCount(port_text, 1, 65535, &parsed).empty()) {
      return Wrong(text, "a port is a number from 1 to 65535");
    }
    port = parsed;
  }
  std::string whole_path = path.starts_with('?') ? "/" : "";
  whole_path += path;
  if (!whole_path.empty()) {
    if (std::string wrong = CheckRequestPath(whole_path); !wrong.empty()) return wrong;
  }
  *url = {.host = std::string(host),
          .port = static_cast<std::uint16_t>(port),
          .path = std::move(whole_path)};
  return {};
}

}  // namespace ktlsim::command
