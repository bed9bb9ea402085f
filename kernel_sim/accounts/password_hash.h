// PasswordHash: a password as a directory keeps it, Argon2id (RFC 9106) in the PHC text form:
//
//   $argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA...
//
// What a newcomer gets wrong: the text says how much memory and time a verification takes, and
// whoever wrote the directory said so. So both are bounded when it is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/accounts/secret_text.h"

namespace ktlsim::accounts {

struct PasswordCost {
  std::uint32_t memory_kib = 65536;
  std::uint32_t passes = 3;
  std::uint32_t lanes = 4;

  friend bool operator==(const PasswordCost&, const PasswordCost&) = default;
};

inline constexpr std::uint32_t kPasswordMemoryKibMax = 256 * 1024;
inline constexpr std::uint32_t kPasswordPassesMax = 16;
inline constexpr std::uint32_t kPasswordLanesMax = 16;
inline constexpr std::size_t kPasswordSaltBytesMin = 8;
inline constexpr std::size_t kPasswordSaltBytesMax = 64;
inline constexpr std::size_t kPasswordTagBytesMin = 16;
inline constexpr std::size_t kPasswordTagBytesMax = 64;
inline constexpr std::size_t kPasswordBytesMax = 1024;

enum class PasswordMatch : std::uint8_t { kRight, kWrong, kNoMemory };

class PasswordHash {
 public:
  // Nobody's: its salt and tag are zeros.
  PasswordHash() = default;
  // As expensive as a hash of this cost, and of no password that anybody knows if the bytes are
  // random ones: 16 of salt, then 32 of tag.
  PasswordHash(const PasswordCost& cost, std::span<const std::uint8_t, 48> bytes);

  // Null: *hash is what the text says. Otherwise why it is not taken, and *hash is unchanged.
  static const char* Parse(std::string_view text, PasswordHash* hash);
  // The hash of a password. `salt` has to be random. False: no memory.
  static bool Make(SecretText password, const PasswordCost& cost,
                   std::span<const std::uint8_t, 16> salt, PasswordHash* hash);

  std::string Text() const;
  const PasswordCost& cost() const { return cost_; }

  // Takes the memory and the time that the cost says, on this thread alone. The password is wiped.
  // Passive level.
  PasswordMatch Verify(SecretText password) const;

 private:
  // False: no memory.
  bool Compute(SecretText& password, std::span<std::uint8_t> tag) const;

  PasswordCost cost_;
  std::array<std::uint8_t, kPasswordSaltBytesMax> salt_{};
  std::array<std::uint8_t, kPasswordTagBytesMax> tag_{};
  std::size_t salt_bytes_ = 16;
  std::size_t tag_bytes_ = 32;
};

}  // namespace ktlsim::accounts
