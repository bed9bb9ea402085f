#include "kernel_sim/digest/fault.h"

namespace ktlsim::digest {

std::string_view ToText(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "";
    case Fault::kTooLong:
      return "the message is too long";
    case Fault::kTooMany:
      return "the message has too many directives";
    case Fault::kControlByte:
      return "a control character";
    case Fault::kSyntax:
      return "the message is no list of name=value";
    case Fault::kUnterminated:
      return "a quoted string has no end";
    case Fault::kDuplicate:
      return "a directive twice";
    case Fault::kMissing:
      return "a directive is missing";
    case Fault::kConflict:
      return "two directives exclude each other";
    case Fault::kBadValue:
      return "a directive has a value that it cannot have";
    case Fault::kUnknownAlgorithm:
      return "an unknown algorithm";
    case Fault::kUnknownQop:
      return "no known quality of protection";
    case Fault::kNoMemory:
      return "no memory";
  }
  return "";
}

}  // namespace ktlsim::digest
