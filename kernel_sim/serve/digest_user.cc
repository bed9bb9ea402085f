#include "kernel_sim/serve/digest_user.h"

#include <cstddef>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

bool IsBetween(char c) { return c == ' ' || c == '\t' || c == ','; }

// Takes parameter after parameter off the front of a field.
class Parameters {
 public:
  explicit Parameters(std::string_view rest) : rest_(rest) {}

  // False: there is none any more.
  bool Next() {
    while (!rest_.empty() && IsBetween(rest_.front())) rest_.remove_prefix(1);
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find_first_of("=, \t");
    name = rest_.substr(0, end);
    value.clear();
    if (end == std::string_view::npos) {
      rest_ = {};
      return true;
    }
    rest_.remove_prefix(end);
    SkipBlanks();
    if (rest_.empty() || rest_.front() != '=') return true;
    rest_.remove_prefix(1);
    SkipBlanks();
    TakeValue();
    return true;
  }

  std::string_view name;
  std::string value;

 private:
  void SkipBlanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
      rest_.remove_prefix(1);
    }
  }
  void TakeValue() {
    if (rest_.empty() || rest_.front() != '"') {
      value = rest_.substr(0, rest_.find_first_of(", \t"));
      rest_.remove_prefix(value.size());
      return;
    }
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
      value.push_back(rest_[at]);
    }
    rest_.remove_prefix(at < rest_.size() ? at + 1 : at);
  }

  std::string_view rest_;
};

}  // namespace

std::string ClaimedUser(std::string_view token) {
  Parameters parameters(token);
  while (parameters.Next()) {
    if (EqualsIgnoringCase(parameters.name, "username") ||
        EqualsIgnoringCase(parameters.name, "username*")) {
      return parameters.value;
    }
  }
  return {};
}

}  // namespace ktlsim::serve
