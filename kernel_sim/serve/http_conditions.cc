#include "kernel_sim/serve/http_conditions.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

std::string_view Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// `list` from its next element on: empty elements do not count (RFC 9110 5.6.1.2).
std::string_view SkipEmptyElements(std::string_view list) {
  const std::size_t begin = list.find_first_not_of(" \t,");
  return begin == std::string_view::npos ? std::string_view() : list.substr(begin);
}

// Whether `etag`, a strong one, is in the list of a field. `weakly`: W/ before it does not matter.
bool ListHas(std::string_view list, std::string_view etag, bool weakly) {
  list = SkipEmptyElements(Trim(list));
  if (list == "*") return true;
  while (!list.empty()) {
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    if ((weakly || !weak) && list.substr(0, end + 1) == etag) return true;
    list = Trim(list.substr(end + 1));
    if (!list.starts_with(',')) return false;
    list = SkipEmptyElements(list);
  }
  return false;
}

// The one element of `list` that is not empty; empty when there is none, or more than one.
std::string_view OnlyElement(std::string_view list) {
  list = SkipEmptyElements(list);
  const std::size_t comma = std::min(list.find(','), list.size());
  return SkipEmptyElements(list.substr(comma)).empty() ? Trim(list.substr(0, comma))
                                                       : std::string_view();
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  // A number beyond every file is beyond this one.
  std::uint64_t number = ~std::uint64_t{0};
  return ReadNumber(text, &number) != std::errc::invalid_argument ? std::optional(number)
                                                                  : std::nullopt;
}

// "first-last", "first-" or "-suffix".
ByteRange ParseRange(std::string_view text, std::uint64_t size) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view left = Trim(text.substr(0, dash));
  const std::string_view right = Trim(text.substr(dash + 1));
  const std::optional<std::uint64_t> last = ParseNumber(right);
  if (left.empty()) {
    if (!last) return {};
    if (*last == 0) return {ByteRange::Kind::kUnsatisfiable};
    // A suffix of an empty file is empty: satisfiable (RFC 9110 14.1.2), but no Content-Range can
    // express it.
    if (size == 0) return {};
    const std::uint64_t bytes = std::min(*last, size);
    return {ByteRange::Kind::kPart, size - bytes, bytes};
  }
  const std::optional<std::uint64_t> first = ParseNumber(left);
  if (!first || (!right.empty() && !last) || (last && *last < *first)) return {};
  if (*first >= size) return {ByteRange::Kind::kUnsatisfiable};
  const std::uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {ByteRange::Kind::kPart, *first, end - *first + 1};
}

// RFC 9110 13.1.5: a strong match, or exactly our date.
bool IfRangeHolds(std::string_view condition, const Validators& validators) {
  condition = Trim(condition);
  if (condition.starts_with('"')) return condition == validators.etag;
  return ParseHttpDate(condition) == validators.modified;
}

}  // namespace

std::optional<std::time_t> ParseHttpDate(std::string_view text) {
  text = Trim(text);
  std::array<char, 64> copy{};
  if (text.empty() || text.size() >= copy.size()) return {};
  std::memcpy(copy.data(), text.data(), text.size());
  // The process never leaves the "C" locale, whose names these are.
  for (const char* form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm utc{};
    const char* const end = strptime(copy.data(), form, &utc);
    if (end == nullptr || *end != '\0') continue;
    const std::time_t time = timegm(&utc);
    if (time >= 0) return time;
  }
  return {};
}

unsigned CheckPreconditions(const HttpRequestText& text, const Validators& validators) {
  if (!text.if_match.empty()) {
    if (!ListHas(text.if_match, validators.etag, /*weakly=*/false)) return 412;
  } else if (const auto limit = ParseHttpDate(text.if_unmodified_since)) {
    if (validators.modified > *limit) return 412;
  }
  if (!text.if_none_match.empty()) {
    return ListHas(text.if_none_match, validators.etag, /*weakly=*/true) ? 304 : 0;
  }
  if (const auto since = ParseHttpDate(text.if_modified_since)) {
    return validators.modified <= *since ? 304 : 0;
  }
  return 0;
}

ByteRange SelectRange(const HttpRequestText& text, const Validators& validators,
                      std::uint64_t size) {
  std::string_view range = Trim(text.range);
  if (range.empty()) return {};
  if (!text.if_range.empty() && !IfRangeHolds(text.if_range, validators)) return {};
  constexpr std::string_view kUnit = "bytes=";
  if (!EqualsIgnoringCase(range.substr(0, kUnit.size()), kUnit)) return {};
  range.remove_prefix(kUnit.size());
  return ParseRange(OnlyElement(range), size);
}

}  // namespace ktlsim::serve
