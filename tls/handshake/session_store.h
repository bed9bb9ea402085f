// SessionStore: where resumable sessions wait for the next connection.
//
// Client: keyed by credential and target. Server: TLS 1.2 sessions of clients that take no ticket,
// keyed by session ID. Kept as libssl's objects, which wipe their secrets when they go, and not as
// bytes: decoding the peer's certificate once more costs several times what a resumption does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernel_sim/base/mutex.h"

struct ssl_session_st;  // SSL_SESSION

namespace ktlsim::tls {

struct StoredSession {
  // Never changed, and no reference is added: a connection that resumes it makes a copy, since
  // libssl writes to sessions under the lock of whichever SSL_CTX resumes them.
  std::shared_ptr<ssl_session_st> session;
  // Seconds since 1970; not found from then on.
  std::int64_t expires_at = 0;
  // TLS 1.3: a ticket is used for one connection only, else an observer links them (RFC 8446 C.4).
  bool single_use = false;
  // About how much memory it holds, for the store's bound.
  std::size_t bytes = 0;
};

// Any thread. Implementations neither throw nor block for long; a session may be lost at any time,
// which costs a full handshake and nothing else.
class SessionStore {
 public:
  virtual ~SessionStore() = default;
  virtual void Put(std::string_view key, StoredSession session) noexcept = 0;
  // The newest one alive; a single-use session leaves the store.
  virtual std::optional<StoredSession> Get(std::string_view key) noexcept = 0;
  virtual void Remove(std::string_view key) noexcept = 0;
};

// Bounded memory, in keys and in bytes, the peers' certificates included: the least recently used
// key leaves first, and within one key the oldest session.
class MemorySessionStore final : public SessionStore {
 public:
  struct Options {
    std::size_t keys_max = 20'000;
    std::size_t sessions_per_key_max = 4;
    std::size_t bytes_max = 64 << 20;
    std::int64_t (*now_s)() = nullptr;  // the system clock
  };
  MemorySessionStore() : MemorySessionStore(Options()) {}
  explicit MemorySessionStore(Options options);
  ~MemorySessionStore() override;

  void Put(std::string_view key, StoredSession session) noexcept override;
  std::optional<StoredSession> Get(std::string_view key) noexcept override;
  void Remove(std::string_view key) noexcept override;

  // Sessions held now, and their bytes.
  std::size_t size() const;
  std::size_t bytes() const;

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard;
  Shard& ShardOf(std::string_view key) const;
  std::int64_t Now() const;

  const Options options_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace ktlsim::tls
