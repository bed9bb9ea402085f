// EndpointCore: the SSL_CTX behind an Endpoint and the callbacks OpenSSL makes on it. Handshakes
// share it, so that an endpoint may go away before them. Private to this module.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

#include "kernel_sim/base/status.h"
#include "tls/endpoint.h"
#include "tls/local_certificates.h"
#include "tls/openssl_handles.h"

namespace ktlsim::tls {

struct HandshakeOptions;

class EndpointCore {
 public:
  explicit EndpointCore(EndpointOptions options) : options_(std::move(options)) {}
  EndpointCore(const EndpointCore&) = delete;
  EndpointCore& operator=(const EndpointCore&) = delete;

  // Builds the SSL_CTX. Once.
  Status Init();

  const EndpointOptions& options() const { return options_; }
  SSL_CTX* context() const { return context_.get(); }

  using IdContext = std::array<std::uint8_t, 32>;
  static_assert(sizeof(IdContext) <= SSL_MAX_SID_CTX_LENGTH);
  // Sessions are resumed only where whoever accepts them would have judged the peer alike, and by a
  // server only under the name they were made for (RFC 6066 3).
  IdContext SessionIdContext(const HandshakeOptions& handshake,
                             std::string_view server_name = {}) const;
  std::string SessionKey(const HandshakeOptions& handshake) const;

  const LocalCertificates& certificates() const { return certificates_; }

  // Sessions of a server without tickets (TLS 1.2) are kept by session ID.
  bool keeps_sessions_by_id() const {
    return options_.role == Role::kServer && options_.resumption && options_.tickets == 0;
  }
  void StoreServerSession(SSL_SESSION* session);
  SSL_SESSION* LookUpServerSession(std::span<const std::uint8_t> id);
  void RemoveServerSession(SSL_SESSION* session);

  // The ring, refreshed after a rotation. The endpoint's thread only.
  const TicketKeyRing& ticket_ring();

 private:
  Status SetSuites();
  Status SetGroups();
  Status LoadCertificates();
  Status SetTrust();
  Status SetSessions();
  Status ComputeIdentity();
  std::string ServerSessionKey(std::span<const std::uint8_t> id) const;

  EndpointOptions options_;
  SslCtxPtr context_;
  LocalCertificates certificates_;
  IdContext identity_{};
  std::shared_ptr<const TicketKeyRing> ring_;
  std::uint64_t ring_generation_ = 0;
};

// `session` as a store keeps it: the connection may still change its own. Null: out of memory.
StoredSession CopySession(const SSL_SESSION& session);

}  // namespace ktlsim::tls
