// TicketKeys: the keys that seal session tickets (RFC 5077 4, RFC 8446 4.6.1), shared by every
// endpoint of a server and by the credential that replaces it. OwnTicketKeys are made here and
// change by time; SharedTicketKeys (shared_ticket_keys.h) come from elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/result.h"
#include "tls/record/secret.h"

namespace ktlsim::tls {

struct TicketKey {
  static constexpr std::size_t kNameBytes = 16;
  static constexpr std::size_t kSecretBytes = 32;  // of each of the two

  // A random one. False: OpenSSL has no random bytes.
  [[nodiscard]] bool Draw();

  std::array<std::uint8_t, kNameBytes> name{};
  Secret encryption_key;  // AES-256-CBC
  Secret mac_key;         // HMAC-SHA-256
};

// The keys that count at one moment. Never changed.
struct TicketKeyRing {
  std::vector<TicketKey> keys;  // each of them opens
  bool seals = true;            // the first one seals; false: none does

  // Null: no ticket can be made.
  const TicketKey* sealing() const { return seals && !keys.empty() ? keys.data() : nullptr; }
  // By the name in a ticket, of TicketKey::kNameBytes. Null: none of these.
  const TicketKey* Find(std::span<const std::uint8_t> name) const;
};

// Any thread, any level; nothing waits, beyond a short lock.
class TicketKeys {
 public:
  virtual ~TicketKeys() = default;
  // Sessions live for up to `lifespan_s`; the longest lifespan that was given counts.
  virtual void Cover(std::int64_t lifespan_s) = 0;
  // The keys at `now_s`, seconds since 1970; never null. A handshake asks once.
  virtual std::shared_ptr<const TicketKeyRing> At(std::int64_t now_s) noexcept = 0;
};

// New tickets use the current key. Keys change by time: each seals for as long as a session lives,
// an hour at least, and opens for a session's life after that, so that no ticket outlives its key;
// then it is wiped. There is no timer: a key that is due is replaced when a ticket is next made or
// opened. If a new key cannot be made, the old one stays and the next call tries again.
class OwnTicketKeys final : public TicketKeys {
 public:
  static constexpr std::int64_t kSealsForAtLeastS = 3600;

  // Starts with one random key.
  static Result<std::shared_ptr<OwnTicketKeys>> Create();
  // A fresh random key becomes current, before its time.
  [[nodiscard]] Status Rotate();

  void Cover(std::int64_t lifespan_s) override;
  std::shared_ptr<const TicketKeyRing> At(std::int64_t now_s) noexcept override;

 private:
  static constexpr std::int64_t kUnknown = -1;

  OwnTicketKeys() = default;
  Status RotateLocked() KTLSIM_REQUIRES(mutex_);
  void DropPrevious() KTLSIM_REQUIRES(mutex_);

  Mutex mutex_;
  // The current key, and the one before it, if any.
  std::shared_ptr<const TicketKeyRing> ring_ KTLSIM_GUARDED_BY(mutex_);
  std::int64_t lifespan_s_ KTLSIM_GUARDED_BY(mutex_) = 0;
  // When the current and the previous key became current and previous; kUnknown until a call brings
  // the time.
  std::int64_t current_since_s_ KTLSIM_GUARDED_BY(mutex_) = kUnknown;
  std::int64_t previous_since_s_ KTLSIM_GUARDED_BY(mutex_) = kUnknown;
};

}  // namespace ktlsim::tls
