// The keys of an audit trail: one for each line, each made from the one before, which is then gone.
//
//   key of line 0 = HKDF(the secret, the log's id, "ktlsim audit first")
//   key of line n+1 = HKDF-Expand(key of line n, "ktlsim audit next")
//
// and from each, by labels of their own, the key of the line's MAC and of the head's (RFC 5869,
// SHA-256). So whoever has the key of line n can make line n and all later ones, and none before.
//
// Any level, one thread at a time. Nothing but MacEngine::Create allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

struct evp_mac_ctx_st;

namespace ktlsim::audit {

inline constexpr std::size_t kSecretBytesMin = 32;
inline constexpr std::size_t kSecretBytesMax = 4096;

using LogId = std::array<std::byte, 16>;  // random, of one trail
using KeyId = std::array<std::byte, 16>;  // made of the secret: tells a wrong one at once
using Mac = std::array<std::byte, 32>;

// HMAC-SHA-256 (RFC 2104).
class MacEngine {
 public:
  // Null: no memory, or OpenSSL has no HMAC.
  static std::unique_ptr<MacEngine> Create();
  ~MacEngine();
  MacEngine(const MacEngine&) = delete;
  MacEngine& operator=(const MacEngine&) = delete;

  // Of `first` and then `second`. False: OpenSSL refuses.
  [[nodiscard]] bool Compute(std::span<const std::byte> key, std::span<const std::byte> first,
                             std::span<const std::byte> second, Mac* mac);
  // HKDF-Expand to 32 bytes.
  [[nodiscard]] bool Expand(std::span<const std::byte> key, std::string_view label, Mac* out);

 private:
  explicit MacEngine(evp_mac_ctx_st* context) : context_(context) {}

  evp_mac_ctx_st* const context_;
};

// The key of one line. Wiped when it is destroyed or replaced; a copy is as secret as itself.
class ChainKey {
 public:
  ChainKey() = default;
  ChainKey(const ChainKey&) = default;
  ChainKey& operator=(const ChainKey&) = default;
  ~ChainKey();

  // From the secret. False: OpenSSL refuses.
  [[nodiscard]] bool Derive(MacEngine& engine, std::span<const std::byte> secret, const LogId& log);
  // To the next line's; the old one is overwritten. False: OpenSSL refuses, nothing is changed.
  [[nodiscard]] bool Step(MacEngine& engine);

  [[nodiscard]] bool MacOfLine(MacEngine& engine, std::string_view body, Mac* mac) const;
  [[nodiscard]] bool MacOfHead(MacEngine& engine, std::span<const std::byte> head, Mac* mac) const;

  // For the head's file.
  std::span<const std::byte> bytes() const { return bytes_; }
  void Load(std::span<const std::byte, 32> bytes);

 private:
  [[nodiscard]] bool MacUnder(MacEngine& engine, std::string_view label,
                              std::span<const std::byte> content, Mac* mac) const;

  Mac bytes_{};
};

[[nodiscard]] bool IdOfSecret(MacEngine& engine, std::span<const std::byte> secret, KeyId* id);

// In constant time.
bool SameMac(const Mac& a, const Mac& b);

}  // namespace ktlsim::audit
