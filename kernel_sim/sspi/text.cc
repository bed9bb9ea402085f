#include "kernel_sim/sspi/text.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <cstring>
#include <ctime>

namespace ktlsim::sspi {
namespace {

void AppendUtf8(std::string& out, char32_t c) {
  const auto push = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6);
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12);
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18);
    push(0x80 | (c >> 12 & 0x3F));
    push(0x80 | (c >> 6 & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

}  // namespace

std::string ToUtf8(std::u16string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char32_t c = text[i];
    const bool high = c >= 0xD800 && c < 0xDC00;
    if (high && i + 1 < text.size() && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (text[i + 1] - 0xDC00U);
      ++i;
    } else if (c >= 0xD800 && c < 0xE000) {
      c = 0xFFFD;
    }
    AppendUtf8(out, c);
  }
  return out;
}

std::optional<std::string> ReadName(const char* text) {
  if (text == nullptr) return std::string();
  const std::size_t units = strnlen(text, KTLSIM_NAME_UNITS_MAX + 1);
  if (units > KTLSIM_NAME_UNITS_MAX) return std::nullopt;
  std::string copy(text, units);
  // Another thread may have ended it earlier since it was counted.
  copy.resize(strnlen(copy.c_str(), units));
  return copy;
}

std::optional<std::string> ReadName(const SEC_WCHAR* text) {
  if (text == nullptr) return std::string();
  std::size_t units = 0;
  while (text[units] != 0) {
    if (++units > KTLSIM_NAME_UNITS_MAX) return std::nullopt;
  }
  // A copy: another thread may be changing the caller's, and pairs of units are looked at twice.
  std::u16string copy(text, units);
  copy.resize(std::min(copy.find(u'\0'), units));  // it may have been ended earlier since
  return ToUtf8(copy);
}

std::optional<std::string> ReadName(const SECURITY_STRING* text) {
  if (text == nullptr) return std::string();
  SECURITY_STRING once;
  std::memcpy(&once, text, sizeof(once));
  if (once.Buffer == nullptr) return std::string();
  const std::size_t units = once.Length / sizeof(SEC_WCHAR);
  if (units > KTLSIM_NAME_UNITS_MAX) return std::nullopt;
  std::u16string copy(once.Buffer, units);
  // Later code would cut the name off at a zero, without any sign of it.
  std::replace(copy.begin(), copy.end(), u'\0', u'\xFFFD');
  return ToUtf8(std::u16string_view(copy));
}

void StoreWide(SEC_WCHAR* out, std::size_t units, std::string_view ascii) {
  std::size_t i = 0;
  for (; i + 1 < units && i < ascii.size(); ++i) out[i] = static_cast<unsigned char>(ascii[i]);
  for (; i < units; ++i) out[i] = 0;
}

std::int64_t ToTimeStamp(std::int64_t unix_seconds) {
  constexpr std::int64_t kFrom1601To1970 = 11644473600;
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm local{};
  const std::int64_t offset = localtime_r(&time, &local) != nullptr ? local.tm_gmtoff : 0;
  return (unix_seconds + offset + kFrom1601To1970) * 10'000'000;
}

}  // namespace ktlsim::sspi
