// Handshake: one TLS handshake, bytes in, bytes and an outcome out. OpenSSL makes the handshake and
// nothing after it: TakeOver moves the connection to our own record layer.
//
// One thread at a time, the endpoint's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/result.h"
#include "tls/handshake/endpoint.h"
#include "tls/handshake/established.h"
#include "tls/identity/certificate.h"
#include "tls/types.h"

namespace ktlsim::tls {

struct HandshakeOptions {
  // Client: the name to send (SNI) and to check the certificate against. An IP literal is checked,
  // not sent. Empty: neither.
  std::string target_name;
  // ProtocolNameList of RFC 7301 3.1 without its outer length: len, bytes, len, bytes. Server: our
  // order wins, and a client that offers only others gets no_application_protocol.
  std::vector<std::uint8_t> alpn_wire;
  // Which connections may share sessions, beside the target: a client's credential; of a server,
  // what becomes of its clients.
  std::string resumption_key;
  // False: take part in certificate authentication but leave the judgement to the caller
  // (ConnectionFacts::verify_error).
  bool verify_peer = true;
  // Client: false: the name is sent, and the certificate need not be for it.
  bool check_name = true;
  // A certificate that is judged must be known not to be revoked. Nothing here can tell (no CRL, no
  // OCSP), so none passes.
  bool check_revocation = false;
  // Client: when the server asks for a certificate and none of the endpoint's suits, stop once with
  // kNeedsCertificate. False: go on with the endpoint's certificate, whatever issuers the server
  // names.
  bool stop_for_certificate = false;
  // Server: ask the client for a certificate even if the endpoint does not; and insist on one.
  bool request_client_certificate = false;
  bool require_client_certificate = false;
};

enum class StepOutcome : std::uint8_t {
  kContinue,     // send pending_output(), then more input is needed
  kEstablished,  // send pending_output() (perhaps empty), then TakeOver()
  kNeedMore,     // the first record is cut: nothing consumed, no state changed
  // Client: the server wants a certificate and none suits. SupplyCertificates or not, then Step.
  kNeedsCertificate,
  // Server: the session that a TLS 1.2 client names is being looked for (look_up). Step when it is
  // done, or after GiveUpLookUp.
  kWaitsForSession,
  kFailed,  // send pending_output() (an alert, perhaps), then give up
};

struct StepResult {
  StepOutcome outcome = StepOutcome::kFailed;
  std::size_t consumed = 0;
  std::size_t missing = 0;  // kNeedMore: at least so many bytes more
  Status failure;           // kFailed
  std::optional<Alert> received_alert;
  std::optional<Alert> sent_alert;
  // kFailed: we refused the peer's certificate, and this is why.
  CertificateFault certificate_fault = CertificateFault::kNone;
  // kFailed: what came is no TLS record (garbage, plain HTTP). Nothing was consumed or changed, and
  // Step may be called again with other input.
  bool not_tls = false;
};

class SslConnection;

class Handshake {
 public:
  // What a peer may send until the connection is established; more ends it with record_overflow.
  // The longest accepted chain is well below it, and so is an ordinary flight in records of one
  // byte.
  static constexpr std::size_t kBytesMax = 512 * 1024;

  // nullptr: out of memory. A malformed `alpn_wire` or `target_name` fails in the first Step.
  // `endpoint` may go away before the handshake does.
  static std::unique_ptr<Handshake> Create(Endpoint& endpoint, const HandshakeOptions& options);
  ~Handshake();
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  // Consumes every complete record in `input`, as long as the handshake lasts; what follows the
  // last handshake record is for the record layer. A client's first Step has empty input.
  // `input` is not modified and not referred to afterwards.
  StepResult Step(std::span<const std::byte> input);

  // How many bytes the first record of `input` still lacks before Step can judge it, as far as its
  // header says. 0: it is whole, or already wrong (too long, no TLS), which Step reports.
  static std::size_t MissingOfFirstRecord(std::span<const std::byte> input);

  // After kNeedsCertificate: the certificates of `endpoint` (a client's) are used instead, whatever
  // issuers the server names. Without it Step goes on without a certificate.
  void SupplyCertificates(const Endpoint& endpoint);
  // After kNeedsCertificate: what suits is sent whatever issuers the server names.
  void AcceptAnyIssuer();

  // After kWaitsForSession. Null: it is done by now, or was given up.
  SessionLookUp* look_up();
  // The handshake goes on as a full one.
  void GiveUpLookUp();

  // Whether the session of this connection may be resumed. Before TakeOver.
  void AllowResumption(bool allow);

  // Bytes for the peer; they stay until discarded.
  std::span<const std::byte> pending_output() const;
  void DiscardOutput(std::size_t bytes);

  // Once, after kEstablished. Output that is still pending must have been copied out before.
  // Fails only when memory does.
  Result<Established> TakeOver();

  bool established() const { return established_; }
  // Server: the name the client asked for, from the first flight on.
  const std::string& server_name() const;

 private:
  explicit Handshake(std::unique_ptr<SslConnection> ssl);
  StepResult TakeRecord(std::span<const std::byte> record);
  StepResult TakeHandshakeRecord(std::span<const std::byte> record);
  StepResult TakeFragment(std::span<const std::byte> like, std::span<const std::byte> fragment);
  StepResult RefuseLength();
  StepResult Advance(std::span<const std::byte> record);
  StepResult Failed(Status failure);

  std::unique_ptr<SslConnection> ssl_;
  std::string server_name_;  // once `ssl_` is gone
  Status failure_;
  CertificateFault certificate_fault_ = CertificateFault::kNone;  // with `failure_`
  std::size_t bytes_taken_ = 0;
  bool started_ = false;
  bool stopped_ = false;  // kNeedsCertificate or kWaitsForSession was returned
  bool received_record_ = false;
  bool established_ = false;
};

}  // namespace ktlsim::tls
