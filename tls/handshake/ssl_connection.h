// SslConnection: one OpenSSL connection over flat buffers, and what its callbacks catch: secrets,
// alerts, the server name, sessions. Private to this module.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/status.h"
#include "tls/handshake/announced_lengths.h"
#include "tls/handshake/caught_secrets.h"
#include "tls/handshake/flat_buffers.h"
#include "tls/handshake/handshake.h"
#include "tls/handshake/record_counts.h"
#include "tls/handshake/session_search.h"
#include "tls/handshake/ssl_handles.h"
#include "tls/handshake/ticket_keys.h"
#include "tls/types.h"

namespace ktlsim::tls {

class EndpointCore;
class LocalCertificates;

class SslConnection {
 public:
  // For X509_check_host: "w*.example.org" matches nothing (RFC 6125 6.4.3).
  static constexpr unsigned kHostFlags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

  // nullptr: out of memory.
  static std::unique_ptr<SslConnection> Create(std::shared_ptr<EndpointCore> core,
                                               const HandshakeOptions& options);
  ~SslConnection();
  SslConnection(const SslConnection&) = delete;
  SslConnection& operator=(const SslConnection&) = delete;

  static SslConnection& Of(const SSL* ssl);

  SSL* ssl() const { return ssl_.get(); }
  EndpointCore& core() const { return *core_; }
  Role role() const;
  // Not ok: `options` cannot be used; the first step fails with it.
  Status setup_failure() const { return setup_failure_; }

  // What OpenSSL reads next, and what it has written.
  FlatBuffers& buffers() { return buffers_; }
  AnnouncedLengths& announced_lengths() { return announced_lengths_; }
  RecordCounts& counts() { return counts_; }
  const RecordCounts& counts() const { return counts_; }
  // Only a TLS 1.3 connection has them.
  CaughtSecrets& secrets() { return secrets_; }

  // Runs SSL_do_handshake and notes the records it wrote. Returns its SSL_get_error code.
  int DoHandshake();

  // Ends the connection so that its session stays resumable: SSL_free would otherwise take the
  // missing close_notify for an attack and mark the session.
  void MarkShutDown() { SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); }

  // Called from OpenSSL's callbacks.
  void KeyLogLine(const char* line);
  void NoteAlert(bool sent, Alert alert);
  void NoteVerifyError(int error);
  void NoteServerName(const char* name) { server_name_ = name; }
  // Server, for each ClientHello, with the name in it (empty: none). The alert that refuses it, or
  // nothing. May throw bad_alloc.
  std::optional<AlertDescription> ChooseIdentity(std::string_view name);
  // Server with tickets: the keys that count for this connection, the same from its ClientHello on.
  const TicketKeyRing& ticket_keys();
  // Server, for each ClientHello: without a key to seal with no ticket is sent.
  void MeetTicketKeys();
  // Server, for each ClientHello. False: the session that the client names is still looked for.
  bool FindSession();
  SessionSearch& search() { return search_; }
  // Client, when the server has asked for a certificate. kStops: none suits, and the handshake
  // stops until one of the next calls says how to go on. kFails: there is no memory.
  enum class CertificateChoice : std::uint8_t { kGoesOn, kStops, kFails };
  CertificateChoice ChooseCertificate();
  // A Certificate message without a certificate was sent. After a choice was made, OpenSSL had no
  // memory to see that the certificate suits: the peer must not take us for somebody without one.
  void NoteEmptyCertificate() { ran_out_of_memory_ = ran_out_of_memory_ || certificate_chosen_; }
  void NoteTicketStored() { ticket_stored_ = true; }

  // How to go on after ChooseCertificate has returned kStops.
  void SupplyCertificates(std::shared_ptr<EndpointCore> from);
  void AcceptAnyIssuer() { certificate_search_ = CertificateSearch::kAnyIssuer; }
  // Where the certificates of this connection come from.
  const LocalCertificates& certificates() const;

  // When the handshake is over: false if it is a resumption and the peer's certificate has expired
  // during it. A certificate that is sent would have been found expired, too.
  bool ResumedInTime();
  // Client, when the handshake has failed: the session that was offered is not offered again.
  void ForgetOfferedSession();

  void AllowResumption(bool allow);
  bool resumable() const { return resumable_; }

  const HandshakeOptions& options() const { return options_; }
  const std::string& session_key() const { return session_key_; }
  const std::string& server_name() const { return server_name_; }
  // Client: the target when it is an address, which is checked and not sent. Empty: it is a name.
  const std::string& server_address() const { return server_address_; }
  // From the newest DoHandshake.
  const std::optional<Alert>& received_alert() const { return received_alert_; }
  const std::optional<Alert>& sent_alert() const { return sent_alert_; }
  int verify_error() const { return verify_error_; }
  bool ticket_stored() const { return ticket_stored_; }
  // From a callback: OpenSSL sets errno to zero when it reads and writes.
  void NoteMemory();
  // Memory ran out in the newest DoHandshake. OpenSSL may then have skipped checks, whatever it
  // returned.
  bool ran_out_of_memory() const { return ran_out_of_memory_; }

 private:
  SslConnection(std::shared_ptr<EndpointCore> core, const HandshakeOptions& options);
  bool Init();
  Status Configure();
  Status ConfigureClient();
  void ConfigureVerification();
  bool SetTarget(std::string name);
  void OfferSession();
  // Server: what OpenSSL is to send after a full TLS 1.3 handshake.
  void SetTicketCount();

  // Client: which certificate the server gets once it asks for one.
  enum class CertificateSearch : std::uint8_t {
    kNamedIssuer,  // one from an issuer that the server names; with none the handshake stops
    kStopped,      // it has stopped, and no certificate was supplied since: go on without one
    kAnyIssuer,    // whatever suits, or none
  };

  const std::shared_ptr<EndpointCore> core_;
  const HandshakeOptions options_;
  FlatBuffers buffers_;
  SslPtr ssl_;
  Status setup_failure_;

  AnnouncedLengths announced_lengths_;
  RecordCounts counts_;
  CaughtSecrets secrets_;

  std::string session_key_;
  std::string server_name_;
  std::string server_address_;
  std::optional<std::string> hello_name_;             // in the first ClientHello
  std::shared_ptr<const TicketKeyRing> ticket_keys_;  // null: not needed yet
  SessionSearch search_;
  std::shared_ptr<EndpointCore> supplied_;
  CertificateSearch certificate_search_;
  bool resumable_ = true;
  bool offered_from_store_ = false;  // and the store still has it
  std::optional<Alert> received_alert_;
  std::optional<Alert> sent_alert_;
  int verify_error_ = 0;
  bool ticket_stored_ = false;
  bool ran_out_of_memory_ = false;
  bool certificate_chosen_ = false;  // a client's
};

}  // namespace ktlsim::tls
