// TicketKeys: the keys that seal session tickets (RFC 5077 4, RFC 8446 4.6.1), shared by every
// endpoint of a server, and by several machines when their operator sets them.
//
// New tickets use the current key; the previous one still opens. Readers look at one atomic number
// and take the lock only after a rotation.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/result.h"
#include "tls/secret.h"

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
  // Starts with one random key.
  static Result<std::shared_ptr<TicketKeys>> Create();
  // A fresh random key becomes current.
  [[nodiscard]] Status Rotate();
  // `key` becomes current, for keys shared between machines. Both secrets are 32 bytes.
  [[nodiscard]] Status Install(TicketKey key);

  // Grows with every rotation; acquire, pairs with the release in Install.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  std::shared_ptr<const TicketKeyRing> Snapshot() const;

 private:
  TicketKeys() = default;
  mutable Mutex mutex_;
  std::shared_ptr<const TicketKeyRing> ring_ KTLSIM_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> generation_{0};
};

}  // namespace ktlsim::tls
