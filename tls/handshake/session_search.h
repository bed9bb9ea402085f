// SessionSearch: a server's look-up of the TLS 1.2 session that a client names, from the
// ClientHello on, when it can still wait, to the moment in which OpenSSL asks for it, when it
// cannot. Private to this module.
//
// The thread of its handshake.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <openssl/ssl.h>

#include "tls/handshake/session_store.h"

namespace ktlsim::tls {

class SessionSearch {
 public:
  SessionSearch() = default;
  ~SessionSearch() { GiveUp(); }
  SessionSearch(const SessionSearch&) = delete;
  SessionSearch& operator=(const SessionSearch&) = delete;

  // In the ClientHello callback, once or several times. False: the store does not know yet.
  bool Find(SSL* ssl, SessionStore& store);
  // Not over yet. Null: there is none.
  SessionLookUp* under_way() const;
  // Goes on without a session.
  void GiveUp();

  // The session that was found, for OpenSSL's question; the caller owns it. Null: there is none
  // with this ID.
  SSL_SESSION* Take(std::span<const unsigned char> id);

 private:
  std::shared_ptr<SessionLookUp> look_up_;
  bool begun_ = false;
};

}  // namespace ktlsim::tls
