#include "kernel_sim/serve/file_path.h"

#include <cstdint>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

// Without scheme and authority. Empty: no form that names a file, such as "*".
std::optional<std::string_view> PathOf(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (target.starts_with('/')) return target;
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::size_t slash = target.find('/', scheme + 3);
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

// Appends `segment` decoded. 0, or the status code that refuses it.
unsigned AppendSegment(std::string_view segment, std::string& out) {
  const std::size_t begin = out.size();
  for (std::size_t i = 0; i < segment.size(); ++i) {
    char c = segment[i];
    if (c == '%') {
      const int high = i + 2 < segment.size() ? HexValue(segment[i + 1]) : -1;
      const int low = i + 2 < segment.size() ? HexValue(segment[i + 2]) : -1;
      if (high < 0 || low < 0) return 400;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return 400;
    // No file name has a slash in it; as a separator it would mean another file.
    if (c == '/') return 404;
    out += c;
  }
  const std::string_view decoded = std::string_view(out).substr(begin);
  // Clients resolve these before they send a request (RFC 3986 5.2.4); a client that sends them has
  // other intentions.
  return decoded == "." || decoded == ".." ? 400 : 0;
}

bool IsPlain(char c) {
  const bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return alphanumeric || std::string_view("-._~/").find(c) != std::string_view::npos;
}

}  // namespace

FilePath ResolveTarget(std::string_view target) {
  FilePath resolved;
  if (target.size() > kTargetBytesMax) {
    resolved.refusal = 414;
    return resolved;
  }
  const std::optional<std::string_view> whole = PathOf(target);
  if (!whole) {
    resolved.refusal = 400;
    return resolved;
  }
  std::string_view rest = *whole;
  resolved.directory = rest.ends_with('/');
  while (!rest.empty() && resolved.refusal == 0) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
    if (segment.empty()) continue;
    if (!resolved.path.empty()) resolved.path += '/';
    resolved.refusal = AppendSegment(segment, resolved.path);
  }
  return resolved;
}

std::string DirectoryLocation(std::string_view path) {
  std::string location = "/";
  for (const char c : path) {
    if (IsPlain(c)) {
      location += c;
    } else {
      fmt::format_to(std::back_inserter(location), "%{:02X}", static_cast<std::uint8_t>(c));
    }
  }
  if (!path.empty()) location += '/';
  return location;
}

std::string QueryOf(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const std::size_t begin = target.find('?');
  std::string query;
  for (const char c : begin == std::string_view::npos ? std::string_view() : target.substr(begin)) {
    // Encoded bytes of the client stay as they are; bytes that no URI may have are encoded here.
    if (c > ' ' && c < '\x7f' && c != '"' && c != '<' && c != '>') {
      query += c;
    } else {
      fmt::format_to(std::back_inserter(query), "%{:02X}", static_cast<std::uint8_t>(c));
    }
  }
  return query;
}

}  // namespace ktlsim::serve
