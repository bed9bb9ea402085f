// LineText: a JSON object on one line, written by hand so that nothing is allocated.
//
// Every text becomes printable ASCII: what is not is written as \u and four digits, and a byte that
// is no UTF-8 as the replacement character. So no name can end a line, a string or the object, or
// make a terminal do anything.
//
// Private to audit/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ktlsim::audit {

// How many bytes a byte of a text becomes at most: \u and four digits.
inline constexpr std::size_t kEscapedBytesMax = 6;

// Appends to `*out`; `keys` are literals.
class LineText {
 public:
  explicit LineText(std::string* out) : out_(out) {}

  void Open(std::string_view key);  // a member that is an object; "": the line itself
  void Close();
  void Number(std::string_view key, std::uint64_t value);
  void Hex(std::string_view key, std::uint64_t value);  // "0x1f"
  void Bytes(std::string_view key, std::span<const std::byte> bytes);
  void Text(std::string_view key, std::string_view value);
  void True(std::string_view key);
  // UTC with microseconds, such as "2026-11-30T22:31:15.000042Z".
  void Time(std::string_view key, std::uint64_t unix_ns);
  void OpenList(std::string_view key);
  void Item(std::string_view value);
  void CloseList();

 private:
  void Key(std::string_view key);
  void Quoted(std::string_view value);

  std::string* const out_;
  bool first_ = true;
};

void AppendHex(std::span<const std::byte> bytes, std::string* out);
// False: not exactly as many lower-case digits.
bool ReadHex(std::string_view text, std::span<std::byte> bytes);

}  // namespace ktlsim::audit
