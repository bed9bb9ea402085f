#include "kernel_sim/base/toml_depth.h"

#include <algorithm>

namespace ktlsim {
namespace {

// Goes through a text once. Characters in strings and comments do not count (TOML 1.0.0).
class DepthScanner {
 public:
  explicit DepthScanner(std::string_view text) : rest_(text) {}

  std::size_t LineTooDeep() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"' || c == '\'') {
        SkipString(c);
        continue;
      }
      if (c == '#') {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
        continue;
      }
      rest_.remove_prefix(1);
      if (!Count(c)) return line_;
    }
    return 0;
  }

 private:
  // A key stands on one line and ends before its value or the next key.
  bool Count(char c) {
    switch (c) {
      case '\n':
        ++line_;
        dots_ = 0;
        return true;
      case '=':
      case ',':
        dots_ = 0;
        return true;
      case '.':
        return ++dots_ < kKeyPartsMax;
      case '[':
      case '{':
        return ++open_ <= kNestingMax;
      case ']':
      case '}':
        if (open_ > 0) --open_;
        return true;
      default:
        return true;
    }
  }

  void SkipString(char quote) {
    const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
    const bool many_lines = rest_.starts_with(three);
    rest_.remove_prefix(many_lines ? 3 : 1);
    while (!rest_.empty()) {
      const char c = rest_.front();
      // Without its end the text is no TOML; the rest is checked nevertheless.
      if (c == '\n' && !many_lines) return;
      if (c == '\n') ++line_;
      if (c == '\\' && quote == '"') {
        rest_.remove_prefix(1);
        if (!rest_.empty() && rest_.front() != '\n') rest_.remove_prefix(1);
        continue;
      }
      if (many_lines ? rest_.starts_with(three) : c == quote) {
        rest_.remove_prefix(many_lines ? 3 : 1);
        // Up to two quotes may stand before the three that end it.
        while (many_lines && !rest_.empty() && rest_.front() == quote) rest_.remove_prefix(1);
        return;
      }
      rest_.remove_prefix(1);
    }
  }

  std::string_view rest_;
  std::size_t line_ = 1;
  std::size_t dots_ = 0;
  std::size_t open_ = 0;
};

}  // namespace

std::size_t LineTooDeep(std::string_view text) { return DepthScanner(text).LineTooDeep(); }

}  // namespace ktlsim
