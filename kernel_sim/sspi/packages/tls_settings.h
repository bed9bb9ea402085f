// How each flag that a caller can pass is treated: none is silently ignored. The table in words,
// with the reasons, is in schannel.h; a test compares the two.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <span>

namespace ktlsim::sspi {

enum class Treatment : std::uint8_t {
  kHonoured,
  kHarmless,  // accepted: it asks for what holds anyway, or permits what is never used
  kRefused,   // with `status`
};

struct FlagRule {
  std::uint64_t flag;
  const char* name;
  Treatment treatment;
  SECURITY_STATUS status;
  const char* refusal;  // kRefused: the reason in words, a literal
};

std::span<const FlagRule> CredentialFlagRules();  // SCH_*, dwFlags
std::span<const FlagRule> InitializeFlagRules();  // ISC_REQ_*
std::span<const FlagRule> AcceptFlagRules();      // ASC_REQ_*
// SECBUFFER_*, input buffers of a leg that are not empty; those without a rule are not read.
std::span<const FlagRule> InputBufferRules();

// The first rule by which `flags` is refused, unknown bits included. Null: there is none.
const FlagRule* FindRefusal(std::span<const FlagRule> rules, std::uint64_t flags);

}  // namespace ktlsim::sspi
