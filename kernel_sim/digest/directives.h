// Directives: the list of name=value that every message of Digest is (RFC 9110 5.6.1, RFC 2831 7).
//
// What a newcomer gets wrong: a value in quotes may have escapes. Hashes cover the value without
// quotes and escapes, and so does everything here: a value is the text that was meant.
//
// Hostile input is the rule: everything is bounded, nothing is copied but what had escapes, and a
// message is taken whole or not at all. Any level, no locks; one thread at a time for each object.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "kernel_sim/digest/fault.h"

namespace ktlsim::digest {

inline constexpr std::size_t kMessageBytesMax = 65536;
inline constexpr std::size_t kDirectivesMax = 32;

// Where the values stand that are not in the message as they were meant. It is allocated with the
// first of them, and may be moved: views into it stay valid.
class ValueRoom {
 public:
  // Room for `bytes`, out of `total` that are ever asked for. Null: no memory.
  char* Take(std::size_t bytes, std::size_t total);

 private:
  std::unique_ptr<char[]> room_;
  std::size_t used_ = 0;
};

struct Directive {
  std::string_view name;   // a token; upper and lower case are the same
  std::string_view value;  // without quotes and escapes
};

// The directives of one message. Values view the message or the room.
class DirectiveList {
 public:
  // Reads all of `text`, which may have `bytes_max` bytes. Empty elements of the list are skipped,
  // as RFC 9110 5.6.1.2 asks. A name occurs once, be it known or not, save `repeatable`.
  Fault Parse(std::string_view text, std::size_t bytes_max, std::string_view repeatable = {});

  std::span<const Directive> all() const { return std::span(directives_).first(count_); }
  // The first of this name; null: there is none.
  const Directive* Find(std::string_view name) const;
  // The value of `name`, "" if it is not there.
  std::string_view ValueOf(std::string_view name) const;
  // kMissing: it is not there, or empty.
  Fault Require(std::string_view name, std::string_view* value) const;

  // Room for a value that its reader decodes once more. Null: no memory.
  char* TakeRoom(std::size_t bytes);
  // What the values may view besides the message, for the object that keeps them.
  ValueRoom ReleaseRoom() { return std::move(room_); }

 private:
  friend class DirectiveReader;

  bool Append(const Directive& directive);

  std::array<Directive, kDirectivesMax> directives_;
  std::size_t count_ = 0;
  std::size_t text_bytes_ = 0;
  ValueRoom room_;
};

// The parameters that follow the scheme's name, as in "Digest realm=...". A text without that name
// is returned as it is: SSPI hands over the parameters alone.
std::string_view WithoutScheme(std::string_view text);

// Calls `take` with each element of a list such as "auth, auth-int", without the space around it
// and without empty elements.
template <typename Take>
void ForEachElement(std::string_view list, const Take& take) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) {
      element.remove_prefix(1);
    }
    while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) {
      element.remove_suffix(1);
    }
    if (!element.empty()) take(element);
  }
}

}  // namespace ktlsim::digest
