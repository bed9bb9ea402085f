#include "tls/handshake/handshake.h"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "kernel_sim/base/assert.h"
#include "tls/alert_text.h"
#include "tls/handshake/endpoint_core.h"
#include "tls/handshake/failure.h"
#include "tls/handshake/ssl_connection.h"
#include "tls/handshake/takeover.h"
#include "tls/identity/verify_error.h"

namespace ktlsim::tls {
namespace {

constexpr std::uint8_t kContentTypeFirst = 20;
constexpr std::uint8_t kContentTypeLast = 23;

// RFC 5246 6.2.3; OpenSSL refuses less than this where less is allowed.
constexpr std::size_t kHandshakeRecordLengthMax = kFragmentBytesMax + 2048;

std::uint8_t At(std::span<const std::byte> bytes, std::size_t index) {
  return std::to_integer<std::uint8_t>(bytes[index]);
}

// Judged byte by byte, so that garbage is refused before five bytes of it have come.
bool MayBeRecord(std::span<const std::byte> bytes) {
  return (bytes.empty() ||
          (At(bytes, 0) >= kContentTypeFirst && At(bytes, 0) <= kContentTypeLast)) &&
         (bytes.size() < 2 || At(bytes, 1) == 3);
}

const char* NotTlsText(std::span<const std::byte> bytes) {
  constexpr std::array<std::string_view, 9> kMethods = {"GET ", "POST", "HEAD", "PUT ", "DELE",
                                                        "OPTI", "CONN", "PATC", "HTTP"};
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const bool http = std::ranges::any_of(
      kMethods, [text](std::string_view method) { return text.starts_with(method); });
  return http ? "the peer sent plain HTTP" : "the peer does not speak TLS";
}

struct NextRecord {
  std::size_t bytes = 0;    // to hand to OpenSSL; 0: the record is cut
  std::size_t missing = 0;  // of a cut one
};

NextRecord FindRecord(std::span<const std::byte> input) {
  if (input.size() < kRecordHeaderBytes) return {0, kRecordHeaderBytes - input.size()};
  const std::size_t length = std::size_t{At(input, 3)} << 8 | At(input, 4);
  // A header that OpenSSL is bound to refuse goes in alone, so that we do not wait for what it
  // announces.
  if (At(input, 1) != 3 || length > kHandshakeRecordLengthMax) return {kRecordHeaderBytes, 0};
  const std::size_t bytes = kRecordHeaderBytes + length;
  if (input.size() < bytes) return {0, bytes - input.size()};
  return {bytes, 0};
}

}  // namespace

Handshake::Handshake(std::unique_ptr<SslConnection> ssl) : ssl_(std::move(ssl)) {}
Handshake::~Handshake() = default;

std::unique_ptr<Handshake> Handshake::Create(Endpoint& endpoint, const HandshakeOptions& options) {
  auto ssl = SslConnection::Create(endpoint.core(), options);
  if (ssl == nullptr) return nullptr;
  return std::unique_ptr<Handshake>(new (std::nothrow) Handshake(std::move(ssl)));
}

StepResult Handshake::Step(std::span<const std::byte> input) {
  StepResult result;
  if (established_) {
    result.outcome = StepOutcome::kEstablished;
    return result;
  }
  if (!failure_.ok()) return Failed(failure_);
  if (!ssl_->setup_failure().ok()) return Failed(ssl_->setup_failure());
  if (ssl_->role() == Role::kClient && !started_) {
    started_ = true;
    result = Advance({});
    SSL_free_buffers(ssl_->ssl());
    return result;
  }
  bool progress = false;
  if (stopped_) {
    stopped_ = false;
    result = Advance({});
    if (result.outcome != StepOutcome::kContinue) return result;
    progress = true;
  }
  while (true) {
    const std::span<const std::byte> rest = input.subspan(result.consumed);
    if (!received_record_ && !MayBeRecord(rest)) {
      result.failure = {Category::kTls, static_cast<int>(AlertDescription::kUnexpectedMessage),
                        NotTlsText(rest)};
      result.not_tls = true;
      return result;
    }
    const NextRecord next = FindRecord(rest);
    if (next.bytes == 0) {
      // Until the peer's next bytes OpenSSL's two record buffers, half of what it holds, are not
      // needed.
      if (progress) SSL_free_buffers(ssl_->ssl());
      result.outcome = progress ? StepOutcome::kContinue : StepOutcome::kNeedMore;
      result.missing = progress ? 0 : next.missing;
      return result;
    }
    received_record_ = true;
    const std::size_t consumed = result.consumed + next.bytes;
    result = TakeRecord(rest.first(next.bytes));
    result.consumed = consumed;
    if (result.outcome != StepOutcome::kContinue) return result;
    progress = true;
  }
}

std::size_t Handshake::MissingOfFirstRecord(std::span<const std::byte> input) {
  return MayBeRecord(input) ? FindRecord(input).missing : 0;
}

StepResult Handshake::TakeRecord(std::span<const std::byte> record) {
  bytes_taken_ += record.size();
  if (bytes_taken_ > kBytesMax) return RefuseLength();
  const auto type = static_cast<ContentType>(At(record, 0));
  ssl_->counts().NoteRead(type);
  // In TLS 1.2 only OpenSSL can read what follows change_cipher_spec; in TLS 1.3 that message has
  // no meaning, and a second ClientHello may follow it (RFC 8446 D.4).
  const bool readable =
      !ssl_->counts().change_cipher_spec_read() || SSL_version(ssl_->ssl()) == TLS1_3_VERSION;
  AnnouncedLengths& lengths = ssl_->announced_lengths();
  try {
    if (type == ContentType::kHandshake && readable) return TakeHandshakeRecord(record);
    if (type != ContentType::kAlert && !lengths.withheld().empty()) {
      // OpenSSL must see that this comes in the middle of a message.
      const StepResult result = TakeFragment(record, lengths.withheld());
      lengths.HandOver();
      if (result.outcome != StepOutcome::kContinue) return result;
    }
  } catch (const std::bad_alloc&) {
    return Failed(ResourceError("no memory for a handshake"));
  }
  return Advance(record);
}

// OpenSSL gets a message's header in one piece, and never a length that is not admissible: it would
// make room for all of it at once.
StepResult Handshake::TakeHandshakeRecord(std::span<const std::byte> record) {
  AnnouncedLengths& lengths = ssl_->announced_lengths();
  const std::span<const std::byte> fragment = record.subspan(kRecordHeaderBytes);
  const std::vector<std::byte> withheld(lengths.withheld().begin(), lengths.withheld().end());
  const bool handed_over = lengths.handed_over();
  const AnnouncedLengths::Finding found = lengths.Follow(fragment);
  if (found.verdict == AnnouncedLengths::Verdict::kGood && withheld.empty()) {
    return Advance(record);
  }
  const bool too_long = found.verdict == AnnouncedLengths::Verdict::kTooLong;
  StepResult result;
  result.outcome = StepOutcome::kContinue;
  // With nothing before it, the header in question is the one that was withheld.
  if (found.before != 0) {
    if (!withheld.empty()) result = TakeFragment(record, withheld);
    if (result.outcome != StepOutcome::kContinue) return result;
    result = TakeFragment(record, fragment.first(found.before));
    // The record does not come again, so nobody waits before the rest of it is refused.
    if (result.outcome == StepOutcome::kWaitsForSession && too_long) return RefuseLength();
    if (result.outcome != StepOutcome::kContinue) return result;
  }
  if (!too_long) return result;
  if (handed_over && found.before == 0) return RefuseLength();
  // OpenSSL itself refuses a length beyond anything that it accepts, under the current keys.
  const std::array refused = {lengths.message_type(), std::byte{0xff}, std::byte{0xff},
                              std::byte{0xff}};
  return TakeFragment(record, refused);
}

// Hands `fragment` to OpenSSL in a handshake record of the version that `like` has.
StepResult Handshake::TakeFragment(std::span<const std::byte> like,
                                   std::span<const std::byte> fragment) {
  std::vector<std::byte> record = {static_cast<std::byte>(ContentType::kHandshake), like[1],
                                   like[2], static_cast<std::byte>(fragment.size() >> 8),
                                   static_cast<std::byte>(fragment.size() & 0xff)};
  record.insert(record.end(), fragment.begin(), fragment.end());
  return Advance(record);
}

// Uses a record that OpenSSL is bound to refuse: only OpenSSL can seal an alert under the current
// keys.
StepResult Handshake::RefuseLength() {
  constexpr std::array kOverlong = {std::byte{23}, std::byte{3}, std::byte{3}, std::byte{0xff},
                                    std::byte{0xff}};
  StepResult result = Advance(kOverlong);
  if (result.failure.category() == Category::kResource) return result;
  failure_ = {Category::kTls, static_cast<int>(AlertDescription::kRecordOverflow),
              "the peer's handshake is longer than any that makes sense"};
  result.outcome = StepOutcome::kFailed;
  result.failure = failure_;
  return result;
}

StepResult Handshake::Advance(std::span<const std::byte> record) {
  ssl_->buffers().SetInput(record);
  const int code = ssl_->DoHandshake();
  const bool all_read = ssl_->buffers().input_left() == 0;
  ssl_->buffers().SetInput({});
  StepResult result;
  result.received_alert = ssl_->received_alert();
  result.sent_alert = ssl_->sent_alert();
  if (ssl_->ran_out_of_memory()) {
    // Half a flight is of no use to the peer.
    ssl_->buffers().DiscardOutput(ssl_->buffers().output().size());
    return Failed(ResourceError("no memory for a handshake"));
  }
  if (code == SSL_ERROR_NONE && all_read) {
    if (!ssl_->ResumedInTime()) {
      certificate_fault_ = CertificateFault::kOutOfDate;
      return Failed({Category::kTls, static_cast<int>(AlertDescription::kCertificateExpired),
                     VerifyErrorText(X509_V_ERR_CERT_HAS_EXPIRED)});
    }
    established_ = true;
    result.outcome = StepOutcome::kEstablished;
    return result;
  }
  if (code == SSL_ERROR_WANT_X509_LOOKUP && all_read) {
    stopped_ = true;
    result.outcome = StepOutcome::kNeedsCertificate;
    return result;
  }
  if (code == SSL_ERROR_WANT_CLIENT_HELLO_CB && all_read) {
    stopped_ = true;
    result.outcome = StepOutcome::kWaitsForSession;
    return result;
  }
  // A refused header was handed over alone (FindRecord): OpenSSL must not wait for its record.
  const bool refused_header =
      record.size() == kRecordHeaderBytes && (At(record, 3) != 0 || At(record, 4) != 0);
  if (code == SSL_ERROR_WANT_READ && all_read && !refused_header) {
    result.outcome = StepOutcome::kContinue;
    return result;
  }
  if (code == SSL_ERROR_ZERO_RETURN) {
    return Failed({Category::kTls, static_cast<int>(AlertDescription::kCloseNotify),
                   ReceivedAlertText(AlertDescription::kCloseNotify, ssl_->role())});
  }
  if (ssl_->role() == Role::kServer && ssl_->core().options().certificates.empty()) {
    return Failed({Category::kTls, static_cast<int>(AlertDescription::kHandshakeFailure),
                   "we have no certificate for this handshake"});
  }
  const int verify_error = static_cast<int>(SSL_get_verify_result(ssl_->ssl()));
  const Status failure =
      DrainFailure(ssl_->role(), ssl_->received_alert(), ssl_->sent_alert(), verify_error);
  const bool ours = ssl_->sent_alert() && !ssl_->received_alert() && ssl_->options().verify_peer;
  // A shortage of memory says nothing about a certificate.
  if (ours && failure.category() != Category::kResource) {
    certificate_fault_ = CertificateFaultOf(verify_error);
  }
  return Failed(failure);
}

void Handshake::SupplyCertificates(const Endpoint& endpoint) {
  ssl_->SupplyCertificates(endpoint.core());
}

void Handshake::AcceptAnyIssuer() { ssl_->AcceptAnyIssuer(); }

SessionLookUp* Handshake::look_up() { return ssl_->search().under_way(); }

void Handshake::GiveUpLookUp() { ssl_->search().GiveUp(); }

void Handshake::AllowResumption(bool allow) { ssl_->AllowResumption(allow); }

StepResult Handshake::Failed(Status failure) {
  ERR_clear_error();
  ssl_->ForgetOfferedSession();
  SSL_free_buffers(ssl_->ssl());
  failure_ = failure;
  StepResult result;
  result.outcome = StepOutcome::kFailed;
  result.failure = failure;
  result.received_alert = ssl_->received_alert();
  result.sent_alert = ssl_->sent_alert();
  result.certificate_fault = certificate_fault_;
  return result;
}

std::span<const std::byte> Handshake::pending_output() const {
  return ssl_ != nullptr ? ssl_->buffers().output() : std::span<const std::byte>();
}

void Handshake::DiscardOutput(std::size_t bytes) {
  if (ssl_ != nullptr) ssl_->buffers().DiscardOutput(bytes);
}

Result<Established> Handshake::TakeOver() {
  KTLSIM_CHECK(established_);
  KTLSIM_CHECK(ssl_ != nullptr);
  try {
    server_name_ = ssl_->server_name();
    return TakeOverConnection(std::move(ssl_));
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory to take a connection over");
  }
}

const std::string& Handshake::server_name() const {
  return ssl_ != nullptr ? ssl_->server_name() : server_name_;
}

}  // namespace ktlsim::tls
