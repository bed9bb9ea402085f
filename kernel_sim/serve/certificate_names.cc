#include "kernel_sim/serve/certificate_names.h"

#include <algorithm>
#include <cstddef>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

// NAME_MAX without "_." and ".crt": a DNS name of 253 bytes has no file of its own then.
constexpr std::size_t kHostBytesMax = 249;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::string_view kWildcard = "_.";

bool MayBeInLabel(char c) { return IsDigit(c) || c == '-' || (IsLetter(c) && c == Lower(c)); }

bool IsLabel(std::string_view label) {
  if (label.empty() || label.size() > kLabelBytesMax) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::ranges::all_of(label, MayBeInLabel);
}

bool IsHostName(std::string_view name) {
  if (name.empty() || name.size() > kHostBytesMax) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!IsLabel(label)) return false;
    if (dot == std::string_view::npos) return !std::ranges::all_of(label, IsDigit);
    // A dot at the end is followed by an empty label.
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::string HostNameOf(std::string_view asked) {
  if (asked.ends_with('.')) asked.remove_suffix(1);
  if (asked.size() > kHostBytesMax) return {};
  std::string host(asked);
  std::ranges::transform(host, host.begin(), Lower);
  if (!IsHostName(host)) host.clear();
  return host;
}

std::string StemFor(std::string_view host, unsigned step, bool named, bool strict) {
  if (!host.empty()) {
    if (step == 0) return std::string(host);
    --step;
    if (const std::size_t dot = host.find('.'); dot != std::string_view::npos) {
      if (step == 0) return std::string(kWildcard).append(host.substr(dot + 1));
      --step;
    }
  }
  return step == 0 && !(named && strict) ? std::string(kDefaultStem) : std::string();
}

bool IsStem(std::string_view stem) {
  if (stem.starts_with(kWildcard)) stem.remove_prefix(kWildcard.size());
  return IsHostName(stem);
}

}  // namespace ktlsim::serve
