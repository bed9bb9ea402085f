#include "kernel_sim/context_store/redis_url.h"

#include <algorithm>
#include <utility>

#include "kernel_sim/base/characters.h"

namespace ktlsim::context_store {
namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr std::size_t kHostsMax = 16;
constexpr unsigned kDatabaseMax = 1'000'000;

bool Decode(std::string_view text, std::string* decoded) {
  decoded->clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      *decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return false;  // no NUL
    *decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

std::string TakeCredentials(std::string_view* rest, std::size_t limit, RedisUrl* url) {
  const std::size_t at = rest->substr(0, limit).rfind('@');
  if (at == std::string_view::npos) return "";
  const std::string_view credentials = rest->substr(0, at);
  const std::size_t colon = credentials.find(':');
  if (colon == std::string_view::npos) {
    return "before the @ stands USER:PASSWORD, or :PASSWORD without a user";
  }
  if (!Decode(credentials.substr(0, colon), &url->user) ||
      !Decode(credentials.substr(colon + 1), &url->password) || url->password.empty()) {
    return "the user or the password is empty or not percent-encoded correctly";
  }
  rest->remove_prefix(at + 1);
  return "";
}

std::string ParseHost(std::string_view text, std::uint16_t default_port, RedisHost* host) {
  const char* const shape = "write HOST or HOST:PORT, an IPv6 address in brackets";
  host->port = default_port;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return shape;
    host->host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    host->host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (host->host.empty()) return shape;
  if (rest.empty()) return "";
  if (rest[0] != ':' || ReadNumber(rest.substr(1), &host->port) != std::errc() || host->port == 0) {
    return shape;
  }
  return "";
}

std::string ParseHosts(std::string_view text, std::uint16_t default_port, RedisUrl* url) {
  while (true) {
    const std::size_t comma = std::min(text.find(','), text.size());
    RedisHost host;
    if (std::string wrong = ParseHost(text.substr(0, comma), default_port, &host); !wrong.empty()) {
      return wrong;
    }
    url->hosts.push_back(std::move(host));
    if (comma == text.size()) return "";
    if (url->hosts.size() == kHostsMax) return "at most 16 hosts can be named";
    text.remove_prefix(comma + 1);
  }
}

std::string ParseDatabase(std::string_view text, RedisUrl* url) {
  if (ReadNumber(text, &url->database) == std::errc() && url->database <= kDatabaseMax) return "";
  return "the database is a number";
}

std::string ParseServer(std::string_view rest, RedisUrl* url) {
  if (std::string wrong = TakeCredentials(&rest, rest.size(), url); !wrong.empty()) return wrong;
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  if (std::string wrong = ParseHosts(rest.substr(0, slash), kRedisPort, url); !wrong.empty()) {
    return wrong;
  }
  if (url->hosts.size() != 1) {
    return "several hosts are Sentinels: write redis+sentinel://HOST,HOST/MASTER";
  }
  if (rest.size() <= slash + 1) return "";
  return ParseDatabase(rest.substr(slash + 1), url);
}

std::string ParseTlsServer(std::string_view rest, RedisUrl* url) {
  url->tls = true;
  return ParseServer(rest, url);
}

std::string ParseSentinels(std::string_view rest, RedisUrl* url) {
  if (std::string wrong = TakeCredentials(&rest, rest.size(), url); !wrong.empty()) return wrong;
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  if (std::string wrong = ParseHosts(rest.substr(0, slash), kSentinelPort, url); !wrong.empty()) {
    return wrong;
  }
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  const std::size_t second = std::min(rest.find('/'), rest.size());
  if (!Decode(rest.substr(0, second), &url->master) || url->master.empty()) {
    return "after the hosts stands the name of the master: redis+sentinel://HOST,HOST/MASTER";
  }
  if (rest.size() <= second + 1) return "";
  return ParseDatabase(rest.substr(second + 1), url);
}

std::string ParseUnix(std::string_view rest, RedisUrl* url) {
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  if (std::string wrong = TakeCredentials(&rest, slash, url); !wrong.empty()) return wrong;
  const std::size_t query = std::min(rest.find('?'), rest.size());
  if (!rest.starts_with('/') || !Decode(rest.substr(0, query), &url->unix_path) ||
      url->unix_path.size() > io::kUnixNameMax) {
    return "the path of the socket begins with / and has at most 107 bytes";
  }
  if (query == rest.size()) return "";
  const std::string_view option = rest.substr(query + 1);
  if (!option.starts_with("db=")) return "after the path only ?db=NUMBER can stand";
  return ParseDatabase(option.substr(3), url);
}

}  // namespace

Result<io::Address> RedisHost::ToAddress() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  text.append(":").append(std::to_string(port));
  return io::Address::Parse(text);
}

std::string ParseRedisUrl(std::string_view text, RedisUrl* url) {
  struct Form {
    std::string_view scheme;
    std::string (*parse)(std::string_view rest, RedisUrl* url);
  };
  static constexpr Form kForms[] = {{"redis://", ParseServer},
                                    {"rediss://", ParseTlsServer},
                                    {"redis+sentinel://", ParseSentinels},
                                    {"unix://", ParseUnix}};
  for (const Form& form : kForms) {
    if (!text.starts_with(form.scheme)) continue;
    RedisUrl read;
    std::string wrong = form.parse(text.substr(form.scheme.size()), &read);
    if (wrong.empty()) *url = std::move(read);
    return wrong;
  }
  if (text.starts_with("rediss+sentinel://")) {
    return "Sentinels over TLS are not supported: write rediss://HOST:PORT, or redis+sentinel:// "
           "over a private network";
  }
  return "a store is redis://HOST:PORT, rediss://HOST:PORT (over TLS), unix:///PATH or "
         "redis+sentinel://HOST,HOST/MASTER";
}

}  // namespace ktlsim::context_store
