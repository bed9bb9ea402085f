// How deeply the tables and lists of a TOML text are nested, checked before it is parsed: the
// parser and its result need stack for each level, and a dotted key may have any number of parts.
#pragma once

#include <cstddef>
#include <string_view>

namespace ktlsim {

// Whatever is read here needs 2 of these: a list in a table of a list.
inline constexpr std::size_t kKeyPartsMax = 16;
inline constexpr std::size_t kNestingMax = 16;

// The line of the first key with more than kKeyPartsMax parts, or of the first bracket inside more
// than kNestingMax others; 0: there is none. A text that is not TOML may be judged either way, but
// deeper nesting never passes.
std::size_t LineTooDeep(std::string_view text);

}  // namespace ktlsim
