#include "kernel_sim/audit/line_text.h"

#include <array>
#include <charconv>
#include <ctime>
#include <iterator>

#include "kernel_sim/base/characters.h"

namespace ktlsim::audit {
namespace {

constexpr char kDigits[] = "0123456789abcdef";
constexpr std::uint32_t kReplacement = 0xFFFD;
constexpr std::uint64_t kNsOfSecond = 1'000'000'000;

void AppendNumber(std::uint64_t value, int base, std::string* out) {
  std::array<char, 24> digits{};
  const char* const end = std::to_chars(digits.begin(), digits.end(), value, base).ptr;
  out->append(std::string_view(digits.data(), end));
}

void AppendUnit(std::uint32_t unit, std::string* out) {
  out->append("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) out->push_back(kDigits[(unit >> shift) & 0xF]);
}

void AppendCodePoint(std::uint32_t point, std::string* out) {
  if (point < 0x10000) {
    AppendUnit(point, out);
    return;
  }
  point -= 0x10000;
  AppendUnit(0xD800 + (point >> 10), out);
  AppendUnit(0xDC00 + (point & 0x3FF), out);
}

// Takes a character off the front of `*text`; a byte that begins none is the replacement character.
// (RFC 3629: the shortest form only, no surrogates, nothing above 0x10FFFF.)
std::uint32_t TakeCodePoint(std::string_view* text) {
  const auto byte_at = [text](std::size_t i) { return static_cast<unsigned char>((*text)[i]); };
  const std::uint32_t lead = byte_at(0);
  const std::size_t more = lead < 0xC2   ? 0
                           : lead < 0xE0 ? 1
                           : lead < 0xF0 ? 2
                           : lead < 0xF5 ? 3
                                         : 0;
  std::uint32_t point = lead & (0x3FU >> more);
  bool whole = more != 0 && text->size() > more;
  for (std::size_t i = 1; whole && i <= more; ++i) {
    whole = (byte_at(i) & 0xC0U) == 0x80;
    point = (point << 6) | (byte_at(i) & 0x3FU);
  }
  whole = whole && (more != 2 || (point >= 0x800 && (point < 0xD800 || point > 0xDFFF))) &&
          (more != 3 || (point >= 0x10000 && point <= 0x10FFFF));
  text->remove_prefix(whole ? more + 1 : 1);
  return whole ? point : kReplacement;
}

void AppendTwo(unsigned value, std::string* out) {
  out->push_back(static_cast<char>('0' + value / 10 % 10));
  out->push_back(static_cast<char>('0' + value % 10));
}

}  // namespace

void LineText::Key(std::string_view key) {
  if (!first_) out_->push_back(',');
  first_ = false;
  if (key.empty()) return;
  out_->append("\"").append(key).append("\":");
}

void LineText::Open(std::string_view key) {
  Key(key);
  out_->push_back('{');
  first_ = true;
}

void LineText::Close() {
  out_->push_back('}');
  first_ = false;
}

void LineText::Number(std::string_view key, std::uint64_t value) {
  Key(key);
  AppendNumber(value, 10, out_);
}

void LineText::Hex(std::string_view key, std::uint64_t value) {
  Key(key);
  out_->append("\"0x");
  AppendNumber(value, 16, out_);
  out_->push_back('"');
}

void LineText::Bytes(std::string_view key, std::span<const std::byte> bytes) {
  Key(key);
  out_->push_back('"');
  AppendHex(bytes, out_);
  out_->push_back('"');
}

void LineText::Quoted(std::string_view value) {
  out_->push_back('"');
  while (!value.empty()) {
    const char c = value.front();
    if (c == '"' || c == '\\') out_->push_back('\\');
    if (IsPrintableAscii(c)) {
      out_->push_back(c);
      value.remove_prefix(1);
    } else if (static_cast<unsigned char>(c) < 0x80) {
      AppendUnit(static_cast<unsigned char>(c), out_);
      value.remove_prefix(1);
    } else {
      AppendCodePoint(TakeCodePoint(&value), out_);
    }
  }
  out_->push_back('"');
}

void LineText::Text(std::string_view key, std::string_view value) {
  Key(key);
  Quoted(value);
}

void LineText::True(std::string_view key) {
  Key(key);
  out_->append("true");
}

void LineText::Time(std::string_view key, std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kNsOfSecond);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  Key(key);
  out_->push_back('"');
  AppendNumber(static_cast<std::uint64_t>(utc.tm_year + 1900), 10, out_);
  out_->push_back('-');
  AppendTwo(static_cast<unsigned>(utc.tm_mon + 1), out_);
  out_->push_back('-');
  AppendTwo(static_cast<unsigned>(utc.tm_mday), out_);
  out_->push_back('T');
  AppendTwo(static_cast<unsigned>(utc.tm_hour), out_);
  out_->push_back(':');
  AppendTwo(static_cast<unsigned>(utc.tm_min), out_);
  out_->push_back(':');
  AppendTwo(static_cast<unsigned>(utc.tm_sec), out_);
  out_->push_back('.');
  const auto us = static_cast<unsigned>(unix_ns % kNsOfSecond / 1000);
  AppendTwo(us / 10000, out_);
  AppendTwo(us / 100 % 100, out_);
  AppendTwo(us % 100, out_);
  out_->append("Z\"");
}

void LineText::OpenList(std::string_view key) {
  Key(key);
  out_->push_back('[');
  first_ = true;
}

void LineText::Item(std::string_view value) {
  Key({});
  Quoted(value);
}

void LineText::CloseList() {
  out_->push_back(']');
  first_ = false;
}

void AppendHex(std::span<const std::byte> bytes, std::string* out) {
  for (const std::byte one : bytes) {
    const auto value = static_cast<unsigned>(one);
    out->push_back(kDigits[value >> 4]);
    out->push_back(kDigits[value & 0xF]);
  }
}

bool ReadHex(std::string_view text, std::span<std::byte> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  constexpr std::string_view digits(kDigits, 16);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t high = digits.find(text[2 * i]);
    const std::size_t low = digits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return true;
}

}  // namespace ktlsim::audit
