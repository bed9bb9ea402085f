// Texts of options and configuration keys made into values: one parser for each kind of value and
// one message for each kind of mistake, for every command and for configuration files.
//
// Every function returns an empty string and sets its result, or returns what is wrong with `text`
// and what would be right, and leaves the result as it was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ktlsim::command {

// A whole number, with a suffix if wanted: k, M, G are thousands ("10k"). No sign, no blanks.
std::string ParseCount(std::string_view text, std::uint64_t min, std::uint64_t max,
                       std::uint64_t* count);
// A number of bytes, with a suffix if wanted: k, M, G are powers of 1024 ("16k").
std::string ParseSize(std::string_view text, std::uint64_t min, std::uint64_t max,
                      std::uint64_t* bytes);
// Operations per second, also with a fraction and with "/s" at the end: "0.5", "10k", "10k/s".
std::string ParseRate(std::string_view text, double min, double max, double* per_second);

// What a duration without a unit is.
enum class BareNumber : std::uint8_t {
  kRefused,  // "5" could be anything: write "5s"
  kSeconds,  // for options that are named after seconds
};
// "500ms", "10s", "2m"; see durations.h for the units.
std::string ParseDuration(std::string_view text, std::uint64_t min_ns, std::uint64_t max_ns,
                          BareNumber bare, std::uint64_t* ns);

// `text` as it may be shown in a message: control characters become "\x0a", and what is longer than
// a line is cut.
std::string Printable(std::string_view text);

// One of a few words.
template <typename Value>
struct Word {
  const char* word;
  Value value;
};

// The word for `value`; "?" for none.
template <typename Value, std::size_t kCount>
const char* WordOf(Value value, const std::array<Word<Value>, kCount>& words) {
  for (const Word<Value>& word : words) {
    if (word.value == value) return word.word;
  }
  return "?";
}

template <typename Value, std::size_t kCount>
std::string ParseWord(std::string_view text, const std::array<Word<Value>, kCount>& words,
                      Value* value) {
  std::string all;
  for (const Word<Value>& word : words) {
    if (text == word.word) {
      *value = word.value;
      return {};
    }
    all.append(all.empty() ? "" : ", ").append(word.word);
  }
  return fmt::format("\"{}\" is not one of {}", Printable(text), all);
}

// Appends the names of "http/1.1,other" to `*alpn`: each of 1 to 255 bytes (RFC 7301 3.1).
std::string ParseAlpn(std::string_view text, std::vector<std::string>* alpn);

// Empty when every name of `alpn` is of a protocol that an HTTP/1.x server or client speaks (RFC
// 7301 6); else what is wrong. `who` is the setting that needs it: "root", "--mode request".
std::string CheckHttpAlpn(std::span<const std::string> alpn, std::string_view who);

// Empty when `text` may stand in a line of a protocol: no CR, LF, NUL or other control character.
std::string CheckOneLine(std::string_view text);

}  // namespace ktlsim::command
