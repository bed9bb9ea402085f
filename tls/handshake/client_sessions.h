// ClientSessions: where a client's sessions wait for its next connection to the same server, keyed
// by credential and target.
//
// Kept as libssl's objects, which wipe their secrets when they go, and not as bytes as a server's
// are (session_store.h): decoding the peer's certificate once more costs several times what a
// resumption does, and no other machine wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tls/handshake/session_cache.h"

struct ssl_session_st;  // SSL_SESSION

namespace ktlsim::tls {

struct ClientSession {
  // Never changed, and no reference is added: a connection that resumes it makes a copy, since
  // libssl writes to sessions under the lock of whichever SSL_CTX resumes them.
  std::shared_ptr<ssl_session_st> session;
  // Seconds since 1970; not found from then on.
  std::int64_t expires_at = 0;
  // TLS 1.3: a ticket is used for one connection only, else an observer links them (RFC 8446 C.4).
  bool single_use = false;
  // About how much memory it holds, for the bound.
  std::size_t bytes = 0;
};

// Any thread. Implementations neither throw nor block for long; a session may be lost at any time,
// which costs a full handshake and nothing else.
class ClientSessions {
 public:
  virtual ~ClientSessions() = default;
  virtual void Put(std::string_view key, ClientSession session) noexcept = 0;
  // The newest one alive; a single-use session leaves.
  virtual std::optional<ClientSession> Get(std::string_view key) noexcept = 0;
  virtual void Remove(std::string_view key) noexcept = 0;
};

// Bounded memory, in keys and in bytes, the peers' certificates included.
class MemoryClientSessions final : public ClientSessions {
 public:
  using Options = SessionCacheOptions;
  MemoryClientSessions() : MemoryClientSessions(Options()) {}
  explicit MemoryClientSessions(const Options& options) : cache_(options) {}

  void Put(std::string_view key, ClientSession session) noexcept override;
  std::optional<ClientSession> Get(std::string_view key) noexcept override;
  void Remove(std::string_view key) noexcept override;

  // Sessions held now, and their bytes.
  std::size_t size() const { return cache_.size(); }
  std::size_t bytes() const { return cache_.bytes(); }

 private:
  SessionCache<ClientSession> cache_;
};

}  // namespace ktlsim::tls
