#include "tls/handshake/client_sessions.h"

#include <utility>

namespace ktlsim::tls {

void MemoryClientSessions::Put(std::string_view key, ClientSession session) noexcept {
  cache_.Put(key, std::move(session));
}

std::optional<ClientSession> MemoryClientSessions::Get(std::string_view key) noexcept {
  return cache_.Get(key);
}

void MemoryClientSessions::Remove(std::string_view key) noexcept { cache_.Remove(key); }

}  // namespace ktlsim::tls
