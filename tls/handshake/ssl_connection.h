// SslConnection: one OpenSSL connection over flat buffers, and what its callbacks catch: secrets,
// alerts, the server name, sessions. Private to this module.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/status.h"
#include "tls/handshake/announced_lengths.h"
#include "tls/handshake/handshake.h"
#include "tls/handshake/ssl_handles.h"
#include "tls/record/secret.h"
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

  // What OpenSSL reads next; borrowed until the call that reads it has returned.
  void SetInput(std::span<const std::byte> input) { input_ = input; }
  std::size_t input_left() const { return input_.size(); }
  AnnouncedLengths& announced_lengths() { return announced_lengths_; }
  // A record of `type` is about to be read.
  void NoteRecordRead(ContentType type) { records_read_.Note(type); }
  // A change_cipher_spec came: in TLS 1.2 what follows it is protected.
  bool change_cipher_spec_received() const { return records_read_.change_seen; }

  std::span<const std::byte> output() const { return std::span(output_).subspan(output_start_); }
  void DiscardOutput(std::size_t bytes);

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
  // Client, when the server has asked for a certificate. False: none suits, and the handshake stops
  // until one of the next calls says how to go on.
  bool ChooseCertificate();
  void NoteTicketStored() { ticket_stored_ = true; }

  // How to go on after ChooseCertificate has returned false.
  void SupplyCertificates(std::shared_ptr<EndpointCore> from);
  void AcceptAnyIssuer() { any_issuer_ = true; }
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

  Secret& client_traffic_secret() { return client_traffic_secret_; }
  Secret& server_traffic_secret() { return server_traffic_secret_; }
  Secret& exporter_secret() { return exporter_secret_; }
  // Records written by the newest DoHandshake.
  std::uint64_t records_in_last_call() const { return records_in_last_call_; }
  // TLS 1.2: how many records each direction has carried under its keys, Finished among them: one
  // as a rule, but a message may be cut into records anywhere (RFC 5246 6.2.1).
  std::uint64_t records_read_since_change() const { return records_read_.since_change; }
  std::uint64_t records_written_since_change() const { return records_written_.since_change; }
  // TLS 1.2: the explicit nonce of the newest record we sent.
  std::uint64_t last_explicit_nonce() const { return last_explicit_nonce_; }

 private:
  SslConnection(std::shared_ptr<EndpointCore> core, const HandshakeOptions& options);
  bool Init();
  Status Configure();
  Status ConfigureClient();
  void ConfigureVerification();
  bool SetTarget(std::string name);
  void OfferSession();
  void ScanOutput(std::size_t from);

  struct RecordCount {
    bool change_seen = false;
    std::uint64_t since_change = 0;

    void Note(ContentType type) {
      const bool change = type == ContentType::kChangeCipherSpec;
      change_seen = change_seen || change;
      since_change = change ? 0 : since_change + 1;
    }
  };

  static const BIO_METHOD* FlatBufferMethod();
  static int BioRead(BIO* bio, char* out, int size);
  static int BioWrite(BIO* bio, const char* data, int size);
  static long BioControl(BIO* bio, int command, long number, void* pointer);

  const std::shared_ptr<EndpointCore> core_;
  const HandshakeOptions options_;
  SslPtr ssl_;
  Status setup_failure_;

  std::span<const std::byte> input_;
  AnnouncedLengths announced_lengths_;
  std::vector<std::byte> output_;
  std::size_t output_start_ = 0;

  std::string session_key_;
  std::string server_name_;
  std::string server_address_;
  std::optional<std::string> hello_name_;  // in the first ClientHello
  std::shared_ptr<EndpointCore> supplied_;
  bool any_issuer_ = false;
  bool stopped_for_certificate_ = false;
  bool resumable_ = true;
  bool offered_from_store_ = false;  // and the store still has it
  std::optional<Alert> received_alert_;
  std::optional<Alert> sent_alert_;
  int verify_error_ = 0;
  bool ticket_stored_ = false;
  bool ran_out_of_memory_ = false;

  Secret client_traffic_secret_;
  Secret server_traffic_secret_;
  Secret exporter_secret_;
  std::uint64_t records_in_last_call_ = 0;
  std::uint64_t last_explicit_nonce_ = 0;
  RecordCount records_read_;
  RecordCount records_written_;
};

}  // namespace ktlsim::tls
