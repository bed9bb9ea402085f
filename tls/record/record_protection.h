// RecordProtection: what reader and writer have in common: one direction's key, its static IV, its
// sequence number, and how a nonce is made of them. It holds secrets and numbers only; the expanded
// key lives in the thread's cache (aead_key_cache.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tls/record/aead.h"
#include "tls/record/aead_engine.h"
#include "tls/record/aead_key_cache.h"
#include "tls/record/key_schedule.h"
#include "tls/types.h"

namespace ktlsim::tls {

// Bounds that a test may lower. The defaults are those of RFC 8446 5.5, or our own choice.
struct RecordLimits {
  // Records one AES-GCM key may seal, 2^24.5 (RFC 8446 5.5). TLS 1.3 updates the key before.
  std::uint64_t records_per_key = 23'726'566;
  // A key update is due from here on.
  std::uint64_t records_before_update = std::uint64_t{1} << 24;
  // Received in a row without a byte of application data between them.
  std::uint32_t empty_records = 32;
  std::uint32_t control_records = 128;
  // KeyUpdates in a row. Each costs two key derivations, one of them ours, and may request a
  // KeyUpdate in return.
  std::uint32_t key_updates = 32;
};

// How the handshake hands a direction over.
struct ProtectionState {
  const SuiteInfo* suite = nullptr;
  // TLS 1.3: the traffic secret; the keys are derived from it.
  Secret traffic_secret;
  // TLS 1.2: one side of the key block.
  TrafficKeys keys;
  // The next record's.
  std::uint64_t sequence_number = 0;
  // TLS 1.2 GCM, writing: the explicit nonce of the next record. It continues the handshake's: a
  // second start from the same value would repeat a nonce under one key.
  std::uint64_t explicit_nonce = 0;
  // What a record may carry: less where max_fragment_length was negotiated (RFC 6066 4).
  std::size_t fragment_bytes_max = kFragmentBytesMax;
  RecordLimits limits;
  AeadFactory aead_factory = ChosenAead().factory;
};

// Movable, not thread-safe, wiped when destroyed.
class RecordProtection {
 public:
  RecordProtection() = default;
  RecordProtection(RecordProtection&&) = default;
  RecordProtection& operator=(RecordProtection&&) = default;

  // False: out of memory, or `state` names no suite.
  [[nodiscard]] bool Init(ProtectionState state);
  // TLS 1.3: the next traffic secret (RFC 8446 7.2); the sequence number starts again at 0. False:
  // out of memory, nothing changed.
  [[nodiscard]] bool NextKey();
  // The same in two steps, for a caller that must not fail in between.
  struct Next {
    Secret traffic_secret;
    TrafficKeys keys;
  };
  [[nodiscard]] bool DeriveNext(Next& next) const;
  void Install(Next next);

  bool ready() const { return id_.value() != 0; }
  bool is_tls13() const { return suite_->version == Version::kTls13; }
  // TLS 1.2 AES-GCM records carry 8 bytes of nonce; ChaCha20-Poly1305 ones do not (RFC 7905 2).
  bool has_explicit_nonce() const { return explicit_nonce_in_record_; }
  const SuiteInfo& suite() const { return *suite_; }
  // The expanded key, in the calling thread's cache: use it before anything else happens. nullptr:
  // out of memory.
  Aead* aead() const;
  const RecordLimits& limits() const { return limits_; }
  std::size_t fragment_bytes_max() const { return fragment_bytes_max_; }
  std::uint64_t sequence_number() const { return sequence_number_; }

  // The record after the last one does not exist: sequence numbers never wrap (RFC 8446 5.3).
  bool exhausted() const { return sequence_number_ == UINT64_MAX; }
  void Advance() { ++sequence_number_; }
  // For tests that need a certain place in the sequence.
  void set_sequence_number(std::uint64_t value) { sequence_number_ = value; }

  using Nonce = std::array<std::uint8_t, kAeadNonceBytes>;
  // IV xor sequence number (RFC 8446 5.3, RFC 7905 2).
  Nonce ImplicitNonce() const;
  // Salt and explicit nonce (RFC 5288 3).
  Nonce ExplicitNonce(std::span<const std::byte, kExplicitNonceBytes> explicit_part) const;

  using Tls12Aad = std::array<std::uint8_t, 13>;
  // seq_num + type + version + plaintext length (RFC 5246 6.2.3.3).
  Tls12Aad MakeTls12Aad(ContentType type, std::size_t plaintext_bytes) const;

 private:
  [[nodiscard]] bool SetKeys(TrafficKeys keys);

  const SuiteInfo* suite_ = nullptr;
  AeadFactory aead_factory_ = nullptr;
  AeadKeyId id_;
  Secret key_;
  Secret iv_;  // kAeadNonceBytes
  Secret traffic_secret_;
  std::uint64_t sequence_number_ = 0;
  RecordLimits limits_;
  std::uint16_t fragment_bytes_max_ = kFragmentBytesMax;
  bool explicit_nonce_in_record_ = false;
};

}  // namespace ktlsim::tls
