// Lexer: takes the elements of HTTP's grammar off the front of a text (RFC 9110 5.6).
//
// Private to digest/. The text has no control characters; its user has looked. Any level, no
// state but its place.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernel_sim/base/characters.h"

namespace ktlsim::digest {

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ == text_.size(); }
  std::size_t at() const { return at_; }
  // NUL at the end.
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }

  bool Take(char c) {
    if (Peek() != c || AtEnd()) return false;
    ++at_;
    return true;
  }
  // Whether there was any.
  bool SkipSpace() {
    const std::size_t start = at_;
    while (!AtEnd() && IsSpace(text_[at_])) ++at_;
    return at_ != start;
  }
  void SkipSpaceAndCommas() {
    while (SkipSpace() || Take(',')) {
    }
  }
  // Empty: there is none.
  std::string_view TakeToken() {
    const std::size_t start = at_;
    while (!AtEnd() && IsTokenCharacter(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }
  // What stands between the quotes, still with its escapes; `escapes` counts them. The opening
  // quote has been taken. False: the closing one is missing.
  bool TakeQuoted(std::string_view* raw, std::size_t* escapes) {
    const std::size_t start = at_;
    *escapes = 0;
    while (!AtEnd()) {
      const char c = text_[at_];
      if (c == '"') {
        *raw = text_.substr(start, at_ - start);
        ++at_;
        return true;
      }
      const std::size_t step = c == '\\' ? 2 : 1;
      if (step > text_.size() - at_) return false;
      *escapes += step - 1;
      at_ += step;
    }
    return false;
  }
  // For another try from a place where it has been.
  void ReturnTo(std::size_t at) { at_ = at; }

 private:
  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace ktlsim::digest
