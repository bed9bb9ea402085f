// TicketKeys: the keys that seal session tickets (RFC 5077 4, RFC 8446 4.6.1), shared by every
// endpoint of a server, by the credential that replaces it, and by several machines if their
// operator installs the same keys.
//
// New tickets use the current key. Keys made here change by time: each seals for as long as a
// session lives, an hour at least, and opens for a session's life after that, so that no ticket
// outlives its key; then it is wiped. There is no timer: a key that is due is replaced when a
// ticket is next made or opened.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/result.h"
#include "tls/record/secret.h"

namespace ktlsim::tls {

struct TicketKey {
  std::array<std::uint8_t, 16> name{};
  Secret encryption_key;  // AES-256-CBC
  Secret mac_key;         // HMAC-SHA-256, 32 bytes
};

struct TicketKeyRing {
  TicketKey current;
  TicketKey previous;
  bool has_previous = false;
};

// Any thread.
class TicketKeys {
 public:
  static constexpr std::int64_t kSealsForAtLeastS = 3600;

  // Starts with one random key.
  static Result<std::shared_ptr<TicketKeys>> Create();
  // A fresh random key becomes current, before its time.
  [[nodiscard]] Status Rotate();
  // `key` becomes current, for keys shared between machines. Both secrets are 32 bytes. From now on
  // only Install and Rotate change keys: a key made by time would be known to this machine alone.
  [[nodiscard]] Status Install(TicketKey key);

  // Sessions live for up to `lifespan_s`; the longest lifespan that was given counts.
  void Cover(std::int64_t lifespan_s);
  // The keys at `now_s`, seconds since 1970. Due changes are made first; if a new key cannot be
  // made, the old one stays and the next call tries again. One short lock for each ticket.
  std::shared_ptr<const TicketKeyRing> At(std::int64_t now_s) noexcept;

 private:
  static constexpr std::int64_t kUnknown = -1;

  TicketKeys() = default;
  Status Add(TicketKey key) KTLSIM_REQUIRES(mutex_);
  Status RotateLocked() KTLSIM_REQUIRES(mutex_);
  void DropPrevious() KTLSIM_REQUIRES(mutex_);

  Mutex mutex_;
  std::shared_ptr<const TicketKeyRing> ring_ KTLSIM_GUARDED_BY(mutex_);
  bool by_time_ KTLSIM_GUARDED_BY(mutex_) = true;
  std::int64_t lifespan_s_ KTLSIM_GUARDED_BY(mutex_) = 0;
  // When the current and the previous key became current and previous; kUnknown until a call brings
  // the time.
  std::int64_t current_since_s_ KTLSIM_GUARDED_BY(mutex_) = kUnknown;
  std::int64_t previous_since_s_ KTLSIM_GUARDED_BY(mutex_) = kUnknown;
};

}  // namespace ktlsim::tls
