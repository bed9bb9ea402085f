#include "tls/handshake/session_search.h"

#include <algorithm>
#include <utility>

#include <openssl/err.h>

namespace ktlsim::tls {
namespace {

using Bytes = std::span<const unsigned char>;

// The content of an extension in the ClientHello; empty also when there is none.
Bytes ExtensionIn(SSL* ssl, unsigned type) {
  const unsigned char* content = nullptr;
  std::size_t size = 0;
  return SSL_client_hello_get0_ext(ssl, type, &content, &size) == 1 ? Bytes(content, size)
                                                                    : Bytes();
}

// RFC 8446 4.2.1: a list of versions, of which ours wins.
bool WillBeTls13(SSL* ssl) {
  if (SSL_get_max_proto_version(ssl) < TLS1_3_VERSION) return false;
  const Bytes content = ExtensionIn(ssl, TLSEXT_TYPE_supported_versions);
  for (std::size_t i = 1; i + 1 < content.size(); i += 2) {
    if (content[i] == TLS1_3_VERSION >> 8 && content[i + 1] == (TLS1_3_VERSION & 0xff)) return true;
  }
  return false;
}

// OpenSSL looks at nothing else when there is a ticket, good or bad.
bool WillTakeTicket(SSL* ssl) {
  return (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0 &&
         !ExtensionIn(ssl, TLSEXT_TYPE_session_ticket).empty();
}

// The ID by which OpenSSL is going to ask for a session. Empty: it is not. In TLS 1.3 the field is
// filled with random bytes (RFC 8446 4.1.2).
Bytes IdAskedFor(SSL* ssl) {
  const unsigned char* id = nullptr;
  const std::size_t size = SSL_client_hello_get0_session_id(ssl, &id);
  return size == 0 || WillBeTls13(ssl) || WillTakeTicket(ssl) ? Bytes() : Bytes(id, size);
}

}  // namespace

bool SessionSearch::Find(SSL* ssl, SessionStore& store) {
  if (!begun_) {
    begun_ = true;
    const Bytes id = IdAskedFor(ssl);
    if (!id.empty()) look_up_ = store.Get(std::as_bytes(id));
  }
  return under_way() == nullptr;
}

SessionLookUp* SessionSearch::under_way() const {
  return look_up_ != nullptr && !look_up_->done() ? look_up_.get() : nullptr;
}

void SessionSearch::GiveUp() {
  if (look_up_ == nullptr) return;
  look_up_->GiveUp();
  look_up_.reset();
}

SSL_SESSION* SessionSearch::Take(Bytes id) {
  const std::shared_ptr<SessionLookUp> found = std::exchange(look_up_, nullptr);
  if (found == nullptr || !found->done() || found->session().empty()) return nullptr;
  const std::span<const std::byte> bytes = found->session();
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const end = at + bytes.size();
  ERR_set_mark();
  SSL_SESSION* const session = d2i_SSL_SESSION(nullptr, &at, static_cast<long>(bytes.size()));
  ERR_pop_to_mark();
  if (session == nullptr) return nullptr;
  unsigned size = 0;
  const unsigned char* const own = SSL_SESSION_get_id(session, &size);
  if (at == end && std::ranges::equal(Bytes(own, size), id)) return session;
  SSL_SESSION_free(session);
  return nullptr;
}

}  // namespace ktlsim::tls
