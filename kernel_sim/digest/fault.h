// Fault: why a message of Digest is not taken, or cannot be written.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktlsim::digest {

enum class [[nodiscard]] Fault : std::uint8_t {
  kNone,
  kTooLong,           // more bytes than the message may have
  kTooMany,           // more directives, or realms, than are looked at
  kControlByte,       // NUL, CR, LF or another control character
  kSyntax,            // no list of name=value
  kUnterminated,      // a quoted string without its end
  kDuplicate,         // a directive twice
  kMissing,           // a directive that must be there
  kConflict,          // two directives that exclude each other
  kBadValue,          // a value that its directive cannot have
  kUnknownAlgorithm,  // an algorithm that is not computed here
  kUnknownQop,        // no quality of protection that is known here
  kNoMemory,
};

// In words that a log can show, such as "a directive twice"; "" for kNone.
std::string_view ToText(Fault fault);

}  // namespace ktlsim::digest
