// Endpoint: what every handshake of one credential on one processor has in common. Building one
// parses certificates and fills tables: do it when the credential is made, not per connection.
//
// Any thread: several may make handshakes of one Endpoint at once. One Endpoint for each processor
// keeps them from contending for the counters inside OpenSSL's SSL_CTX.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/base/result.h"
#include "tls/handshake/client_sessions.h"
#include "tls/handshake/session_store.h"
#include "tls/handshake/ticket_keys.h"
#include "tls/identity/certificate.h"
#include "tls/record/aead.h"
#include "tls/record/record_protection.h"
#include "tls/types.h"

namespace ktlsim::tls {

enum class PeerVerification : std::uint8_t {
  kNone,         // client: accept any certificate. server: ask for none, judge none
  kOnRequest,    // server: ask when the handshake says so, check what comes. client: as kRequired
  kIfPresented,  // server: ask, accept none, check what comes. client: as kRequired
  kRequired,     // a certificate that fails ends the handshake, and so does a missing one
};

// A name for which a server presents a certificate, as the server's owner wrote it.
struct ServerName {
  std::string name;               // "www.example.org" or "*.example.org"
  std::uint32_t certificate = 0;  // its place in EndpointOptions::certificates
};

// Where the secrets of handshakes go, so that captured traffic can be decrypted. `write` gets a
// line of the NSS key log format without its end ("CLIENT_RANDOM ...", "SERVER_TRAFFIC_SECRET_0
// ..."); the line is wiped when `write` returns. It is called in the middle of a handshake, on its
// thread, possibly on several threads at once. It must not throw.
struct KeyLog {
  void (*write)(void* context, const char* line) = nullptr;  // null: nothing is recorded
  void* context = nullptr;  // outlives the endpoint and its handshakes
};

struct EndpointOptions {
  Role role = Role::kServer;
  VersionRange versions;
  // Any number, each with its private key. Server: chosen by the name the client asks for, then by
  // kind of key, the first of each kind. Without a name, or for an unknown one, the candidates are
  // the first certificate and those that share its first name. Client: the first that suits the
  // server's request.
  std::vector<Certificate::Ptr> certificates;
  // Server: these names take precedence over those that the certificates hold.
  std::vector<ServerName> server_names;
  // Server: unrecognized_name for a name that no certificate is for.
  bool strict_server_names = false;
  // X25519, P-256, P-384, P-521, X448, with ':' between them, in order of preference. Empty:
  // X25519, P-256, P-384, P-521. In TLS 1.2 the list also says which curves an ECDSA certificate
  // may be on (RFC 8422 5.1.1).
  std::string groups;
  // Names of either kind (types.h), ':' between them; their order is the preference. Empty:
  // AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305.
  std::string cipher_suites;
  // Server: tickets per full TLS 1.3 handshake, at most 16; 0 turns tickets off in 1.2, too.
  // TLS 1.2 clients that take no ticket resume by session ID either way.
  unsigned tickets = 1;
  bool resumption = true;
  PeerVerification verification = PeerVerification::kNone;
  // Certificates to trust; empty: those of the system.
  std::string trust_pem;
  // Seconds since 1970 at which certificates are judged, for tests; otherwise the clock below is
  // used.
  std::optional<std::int64_t> verification_time;
  // No session is resumed later than this after the full handshake it comes from, however often it
  // was renewed, nor after a certificate of the peer's chain has expired. 1 to kLifespanMsMax.
  static constexpr std::int64_t kLifespanMsMax =
      std::int64_t{7} * 24 * 3600 * 1000;  // RFC 8446 4.6.1
  std::int64_t session_lifespan_ms = std::int64_t{2} * 3600 * 1000;
  // Created here when absent. A server's: sessions in memory, random ticket keys.
  std::shared_ptr<SessionStore> sessions;
  std::shared_ptr<TicketKeys> ticket_keys;
  // A client's: in memory.
  std::shared_ptr<ClientSessions> client_sessions;
  // Milliseconds since 1970, by which sessions and ticket keys grow old; nullptr: the system clock.
  std::int64_t (*clock_ms)() = nullptr;
  KeyLog key_log;
  // Limits of the connections that the handshakes establish.
  RecordLimits record_limits;
  AeadFactory aead_factory = ChosenAead().factory;
};

class EndpointCore;

class Endpoint {
 public:
  // `message`, when given, gets the name of what failed: which certificate, suite or group. Empty:
  // the status says everything.
  static Result<std::shared_ptr<Endpoint>> Create(EndpointOptions options,
                                                  std::string* message = nullptr);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const EndpointOptions& options() const;
  Role role() const { return options().role; }

  // For this module.
  const std::shared_ptr<EndpointCore>& core() const { return core_; }

 private:
  explicit Endpoint(std::shared_ptr<EndpointCore> core);
  std::shared_ptr<EndpointCore> core_;
};

}  // namespace ktlsim::tls
