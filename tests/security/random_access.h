// Random access checks, and the same check made of real descriptors and tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/security/access_check.h"
#include "tests/security/brute_force.h"

namespace ktlsim::security::test {

// What random cases may have.
struct RandomLimits {
  bool special = true;  // self, callbacks, labels, restrictions, privileges, types
  bool owner_rights = true;
  std::size_t aces_max = 8;
};

PlainCase RandomCase(std::uint64_t seed, const RandomLimits& limits);

// The SID that a number stands for.
Sid SidOfNumber(int number);

// A case as the code under test wants it.
class BuiltCase {
 public:
  explicit BuiltCase(const PlainCase& what);

  const DescriptorView& descriptor() const { return descriptor_->view(); }
  const TokenState& token() const { return *token_; }

  // A result for each type. Empty: the check refused.
  std::vector<PlainResult> Check();

 private:
  void BuildDescriptor(const PlainCase& what);
  void BuildToken(const PlainCase& what);

  const PlainCase what_;
  std::vector<Guid> guids_;
  std::optional<Descriptor> descriptor_;
  TokenStateRef token_;
};

// For a message about a case that failed.
std::string Describe(const PlainCase& what);

}  // namespace ktlsim::security::test
