#include "kernel_sim/accounts/password_hash.h"

#include <argon2.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/characters.h"

namespace ktlsim::accounts {
namespace {

constexpr std::string_view kPrefix = "$argon2id$v=19$";
constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Takes what stands before `end` off the front of *text, and `end` with it. Empty: no `end`.
std::string_view TakeUntil(std::string_view* text, char end) {
  const std::size_t at = text->find(end);
  if (at == std::string_view::npos) return {};
  const std::string_view taken = text->substr(0, at);
  text->remove_prefix(at + 1);
  return taken;
}

// "m=65536": the number behind the name. No sign and no zeros in front.
bool ReadParameter(std::string_view text, std::string_view name, std::uint32_t* number) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  return !text.starts_with('0') && ReadNumber(text, number) == std::errc();
}

bool ReadCost(std::string_view text, PasswordCost* cost) {
  const std::string_view memory = TakeUntil(&text, ',');
  const std::string_view passes = TakeUntil(&text, ',');
  return ReadParameter(memory, "m=", &cost->memory_kib) &&
         ReadParameter(passes, "t=", &cost->passes) && ReadParameter(text, "p=", &cost->lanes);
}

const char* JudgeCost(const PasswordCost& cost) {
  if (cost.lanes > kPasswordLanesMax) return "p, the lanes, is 1 to 16";
  if (cost.passes > kPasswordPassesMax) return "t, the passes, is 1 to 16";
  if (cost.memory_kib < 8 * cost.lanes || cost.memory_kib > kPasswordMemoryKibMax) {
    return "m, the memory in KiB, is 8 for each lane to 262144";
  }
  return nullptr;
}

// Base64 without padding (RFC 4648 4), as the PHC form has it. None: it is none, bits are left
// over, or there is no room.
std::optional<std::size_t> Decode(std::string_view text, std::span<std::uint8_t> out) {
  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t bytes = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    if (bytes == out.size()) return std::nullopt;
    count -= 8;
    out[bytes++] = static_cast<std::uint8_t>(bits >> count);
    bits &= (1U << count) - 1;
  }
  if (count >= 6 || bits != 0) return std::nullopt;
  return bytes;
}

void Encode(std::span<const std::uint8_t> bytes, std::string* out) {
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 6) {
      count -= 6;
      out->push_back(kDigits[(bits >> count) & 63]);
    }
  }
  if (count > 0) out->push_back(kDigits[(bits << (6 - count)) & 63]);
}

}  // namespace

PasswordHash::PasswordHash(const PasswordCost& cost, std::span<const std::uint8_t, 48> bytes)
    : cost_(cost) {
  std::ranges::copy(bytes.first(16), salt_.begin());
  std::ranges::copy(bytes.last(32), tag_.begin());
}

const char* PasswordHash::Parse(std::string_view text, PasswordHash* hash) {
  PasswordHash read;
  if (!text.starts_with(kPrefix)) return "it does not begin with $argon2id$v=19$";
  text.remove_prefix(kPrefix.size());
  if (!ReadCost(TakeUntil(&text, '$'), &read.cost_)) return "m=...,t=...,p=... does not follow";
  if (const char* const wrong = JudgeCost(read.cost_); wrong != nullptr) return wrong;
  const auto salt = Decode(TakeUntil(&text, '$'), read.salt_);
  if (!salt || *salt < kPasswordSaltBytesMin) return "the salt is not 8 to 64 bytes in base64";
  const auto tag = Decode(text, read.tag_);
  if (!tag || *tag < kPasswordTagBytesMin) return "the hash is not 16 to 64 bytes in base64";
  read.salt_bytes_ = *salt;
  read.tag_bytes_ = *tag;
  *hash = read;
  return nullptr;
}

bool PasswordHash::Make(SecretText password, const PasswordCost& cost,
                        std::span<const std::uint8_t, 16> salt, PasswordHash* hash) {
  PasswordHash made;
  made.cost_ = cost;
  std::ranges::copy(salt, made.salt_.begin());
  if (!made.Compute(password, std::span(made.tag_).first(made.tag_bytes_))) return false;
  *hash = made;
  return true;
}

std::string PasswordHash::Text() const {
  std::string text(kPrefix);
  text.append("m=").append(std::to_string(cost_.memory_kib));
  text.append(",t=").append(std::to_string(cost_.passes));
  text.append(",p=").append(std::to_string(cost_.lanes)).append("$");
  Encode(std::span(salt_).first(salt_bytes_), &text);
  text.append("$");
  Encode(std::span(tag_).first(tag_bytes_), &text);
  return text;
}

bool PasswordHash::Compute(SecretText& password, std::span<std::uint8_t> tag) const {
  std::array<std::uint8_t, kPasswordSaltBytesMax> salt = salt_;
  argon2_context context{};
  context.out = tag.data();
  context.outlen = static_cast<std::uint32_t>(tag.size());
  context.pwd = reinterpret_cast<std::uint8_t*>(password.bytes().data());
  context.pwdlen = static_cast<std::uint32_t>(password.bytes().size());
  context.salt = salt.data();
  context.saltlen = static_cast<std::uint32_t>(salt_bytes_);
  context.t_cost = cost_.passes;
  context.m_cost = cost_.memory_kib;
  context.lanes = cost_.lanes;
  // The library would start a thread for each lane.
  context.threads = 1;
  context.version = ARGON2_VERSION_13;
  context.flags = ARGON2_FLAG_CLEAR_PASSWORD;
  const bool good = argon2_ctx(&context, Argon2_id) == ARGON2_OK;
  password.Wipe();
  return good;
}

PasswordMatch PasswordHash::Verify(SecretText password) const {
  std::array<std::uint8_t, kPasswordTagBytesMax> tag{};
  const std::span<std::uint8_t> computed = std::span(tag).first(tag_bytes_);
  if (!Compute(password, computed)) return PasswordMatch::kNoMemory;
  const bool same = CRYPTO_memcmp(computed.data(), tag_.data(), tag_bytes_) == 0;
  OPENSSL_cleanse(tag.data(), tag.size());
  return same ? PasswordMatch::kRight : PasswordMatch::kWrong;
}

}  // namespace ktlsim::accounts
