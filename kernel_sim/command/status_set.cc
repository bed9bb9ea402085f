#include "kernel_sim/command/status_set.h"

#include <algorithm>

#include <fmt/format.h>

#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

bool IsDigit(char c, char from, char to) { return c >= from && c <= to; }

// Adds "2xx" or "204".
bool AddOne(std::string_view text, StatusSet* set) {
  if (text.size() != 3 || !IsDigit(text[0], '1', '5')) return false;
  const auto digit = [text](std::size_t at) { return static_cast<unsigned>(text[at] - '0'); };
  const unsigned hundreds = 100 * digit(0);
  if (text.substr(1) == "xx") {
    set->Add(hundreds, hundreds + 99);
    return true;
  }
  if (!IsDigit(text[1], '0', '9') || !IsDigit(text[2], '0', '9')) return false;
  const unsigned status = hundreds + 10 * digit(1) + digit(2);
  set->Add(status, status);
  return true;
}

}  // namespace

StatusSet StatusSet::Default() {
  StatusSet set;
  set.Add(200, 399);
  return set;
}

void StatusSet::Add(unsigned from, unsigned to) {
  for (unsigned status = from; status <= to && status < statuses_.size(); ++status) {
    statuses_.set(status);
  }
}

std::string ParseStatuses(std::string_view text, StatusSet* set) {
  StatusSet parsed;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    if (!AddOne(text.substr(begin, comma - begin), &parsed)) {
      return fmt::format("\"{}\" is not a list of statuses: write one like 2xx or 200,404",
                         Printable(text));
    }
    begin = comma + 1;
  }
  *set = parsed;
  return {};
}

}  // namespace ktlsim::command
