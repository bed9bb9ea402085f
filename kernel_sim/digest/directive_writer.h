// DirectiveWriter: writes a message of Digest into a buffer of the caller, without allocating.
//
// What a newcomer gets wrong: the length is known even where the buffer is too small, so that a
// caller can ask first (RFC 2831 and SSPI both bound the length of a message).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernel_sim/digest/fault.h"

namespace ktlsim::digest {

// What came of writing a message. With kNone it has `bytes` bytes; those are in the buffer if they
// fit, and otherwise the buffer holds nothing of use.
struct Written {
  Fault fault = Fault::kNone;
  std::size_t bytes = 0;
};

class DirectiveWriter {
 public:
  // `separator` stands between two directives: ", " in HTTP, "," in SASL.
  DirectiveWriter(std::span<char> room, std::string_view separator)
      : room_(room), separator_(separator) {}

  // `name`="`value`", with escapes where they are needed. A control character in the value is a
  // fault: it would end the header.
  void Quoted(std::string_view name, std::string_view value);
  // `name`=`value`. A value that is no token is a fault.
  void Token(std::string_view name, std::string_view value);
  // `name*`=UTF-8''`value` with the escapes of RFC 8187.
  void Extended(std::string_view name, std::string_view value);

  Written Finish() const { return {fault_, bytes_}; }

 private:
  void Begin(std::string_view name);
  void Put(std::string_view text);
  void Put(char c) { Put(std::string_view(&c, 1)); }

  const std::span<char> room_;
  const std::string_view separator_;
  std::size_t bytes_ = 0;
  Fault fault_ = Fault::kNone;
};

}  // namespace ktlsim::digest
