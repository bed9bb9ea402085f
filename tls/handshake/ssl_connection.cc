#include "tls/handshake/ssl_connection.h"

#include <arpa/inet.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/memory_watch.h"
#include "tls/handshake/endpoint_core.h"
#include "tls/handshake/resumption.h"

namespace ktlsim::tls {
namespace {

constexpr std::size_t kHostNameBytesMax = 255;  // RFC 6066 3

bool GoodAlpnWire(std::span<const std::uint8_t> wire) {
  if (wire.size() > UINT16_MAX) return false;
  while (!wire.empty()) {
    const std::size_t length = wire[0];
    if (length == 0 || length >= wire.size()) return false;
    wire = wire.subspan(1 + length);
  }
  return true;
}

bool IsAddress(const std::string& name) {
  in6_addr address{};
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

// For verification that only records the verdict.
int AcceptAnyCertificate(int ok, X509_STORE_CTX* context) {
  if (ok != 1) {
    const auto* ssl = static_cast<const SSL*>(
        X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    SslConnection::Of(ssl).NoteVerifyError(X509_STORE_CTX_get_error(context));
  }
  return 1;
}

}  // namespace

SslConnection::SslConnection(std::shared_ptr<EndpointCore> core, const HandshakeOptions& options)
    : core_(std::move(core)),
      options_(options),
      certificate_search_(options.stop_for_certificate ? CertificateSearch::kNamedIssuer
                                                       : CertificateSearch::kAnyIssuer) {}

// Before what its callbacks touch.
SslConnection::~SslConnection() { ssl_.reset(); }

std::unique_ptr<SslConnection> SslConnection::Create(std::shared_ptr<EndpointCore> core,
                                                     const HandshakeOptions& options) {
  try {
    std::unique_ptr<SslConnection> connection(new SslConnection(std::move(core), options));
    if (!connection->Init()) {
      ERR_clear_error();
      return nullptr;
    }
    return connection;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

SslConnection& SslConnection::Of(const SSL* ssl) {
  return *static_cast<SslConnection*>(SSL_get_app_data(ssl));
}

Role SslConnection::role() const { return core_->options().role; }

bool SslConnection::Init() {
  const MemoryWatch watch;
  ssl_.reset(SSL_new(core_->context()));
  BIO* bio = ssl_ != nullptr ? buffers_.NewBio() : nullptr;
  if (bio == nullptr) return false;
  SSL_set_bio(ssl_.get(), bio, bio);  // takes the reference, once for both directions
  // The callbacks find the connection there.
  if (SSL_set_app_data(ssl_.get(), this) != 1) return false;
  setup_failure_ = Configure();
  ERR_clear_error();
  return !watch.ran_out() && setup_failure_.category() != Category::kResource;
}

Status SslConnection::Configure() {
  if (!GoodAlpnWire(options_.alpn_wire)) {
    return {Category::kContract, 0, "the list of application protocols is malformed"};
  }
  session_key_ = core_->SessionKey(options_);
  ConfigureVerification();
  if (role() == Role::kClient) {
    SSL_set_connect_state(ssl_.get());
    return ConfigureClient();
  }
  SSL_set_accept_state(ssl_.get());
  const auto context = core_->SessionIdContext(options_);
  if (SSL_set_session_id_context(ssl_.get(), context.data(),
                                 static_cast<unsigned>(context.size())) != 1) {
    return ResourceError("no memory for a handshake");
  }
  return {};
}

void SslConnection::ConfigureVerification() {
  const PeerVerification verification = core_->options().verification;
  if (role() == Role::kClient) {
    if (verification == PeerVerification::kNone) return;
    SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER,
                   options_.verify_peer ? nullptr : &AcceptAnyCertificate);
    return;
  }
  const bool required =
      verification == PeerVerification::kRequired || options_.require_client_certificate;
  if (!core_->AsksForCertificate(options_)) return;
  const bool judge = options_.verify_peer && verification != PeerVerification::kNone;
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                 judge ? nullptr : &AcceptAnyCertificate);
}

Status SslConnection::ConfigureClient() {
  if (!options_.alpn_wire.empty() &&
      SSL_set_alpn_protos(ssl_.get(), options_.alpn_wire.data(),
                          static_cast<unsigned>(options_.alpn_wire.size())) != 0) {
    return ResourceError("no memory for a handshake");
  }
  std::string name = options_.target_name;
  if (name.size() > 1 && name.back() == '.') name.pop_back();  // RFC 6066 3: no trailing dot
  if (name.size() > kHostNameBytesMax || name.find('\0') != std::string::npos) {
    return {Category::kContract, 0, "the target name is no host name"};
  }
  if (!name.empty() && !SetTarget(std::move(name))) return ResourceError("no memory for a name");
  OfferSession();
  return {};
}

// The name or address is checked by these parameters and once more in peer_judgement.cc.
bool SslConnection::SetTarget(std::string name) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
  // Checked first, because OpenSSL takes an address for a name when it has no memory for it.
  if (IsAddress(name)) {
    server_address_ = std::move(name);
    return !options_.check_name ||
           X509_VERIFY_PARAM_set1_ip_asc(parameters, server_address_.c_str()) == 1;
  }
  server_name_ = std::move(name);
  X509_VERIFY_PARAM_set_hostflags(parameters, kHostFlags);
  return SSL_set_tlsext_host_name(ssl_.get(), server_name_.c_str()) == 1 &&
         (!options_.check_name ||
          X509_VERIFY_PARAM_set1_host(parameters, server_name_.data(), server_name_.size()) == 1);
}

void SslConnection::OfferSession() {
  if (!core_->options().resumption) return;
  auto stored = core_->options().client_sessions->Get(session_key_);
  if (!stored) return;
  if (JudgeResumption(*core_, ssl_.get(), *stored->session) != ResumptionVerdict::kGood) return;
  using SessionPtr = std::unique_ptr<SSL_SESSION, Deleter<&SSL_SESSION_free>>;
  const SessionPtr own(SSL_SESSION_dup(stored->session.get()));
  // A failure costs only a full handshake.
  if (own == nullptr || SSL_set_session(ssl_.get(), own.get()) != 1) return;
  offered_from_store_ = !stored->single_use;
}

bool SslConnection::ResumedInTime() {
  if (SSL_session_reused(ssl_.get()) != 1) return true;
  const ResumptionVerdict verdict =
      JudgeResumption(*core_, ssl_.get(), *SSL_get_session(ssl_.get()));
  if (verdict != ResumptionVerdict::kExpired) return true;
  NoteVerifyError(X509_V_ERR_CERT_HAS_EXPIRED);
  return !options_.verify_peer;
}

void SslConnection::ForgetOfferedSession() {
  if (offered_from_store_) core_->options().client_sessions->Remove(session_key_);
}

std::optional<AlertDescription> SslConnection::ChooseIdentity(std::string_view name) {
  if (hello_name_) {
    // After a HelloRetryRequest the client changes nothing of this kind (RFC 8446 4.1.2).
    if (*hello_name_ == name) return std::nullopt;
    return AlertDescription::kIllegalParameter;
  }
  hello_name_.emplace(name);
  switch (core_->certificates().ChooseForName(ssl_.get(), name)) {
    case LocalCertificates::Choice::kMade:
      break;
    case LocalCertificates::Choice::kNoneFits:
      return AlertDescription::kUnrecognizedName;
    case LocalCertificates::Choice::kFailed:
      return AlertDescription::kInternalError;
  }
  if (name.empty()) return std::nullopt;
  const auto context = core_->SessionIdContext(options_, name);
  if (SSL_set_session_id_context(ssl_.get(), context.data(),
                                 static_cast<unsigned>(context.size())) != 1) {
    return AlertDescription::kInternalError;
  }
  return std::nullopt;
}

const TicketKeyRing& SslConnection::ticket_keys() {
  if (ticket_keys_ == nullptr) ticket_keys_ = core_->options().ticket_keys->At(core_->NowS());
  return *ticket_keys_;
}

void SslConnection::MeetTicketKeys() {
  if (core_->makes_tickets() && ticket_keys().sealing() == nullptr) SetTicketCount();
}

bool SslConnection::FindSession() {
  const EndpointOptions& options = core_->options();
  return !options.resumption || search_.Find(ssl_.get(), *options.sessions);
}

// OpenSSL 3.0 sends a malformed TLS 1.3 ticket when there turns out to be no key for it.
void SslConnection::SetTicketCount() {
  const bool sends = resumable_ && core_->makes_tickets() &&
                     (ticket_keys_ == nullptr || ticket_keys_->sealing() != nullptr);
  SSL_set_num_tickets(ssl_.get(), sends ? core_->options().tickets : 0);
}

const LocalCertificates& SslConnection::certificates() const {
  return (supplied_ != nullptr ? supplied_ : core_)->certificates();
}

SslConnection::CertificateChoice SslConnection::ChooseCertificate() {
  using Choice = LocalCertificates::Choice;
  const bool any_issuer = certificate_search_ == CertificateSearch::kAnyIssuer;
  const bool search = certificate_search_ != CertificateSearch::kStopped;
  if (search) {
    const Choice choice = certificates().ChooseForRequest(ssl_.get(), any_issuer);
    certificate_chosen_ = choice == Choice::kMade;
    if (certificate_chosen_) return CertificateChoice::kGoesOn;
    if (choice == Choice::kFailed) {
      ran_out_of_memory_ = true;
      return CertificateChoice::kFails;
    }
  }
  SSL_certs_clear(ssl_.get());
  if (certificate_search_ != CertificateSearch::kNamedIssuer) return CertificateChoice::kGoesOn;
  certificate_search_ = CertificateSearch::kStopped;
  return CertificateChoice::kStops;
}

void SslConnection::SupplyCertificates(std::shared_ptr<EndpointCore> from) {
  supplied_ = std::move(from);
  AcceptAnyIssuer();
}

void SslConnection::AllowResumption(bool allow) {
  resumable_ = allow;
  const EndpointOptions& options = core_->options();
  if (role() == Role::kServer) {
    SetTicketCount();
  } else if (!allow && options.resumption) {
    options.client_sessions->Remove(session_key_);
  }
}

int SslConnection::DoHandshake() {
  ERR_clear_error();
  const MemoryWatch watch;
  ran_out_of_memory_ = false;
  // A warning after which the handshake went on is not the cause of its later end.
  received_alert_.reset();
  sent_alert_.reset();
  const std::size_t before = buffers_.output().size();
  const int returned = SSL_do_handshake(ssl_.get());
  const int code = SSL_get_error(ssl_.get(), returned);
  NoteMemory();
  // OpenSSL flushes whole records before it returns.
  counts_.NoteWritten(buffers_.output().subspan(before));
  return code;
}

void SslConnection::KeyLogLine(const char* line) {
  secrets_.Note(line);
  if (const KeyLog& log = core_->options().key_log; log.write != nullptr) {
    log.write(log.context, line);
  }
}

void SslConnection::NoteAlert(bool sent, Alert alert) {
  (sent ? sent_alert_ : received_alert_) = alert;
}

void SslConnection::NoteMemory() { ran_out_of_memory_ = ran_out_of_memory_ || errno == ENOMEM; }

void SslConnection::NoteVerifyError(int error) {
  if (verify_error_ == X509_V_OK) verify_error_ = error;
}

}  // namespace ktlsim::tls
