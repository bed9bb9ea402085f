// "Did you mean ...?": the known name that a mistyped one looks like.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ktlsim::command {

// The name of `known` that differs from `name` in the fewest letters, if those are a third of the
// name at most, and not more than `letters_max`. Empty: none does.
std::string SimilarName(std::string_view name, std::span<const std::string> known,
                        std::size_t letters_max = 3);

}  // namespace ktlsim::command
