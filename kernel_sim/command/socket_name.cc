#include "kernel_sim/command/socket_name.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "kernel_sim/command/server_url.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

constexpr std::string_view kUnix = "unix:";

const char* Examples(SocketUse use) {
  return use == SocketUse::kListen
             ? "write HOST:PORT, for example 127.0.0.1:8443, :8443 for every address, or "
               "unix:/PATH"
             : "write HOST:PORT, for example 127.0.0.1:8080, or unix:/PATH";
}

std::string Wrong(std::string_view text, std::string_view why, SocketUse use) {
  return fmt::format("\"{}\": {}; {}", Printable(text), why, Examples(use));
}

std::string Meant(std::string_view text, std::string_view why, std::string_view meant) {
  return fmt::format("\"{}\": {}; did you mean {}?", Printable(text), why, Printable(meant));
}

std::string ParseUnixName(std::string_view text, SocketUse use, SocketName* name) {
  const std::string_view rest = text.substr(kUnix.size());
  // "unix:///run/x", as others write it.
  const std::size_t path = rest.find_first_not_of('/');
  const bool slashes = path != std::string_view::npos && path > 1;
  const Result<io::Address> address =
      slashes ? io::Address::Parse(fmt::format("unix:/{}", rest.substr(path)))
              : io::Address::Parse(text);
  if (!address.ok()) return Wrong(text, address.status().what(), use);
  // Characters that would break a line of a log, or of a message.
  if (std::string wrong = CheckOneLine(rest); !wrong.empty()) return Wrong(text, wrong, use);
  *name = {};
  name->unix_socket = address.value();
  return {};
}

// Recognises forms that are often written by mistake. Empty: none of them.
std::string LooksLike(std::string_view text, SocketUse use) {
  if (text.starts_with('/') || text.starts_with('@')) {
    return Meant(text, "a Unix-domain socket is written with unix: before it",
                 fmt::format("unix:{}", text));
  }
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    std::string_view rest = text.substr(scheme + 3);
    rest = rest.substr(0, rest.find_first_of("/?#"));
    return rest.find(':') != std::string_view::npos ? Meant(text, "this is no URL", rest)
                                                    : Wrong(text, "this is no URL", use);
  }
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (digits && use == SocketUse::kListen) {
    return Meant(text, "a port alone has a colon before it, and means every address",
                 fmt::format(":{}", text));
  }
  if (std::ranges::count(text, ':') > 1 && !text.starts_with('[')) {
    const std::size_t colon = text.rfind(':');
    return Meant(text, "an IPv6 address stands in brackets",
                 fmt::format("[{}]:{}", text.substr(0, colon), text.substr(colon + 1)));
  }
  return {};
}

bool MachineHasIpv6() {
  const io::Address loopback = io::Address::Parse("[::1]:0").value();
  const int trial = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool has = trial >= 0 && bind(trial, loopback.data(), loopback.size()) == 0;
  if (trial >= 0) close(trial);
  return has;
}

const char* LookUpRemedy(int code) {
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      return "name a host that /etc/hosts or the name server has, or write its address";
    case EAI_AGAIN:
      return "the name server does not answer: try again, or write the address";
    default:
      return "write the address instead of the name";
  }
}

std::string AskResolver(const SocketName& name, std::vector<io::Address>* addresses) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(name.port);
  if (const int code = getaddrinfo(name.host.c_str(), port.c_str(), &hints, &found); code != 0) {
    const char* const why = code == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(code);
    return fmt::format("the name {} has no address: {}; {}", name.host, why, LookUpRemedy(code));
  }
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const io::Address address(at->ai_addr, at->ai_addrlen);
    const auto same = [&address](const io::Address& other) {
      return other.ToString() == address.ToString();
    };
    if (std::ranges::none_of(*addresses, same)) addresses->push_back(address);
  }
  freeaddrinfo(found);
  return {};
}

}  // namespace

std::string SocketName::Key() const {
  if (unix_socket.is_unix()) return unix_socket.ToString();
  if (every_address) return fmt::format("[::]:{}", port);
  std::string lower = host;
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const ServerUrl url{.host = lower, .port = port, .path = {}};
  const Result<io::Address> literal = io::Address::Parse(url.Authority());
  return literal ? literal->ToString() : url.Authority();
}

std::string ParseSocketName(std::string_view text, SocketUse use, SocketName* name) {
  if (text.starts_with(kUnix)) return ParseUnixName(text, use, name);
  if (std::string meant = LooksLike(text, use); !meant.empty()) return meant;
  std::string_view host;
  std::string_view port_text;
  if (!SplitAuthority(text, &host, &port_text) || port_text.empty()) {
    return Wrong(text, "a host and a port are needed", use);
  }
  std::uint64_t port = 0;
  const std::uint64_t port_min = use == SocketUse::kListen ? 0 : 1;
  if (port_text.find_first_not_of("0123456789") != std::string_view::npos ||
      !ParseCount(port_text, port_min, 65535, &port).empty()) {
    return Wrong(text, fmt::format("a port is a number from {} to 65535", port_min), use);
  }
  const bool every = host.empty() || host == "*";
  if (every && use == SocketUse::kConnect) return Wrong(text, "a host is missing", use);
  if (!every) {
    if (const std::string wrong = CheckHostName(host); !wrong.empty()) {
      return Wrong(text, wrong, use);
    }
    // inet_aton would read "127.1" as an address, a typing error as another one.
    if (host.find_first_not_of("0123456789.") == std::string_view::npos &&
        !io::Address::Parse(text).ok()) {
      return Wrong(text, "an IPv4 address has four numbers from 0 to 255", use);
    }
    if (text.starts_with('[') && !io::Address::Parse(text).ok()) {
      return Wrong(text, "between brackets belongs an IPv6 address", use);
    }
  }
  *name = {};
  if (!every) name->host = host;
  name->port = static_cast<std::uint16_t>(port);
  name->every_address = every;
  return {};
}

std::string LookUp(const SocketName& name, std::vector<io::Address>* addresses) {
  addresses->clear();
  if (name.unix_socket.is_unix()) {
    addresses->push_back(name.unix_socket);
    return {};
  }
  if (name.every_address) {
    const char* const all = MachineHasIpv6() ? "[::]" : "0.0.0.0";
    addresses->push_back(io::Address::Parse(fmt::format("{}:{}", all, name.port)).value());
    return {};
  }
  if (const Result<io::Address> literal = io::Address::Parse(name.Key()); literal) {
    addresses->push_back(literal.value());
    return {};
  }
  if (std::string error = AskResolver(name, addresses); !error.empty()) return error;
  const auto is_v6 = [](const io::Address& address) { return address.family() == AF_INET6; };
  const bool mixed =
      std::ranges::any_of(*addresses, is_v6) && !std::ranges::all_of(*addresses, is_v6);
  if (mixed && !MachineHasIpv6()) std::erase_if(*addresses, is_v6);
  return {};
}

}  // namespace ktlsim::command
