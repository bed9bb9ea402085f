#include "kernel_sim/authority/caller_text.h"

#include <cstdint>
#include <cstring>

#include <openssl/crypto.h>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::authority {
namespace {

using authorization::LoadElement;

constexpr bool IsHigh(std::uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
constexpr bool IsLow(std::uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// Writes the last `count` bytes of a character, six bits each, behind a first one of `mark`.
char* Write(char* to, std::uint32_t c, std::uint32_t mark, int more) {
  *to++ = static_cast<char>(mark | c >> (6 * more));
  while (more-- > 0) *to++ = static_cast<char>(0x80 | (c >> (6 * more) & 0x3F));
  return to;
}

char* WriteUtf8(char* to, std::uint32_t c) {
  if (c < 0x80) return Write(to, c, 0, 0);
  if (c < 0x800) return Write(to, c, 0xC0, 1);
  return c < 0x10000 ? Write(to, c, 0xE0, 2) : Write(to, c, 0xF0, 3);
}

}  // namespace

SecretRoom::~SecretRoom() { OPENSSL_cleanse(bytes_.data(), used_); }

std::optional<std::string_view> SecretRoom::Read(const char* text) {
  if (text == nullptr) return std::string_view();
  const std::size_t bytes = strnlen(text, kUnitsMax + 1);
  if (bytes > kUnitsMax) return std::nullopt;
  // Judged in the copy: another thread may be changing the caller's.
  std::memcpy(bytes_.data(), text, bytes);
  used_ = bytes;
  const std::string_view copy(bytes_.data(), bytes);
  return digest::IsUtf8(copy) ? std::optional(copy) : std::nullopt;
}

std::optional<std::string_view> SecretRoom::Read(const WCHAR* text) {
  if (text == nullptr) return std::string_view();
  char* to = bytes_.data();
  for (std::size_t i = 0;; ++i) {
    std::uint32_t c = LoadElement<WCHAR>(text, 0, i);
    if (c == 0) break;
    if (i >= kUnitsMax || IsLow(c)) return std::nullopt;
    if (IsHigh(c)) {
      const std::uint32_t low = LoadElement<WCHAR>(text, 0, ++i);
      if (!IsLow(low) || i >= kUnitsMax) return std::nullopt;
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    to = WriteUtf8(to, c);
    used_ = static_cast<std::size_t>(to - bytes_.data());
  }
  return std::string_view(bytes_.data(), used_);
}

}  // namespace ktlsim::authority
