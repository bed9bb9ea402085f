// "Did you mean ...?": the known name that a mistyped one looks like.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ktlsim::command {

// The name of `known` that differs from `name` in the fewest letters, if those are a third of the
// name at most, and not more than three. Empty: none does.
std::string SimilarName(std::string_view name, std::span<const std::string> known);

}  // namespace ktlsim::command
