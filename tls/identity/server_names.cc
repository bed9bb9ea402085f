#include "tls/identity/server_names.h"

#include <algorithm>

#include "kernel_sim/base/characters.h"

namespace ktlsim::tls {
namespace {

constexpr std::size_t kNameBytesMax = 253;  // RFC 1035 2.3.4, without the root's length
constexpr std::size_t kLabelBytesMax = 63;

bool InLabel(char c) { return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '-' || c == '_'; }

bool GoodLabel(std::string_view label) {
  return !label.empty() && label.size() <= kLabelBytesMax && std::ranges::all_of(label, &InLabel);
}

// In lower case. No top-level domain is a number, and an address ends in one.
bool GoodName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!GoodLabel(label)) return false;
    if (dot == std::string_view::npos) return !std::ranges::all_of(label, &IsDigit);
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::string ServerNameTable::Normalize(std::string_view name, bool wildcard_allowed) {
  if (name.ends_with('.')) name.remove_suffix(1);
  // A longer text is no name, and is not copied.
  if (name.size() > kNameBytesMax) return {};
  std::string result(name);
  std::ranges::transform(result, result.begin(), &Lower);
  std::string_view tail = result;
  if (wildcard_allowed && tail.starts_with("*.")) tail.remove_prefix(2);
  if (!GoodName(tail)) result.clear();
  return result;
}

bool ServerNameTable::Add(std::string_view name, std::uint32_t place, Source source) {
  const std::string normal = Normalize(name, true);
  if (normal.empty()) return false;
  Entry& entry = normal.starts_with("*.") ? wildcards_[normal.substr(2)] : names_[normal];
  Places& places = source == Source::kCaller ? entry.by_caller : entry.by_certificate;
  if (std::ranges::find(places, place) == places.end()) places.push_back(place);
  return true;
}

const ServerNameTable::Places* ServerNameTable::Find(std::string_view name) const {
  const std::string normal = Normalize(name, false);
  if (normal.empty()) return nullptr;
  if (const auto found = names_.find(normal); found != names_.end()) {
    return &found->second.places();
  }
  const std::size_t dot = normal.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto found = wildcards_.find(normal.substr(dot + 1));
  return found != wildcards_.end() ? &found->second.places() : nullptr;
}

}  // namespace ktlsim::tls
