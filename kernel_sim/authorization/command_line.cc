#include "kernel_sim/authorization/command_line.h"

#include <cstddef>
#include <utility>

namespace ktlsim::authorization {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  std::vector<std::string> Split() {
    while (at_ < line_.size()) TakeNext();
    EndArgument();
    return std::move(arguments_);
  }

 private:
  void TakeNext() {
    const char c = line_[at_];
    if (c == '\\') return TakeBackslashes();
    ++at_;
    if (c == '"') {
      quoted_ = !quoted_;
      begun_ = true;  // also "" is one
    } else if (IsBlank(c) && !quoted_) {
      EndArgument();
    } else {
      argument_.push_back(c);
      begun_ = true;
    }
  }

  void TakeBackslashes() {
    std::size_t count = 0;
    for (; at_ < line_.size() && line_[at_] == '\\'; ++at_) ++count;
    const bool before_quote = at_ < line_.size() && line_[at_] == '"';
    argument_.append(before_quote ? count / 2 : count, '\\');
    begun_ = true;
    if (!before_quote || count % 2 == 0) return;
    argument_.push_back('"');
    ++at_;
  }

  void EndArgument() {
    if (begun_) arguments_.push_back(std::exchange(argument_, {}));
    begun_ = false;
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::vector<std::string> arguments_;
  std::string argument_;
  bool begun_ = false;
  bool quoted_ = false;
};

}  // namespace

std::vector<std::string> SplitCommandLine(std::string_view line) { return Splitter(line).Split(); }

}  // namespace ktlsim::authorization
