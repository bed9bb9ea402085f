// EndpointCore: the SSL_CTX of an Endpoint and the callbacks OpenSSL makes on it. Handshakes
// share it, so that an endpoint may go away before them. Private to this module.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "kernel_sim/base/status.h"
#include "tls/handshake/endpoint.h"
#include "tls/handshake/local_certificates.h"
#include "tls/handshake/ssl_handles.h"

namespace ktlsim::tls {

struct HandshakeOptions;

class EndpointCore {
 public:
  explicit EndpointCore(EndpointOptions options) : options_(std::move(options)) {}
  EndpointCore(const EndpointCore&) = delete;
  EndpointCore& operator=(const EndpointCore&) = delete;

  // Builds the SSL_CTX. Once. May throw bad_alloc.
  Status Init();
  // What was wrong, by name, where Init knows. Empty: its status says everything.
  const std::string& message() const { return message_; }

  const EndpointOptions& options() const { return options_; }
  SSL_CTX* context() const { return context_.get(); }

  using IdContext = std::array<std::uint8_t, 32>;
  static_assert(sizeof(IdContext) <= SSL_MAX_SID_CTX_LENGTH);
  // The id context of sessions. A session is resumed only by an endpoint that would have judged the
  // peer in the same way, and by a server only under the name it was made for (RFC 6066 3) and with
  // the certificates for that name. Nothing else is in here, so that a new credential, for example
  // with another certificate for another name, continues the sessions of the one it replaces. May
  // throw bad_alloc.
  IdContext SessionIdContext(const HandshakeOptions& handshake,
                             std::string_view server_name = {}) const;
  std::string SessionKey(const HandshakeOptions& handshake) const;

  // Server: whether a handshake asks for a client's certificate.
  bool AsksForCertificate(const HandshakeOptions& handshake) const;

  // Server.
  bool makes_tickets() const { return options_.resumption && options_.tickets != 0; }

  const LocalCertificates& certificates() const { return certificates_; }

  // By options().clock_ms.
  std::int64_t NowMs() const;
  std::int64_t NowS() const { return NowMs() / 1000; }
  // Seconds since 1970 at which certificates are judged.
  std::int64_t VerificationTime() const;

  // TLS 1.2 sessions of clients that take no ticket (RFC 5246 7.4.1.3), by session ID.
  void StoreServerSession(SSL* ssl, SSL_SESSION* session);
  void RemoveServerSession(SSL_SESSION* session);
  // `session` as it is kept: a copy, since the connection may still change its own. Its session is
  // null when there was no memory or it cannot be resumed at all.
  ClientSession CopySession(SSL* ssl, const SSL_SESSION& session) const;

 private:
  Status SetSuites();
  Status SetGroups();
  Status LoadCertificates();
  Status SetTrust();
  Status TrustTheSystem();
  Status TrustPem();
  Status SetSessions();
  Status ComputeTrustIdentity(std::vector<std::array<std::uint8_t, 32>> trusted);

  EndpointOptions options_;
  std::string message_;
  SslCtxPtr context_;
  LocalCertificates certificates_;
  IdContext trust_identity_{};  // the trusted certificates, whatever their order or file
};

}  // namespace ktlsim::tls
