#include "tls/handshake/post_handshake.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/handshake/ssl_connection.h"
#include "tls/record/record_writer.h"

namespace ktlsim::tls {
namespace {

using Outcome = PostHandshakeResult::Outcome;

constexpr std::size_t kMessageHeaderBytes = 4;  // msg_type and a length of 24 bits

// RFC 8446 4, RFC 5246 7.4.
enum MessageType : std::uint8_t {
  kHelloRequest = 0,
  kClientHello = 1,
  kNewSessionTicket = 4,
  kKeyUpdate = 24,
};

std::size_t MessageBytes(std::span<const std::byte> header) {
  return kMessageHeaderBytes + (std::to_integer<std::size_t>(header[1]) << 16 |
                                std::to_integer<std::size_t>(header[2]) << 8 |
                                std::to_integer<std::size_t>(header[3]));
}

PostHandshakeResult Absorbed() {
  PostHandshakeResult result;
  result.outcome = Outcome::kAbsorbed;
  return result;
}

PostHandshakeResult Refuse(AlertDescription description, const char* what) {
  PostHandshakeResult result;
  result.alert = FatalAlert(description);
  result.failure = {Category::kTls, static_cast<int>(description), what};
  return result;
}

PostHandshakeResult OutOfMemory() {
  PostHandshakeResult result = Refuse(AlertDescription::kInternalError, "");
  result.failure = ResourceError("no memory for a handshake message");
  return result;
}

// A later message of a record adds to what an earlier one requires.
void Merge(PostHandshakeResult& total, const PostHandshakeResult& next) {
  const bool ticket = total.ticket_stored || next.ticket_stored;
  const bool update = total.update_requested || next.update_requested;
  if (total.outcome == Outcome::kAbsorbed || next.outcome == Outcome::kFailed) total = next;
  total.ticket_stored = ticket;
  total.update_requested = update;
}

}  // namespace

// Seals tickets for OpenSSL as the server did for us: same first key, OpenSSL's own count.
struct TicketSealer {
  RecordWriter writer;
};

PostHandshake::PostHandshake(Role role, Version version, std::unique_ptr<SslConnection> ssl,
                             ProtectionState ticket_protection)
    : role_(role), version_(version), ssl_(std::move(ssl)) {
  if (ssl_ == nullptr) return;
  sealer_ = std::make_unique<TicketSealer>();
  if (!sealer_->writer.Init(std::move(ticket_protection))) DropSsl();
}

PostHandshake::~PostHandshake() { DropSsl(); }

void PostHandshake::DropSsl() {
  if (ssl_ != nullptr) ssl_->MarkShutDown();
  ssl_.reset();
  sealer_.reset();
}

void PostHandshake::KeepSessionPlace(std::shared_ptr<ClientSessions> store, std::string key) {
  session_ = std::make_unique<SessionPlace>(SessionPlace{std::move(store), std::move(key)});
}

bool PostHandshake::ForgetSession() {
  if (session_ == nullptr) return false;
  session_->store->Remove(session_->key);
  DropSsl();
  return true;
}

bool PostHandshake::Expired(std::uint64_t now_ns, std::uint64_t bytes_opened) {
  if (ssl_ == nullptr) return true;
  if (first_seen_ns_ == 0) first_seen_ns_ = std::max<std::uint64_t>(now_ns, 1);
  if (now_ns - first_seen_ns_ < kTicketWaitNs && bytes_opened < kTicketWaitBytes) return false;
  DropSsl();
  return true;
}

PostHandshakeResult PostHandshake::Consume(std::span<const std::byte> fragment,
                                           RecordReader& reader) {
  try {
    if (partial_.empty()) return ConsumeMessages(fragment, reader);
    if (partial_.size() + fragment.size() > kMessageBytesMax + kFragmentBytesMax) {
      return Refuse(AlertDescription::kUnexpectedMessage, "the peer's message is too long");
    }
    const std::size_t before = partial_.size();
    partial_.insert(partial_.end(), fragment.begin(), fragment.end());
    std::vector<std::byte> joined = std::move(partial_);
    partial_.clear();
    PostHandshakeResult result = ConsumeMessages(joined, reader);
    if (result.failure.category() == Category::kResource) {
      // The fragment will come again.
      joined.resize(before);
      partial_ = std::move(joined);
    }
    return result;
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

PostHandshakeResult PostHandshake::ConsumeMessages(std::span<const std::byte> bytes,
                                                   RecordReader& reader) {
  PostHandshakeResult total = Absorbed();
  while (!bytes.empty()) {
    const bool whole_header = bytes.size() >= kMessageHeaderBytes;
    if (whole_header && MessageBytes(bytes) > kMessageBytesMax) {
      return Refuse(AlertDescription::kUnexpectedMessage, "the peer's message is too long");
    }
    if (!whole_header || bytes.size() < MessageBytes(bytes)) {
      partial_.assign(bytes.begin(), bytes.end());
      if (total.outcome == Outcome::kAbsorbed) total.outcome = Outcome::kAbsorbedPart;
      return total;
    }
    const std::size_t size = MessageBytes(bytes);
    Merge(total, OneMessage(bytes.first(size), size == bytes.size(), reader));
    if (total.outcome == Outcome::kFailed) return total;
    bytes = bytes.subspan(size);
  }
  return total;
}

PostHandshakeResult PostHandshake::OneMessage(std::span<const std::byte> message, bool last,
                                              RecordReader& reader) {
  const auto type = std::to_integer<std::uint8_t>(message[0]);
  if (version_ == Version::kTls13) {
    if (type == kKeyUpdate) return KeyUpdate(message.subspan(kMessageHeaderBytes), last, reader);
    if (type == kNewSessionTicket && role_ == Role::kClient) return NewSessionTicket(message);
  } else if (type == (role_ == Role::kClient ? kHelloRequest : kClientHello)) {
    // RFC 5246 7.2.2: this warning refuses the renegotiation.
    PostHandshakeResult result;
    result.outcome = Outcome::kSendAlert;
    result.alert = {AlertLevel::kWarning, AlertDescription::kNoRenegotiation};
    return result;
  }
  return Refuse(AlertDescription::kUnexpectedMessage,
                "the peer sent a handshake message after the handshake");
}

PostHandshakeResult PostHandshake::KeyUpdate(std::span<const std::byte> body, bool last,
                                             RecordReader& reader) {
  // What follows is under the next key, so nothing may follow in this record (RFC 8446 5.1).
  if (!last) {
    return Refuse(AlertDescription::kUnexpectedMessage, "a message follows the peer's KeyUpdate");
  }
  if (body.size() != 1) {
    return Refuse(AlertDescription::kDecodeError, "the peer's KeyUpdate is malformed");
  }
  if (body[0] != std::byte{0} && body[0] != std::byte{1}) {
    return Refuse(AlertDescription::kIllegalParameter, "the peer's KeyUpdate is malformed");
  }
  if (!reader.AdmitKeyUpdate()) {
    return Refuse(AlertDescription::kUnexpectedMessage,
                  "the peer does nothing but update its keys");
  }
  if (!reader.Rekey()) return OutOfMemory();
  PostHandshakeResult result;
  result.outcome = Outcome::kKeyUpdate;
  result.update_requested = body[0] == std::byte{1};
  return result;
}

PostHandshakeResult PostHandshake::NewSessionTicket(std::span<const std::byte> message) {
  PostHandshakeResult result = Absorbed();
  if (ssl_ == nullptr) return result;
  std::vector<std::byte> records;
  while (!message.empty()) {
    const std::size_t part = std::min(message.size(), sealer_->writer.max_fragment());
    const std::size_t at = records.size();
    const std::size_t header = sealer_->writer.header_bytes();
    const std::size_t trailer = sealer_->writer.trailer_bytes();
    records.resize(at + part + header + trailer);
    const std::span<std::byte> record = std::span(records).subspan(at);
    std::ranges::copy(message.first(part), record.begin() + static_cast<std::ptrdiff_t>(header));
    const SealResult sealed =
        sealer_->writer.Seal(ContentType::kHandshake, record.first(header),
                             record.subspan(header, part), record.subspan(header + part));
    if (sealed.outcome != SealOutcome::kSealed) return OutOfMemory();
    message = message.subspan(part);
  }

  ERR_clear_error();
  errno = 0;
  ssl_->buffers().SetInput(records);
  std::array<std::byte, 1> nothing{};
  const int returned = SSL_read(ssl_->ssl(), nothing.data(), static_cast<int>(nothing.size()));
  const int code = SSL_get_error(ssl_->ssl(), returned);
  ssl_->buffers().SetInput({});
  ERR_clear_error();
  ssl_->NoteMemory();
  const bool no_memory = ssl_->ran_out_of_memory();
  result.ticket_stored = ssl_->ticket_stored();
  const auto alert = ssl_->sent_alert();
  DropSsl();
  // Without memory one session is lost, and nothing else.
  if (code == SSL_ERROR_WANT_READ || no_memory) return result;
  return Refuse(alert ? alert->description : AlertDescription::kDecodeError,
                "the peer's session ticket is malformed");
}

}  // namespace ktlsim::tls
