// Short ways to SIDs, descriptors and tokens for the tests of security/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/security/sddl.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::security::test {

inline Sid SidOf(std::string_view text) {
  Sid sid;
  EXPECT_EQ(ParseSid(text, &sid), Fault::kNone) << text;
  return sid;
}

inline std::string TextOf(SidView sid) { return std::string(SidText(sid).view()); }

inline Sid Domain() { return SidOf("S-1-5-21-1-2-3"); }

inline Descriptor DescriptorOf(std::string_view text) {
  std::optional<Descriptor> descriptor;
  const SddlError error = ParseSddl(text, Domain(), &descriptor);
  EXPECT_EQ(error.fault, Fault::kNone) << text << ": " << error.position << ": " << error.what;
  return std::move(descriptor).value();
}

inline std::string TextOf(const DescriptorView& view, std::uint32_t information = 0xF) {
  std::string text;
  const Fault fault = FormatSddl(view, information, Domain(), &text);
  return fault == Fault::kNone ? text : "fault: " + std::string(ToText(fault));
}

// Of exactly these bytes, so that AddressSanitizer sees one that is read behind them.
inline std::vector<std::byte> CopyOf(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

inline TokenStateRef StateOf(const TokenContents& contents) {
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kNone);
  return token->state();
}

}  // namespace ktlsim::security::test
