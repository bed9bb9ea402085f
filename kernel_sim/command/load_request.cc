#include "kernel_sim/command/load_request.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/file.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kUploadBytes = std::size_t{1} << 20;
constexpr std::size_t kBodyFileBytesMax = std::size_t{1} << 26;

bool HasField(const LoadOptions& options, std::string_view name) {
  const auto same = [name](const std::string& field) {
    if (field.size() <= name.size() || field[name.size()] != ':') return false;
    return std::equal(name.begin(), name.end(), field.begin(),
                      [](char a, char b) { return a == Lower(b); });
  };
  return std::any_of(options.request.headers.begin(), options.request.headers.end(), same);
}

std::string HostOf(const LoadOptions& options) {
  if (!options.sni.empty()) return options.sni;
  return options.url.unix_socket.empty() ? options.url.Authority() : options.url.host;
}

}  // namespace

std::string LoadServerName(const LoadOptions& options) {
  if (!options.sni.empty()) return options.sni;
  return options.url.IsAddress() ? "localhost" : options.url.host;
}

std::string LoadTarget(const LoadOptions& options, const LoadShare& share) {
  if (!share.path.empty()) return share.path;
  const std::string& path = !options.path.empty() ? options.path : options.url.path;
  return path.empty() ? "/" : path;
}

std::string LoadMethod(const LoadOptions& options, const LoadShare& share) {
  if (!options.request.method.empty()) return options.request.method;
  const bool body = share.mode == LoadMode::kUpload || !options.request.body.empty() ||
                    options.request.body_bytes != 0;
  return body ? "POST" : "GET";
}

std::string LoadBody(const LoadOptions& options, const LoadShare& share, std::string* body) {
  const LoadRequestOptions& request = options.request;
  if (request.body.starts_with('@')) {
    const std::string file = request.body.substr(1);
    const Result<FileText> read = ReadFile(file.c_str(), kBodyFileBytesMax);
    if (!read.ok()) return fmt::format("--body: {}: {}", file, read.status().ToString());
    *body = read->text();
    return {};
  }
  const bool made_up = share.mode == LoadMode::kUpload && request.body.empty();
  const std::size_t bytes = request.body_bytes != 0 ? request.body_bytes
                            : made_up               ? kUploadBytes
                                                    : 0;
  *body = bytes != 0 ? std::string(bytes, 'k') : request.body;
  return {};
}

std::string LoadRequestHead(const LoadOptions& options, const LoadShare& share,
                            std::size_t body_bytes) {
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\n", LoadMethod(options, share), LoadTarget(options, share));
  if (!HasField(options, "host")) head += fmt::format("Host: {}\r\n", HostOf(options));
  if (!HasField(options, "user-agent")) head += "User-Agent: ktlsim\r\n";
  for (const std::string& field : options.request.headers) head.append(field).append("\r\n");
  if (share.mode == LoadMode::kChurn) head += "Connection: close\r\n";
  if (body_bytes != 0 || share.mode == LoadMode::kUpload) {
    head += fmt::format("Content-Length: {}\r\n", body_bytes);
  }
  return head;
}

}  // namespace ktlsim::command
