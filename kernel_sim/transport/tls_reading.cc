// The reading of records: DecryptMessage in place, one record per call, and what it asks for.

#include <algorithm>
#include <array>
#include <utility>

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

constexpr std::size_t kHeaderBytes = 5;
// The longest record any version permits (RFC 5246 6.2.3: 2^14 + 2048).
constexpr std::size_t kFragmentBytesMax = 16384 + 2048;
constexpr std::size_t kRecordBytesMax = kHeaderBytes + kFragmentBytesMax;

// How many bytes the library needs to judge the record that begins with `header`: all of it, or
// only the header if that is wrong already.
std::size_t RecordBytes(const std::array<std::byte, kHeaderBytes>& header) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(header[i]); };
  const std::size_t fragment = (byte(3) << 8) | byte(4);
  const bool known = byte(0) >= 20 && byte(0) <= 24 && byte(1) == 3;
  return known && fragment <= kFragmentBytesMax ? kHeaderBytes + fragment : kHeaderBytes;
}

}  // namespace

// kYes: the front of the input begins with a whole record. kNo: bytes are missing, and what is
// there has been moved out of the receive buffers. kFailed: it would take more than `bytes_max`.
TlsConnection::Ready TlsConnection::FirstRecordReady(std::size_t bytes_max) {
  if (input_.empty()) return Ready::kNo;
  std::array<std::byte, kHeaderBytes> header{};
  std::size_t needed = kHeaderBytes;
  if (input_.Peek(header) == kHeaderBytes) needed = RecordBytes(header);
  needed = std::max(needed, input_wanted_);
  if (needed > bytes_max) return Ready::kFailed;
  if (input_.front().size() >= needed) return Ready::kYes;
  // In the handshake a length announced costs nothing until its bytes are there.
  if (state_ == State::kHandshake && input_.size() < needed) return Ready::kNo;
  if (!input_.Assemble(needed)) {
    End({.kind = EndKind::kNoMemory}, io::Stream::CloseMode::kReset);
    return Ready::kNo;
  }
  return input_.size() >= needed ? Ready::kYes : Ready::kNo;
}

void TlsConnection::PumpReading() {
  if (state_ != State::kEstablished || call_ != Call::kNone || in_handler_) return;
  // While a token of ours waits to be sent, nothing is read that could ask for another one.
  if (!token_ready_ && post_handshake_due_) {
    SubmitPostHandshake();
    return;
  }
  if (!token_ready_ && seals_.key_check_due()) {
    SubmitKeyCheck();
    return;
  }
  if ((Drops() && !post_handshake_due_) || PeerHasClosed()) {
    input_.Clear();
    limits_.EndRecord();
    return;
  }
  if (token_ready_) return;
  if (reading_ == Reading::kPaused) {
    if (!input_.Detach()) AbortFor(EndKind::kNoMemory);
    return;
  }
  switch (FirstRecordReady(kRecordBytesMax)) {
    case Ready::kYes:
      SubmitDecrypt();
      break;
    case Ready::kFailed:
      FetchAlert(EndKind::kRecordFailed, SEC_E_INCOMPLETE_MESSAGE);
      return;
    case Ready::kNo:
      if (state_ == State::kEstablished && peer_end_ == PeerEnd::kFin) {
        PeerClosed(/*truncated=*/true);
        return;
      }
      if (!limits_.record_begun() && !input_.empty() && limits_.BeginRecord(loop().NowNs())) {
        SetLimitTimer();
      }
      break;
  }
  UpdateReceiving();
}

void TlsConnection::SubmitDecrypt() {
  const std::span<std::byte> bytes = input_.front();
  input_buffers_[0] = {static_cast<ULONG>(bytes.size()), SECBUFFER_DATA, bytes.data()};
  for (int i = 1; i < 4; ++i) input_buffers_[i] = {0, SECBUFFER_EMPTY, nullptr};
  input_desc_ = {SECBUFFER_VERSION, 4, input_buffers_};
  KTLSIM_CHECK(SspiReinitAsyncContext(leg_async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted =
      SspiDecryptMessageAsync(leg_async_, &context_, &input_desc_, 0, nullptr);
  if (submitted == SEC_E_OK) {
    call_ = Call::kDecrypt;
    input_given_ = bytes.size();
    input_wanted_ = 0;
    limits_.EndRecord();
  } else if (!RetriesRefused(submitted)) {
    Fail(EndKind::kRecordFailed, submitted);
  }
}

void TlsConnection::OnDecrypted(SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_OK: {
      const SecBuffer& data = input_buffers_[1];
      const SecBuffer& extra = input_buffers_[3];
      const std::size_t unused = extra.BufferType == SECBUFFER_EXTRA
                                     ? std::min<std::size_t>(extra.cbBuffer, input_given_)
                                     : 0;
      const std::size_t used = input_given_ - unused;
      shard_.counters().records_opened.Add();
      if (data.BufferType == SECBUFFER_DATA && data.cbBuffer != 0) {
        if (!Deliver({static_cast<std::byte*>(data.pvBuffer), data.cbBuffer})) return;
      }
      // Only now: the plaintext lay in these bytes.
      input_.Consume(used);
      Pump();
      return;
    }
    case SEC_E_INCOMPLETE_MESSAGE:
      input_wanted_ = input_given_ + 1;
      PumpReading();
      return;
    case SEC_I_RENEGOTIATE:
      StartPostHandshake();
      return;
    case SEC_I_CONTEXT_EXPIRED:
      PeerClosed(/*truncated=*/false);
      return;
    default:
      FetchAlert(EndKind::kRecordFailed, status);
      return;
  }
}

bool TlsConnection::Deliver(std::span<std::byte> plaintext) {
  shard_.counters().plaintext_received.Add(plaintext.size());
  bool alive = true;
  if (!Drops()) {
    limits_.Touch(loop().NowNs());
    alive = CallHandler([&](auto& handler) { handler.OnPlaintext(*this, plaintext); });
  }
  // It lies in memory that others get next: a buffer of the pool, or a receive buffer of the loop.
  Wipe(plaintext);
  return alive;
}

void TlsConnection::PeerClosed(bool truncated) {
  Move(truncated && !CloseIsSealed() ? PeerEndEvent::kTruncate : PeerEndEvent::kClose);
  limits_.EndRecord();
  input_.Clear();
  if (!Drops() && !CallHandler([&](auto& handler) { handler.OnPeerClosed(*this, truncated); })) {
    return;
  }
  UpdateReceiving();
  Pump();
  EndWhenBothClosed();
}

// A ticket, a key update or a request to authenticate came in: the leg functions want to see it. No
// record may be sealed until they have.
void TlsConnection::StartPostHandshake() {
  seals_.Hold();
  const SecBuffer& extra = input_buffers_[3];
  const bool told = extra.BufferType == SECBUFFER_EXTRA && extra.cbBuffer <= input_given_;
  post_handshake_due_ = true;
  post_handshake_input_ = UsesTls13();
  if (post_handshake_input_) {
    // EXTRA begins at the message, rewritten as a record; without one it is the buffer itself.
    if (told) input_.Consume(input_given_ - extra.cbBuffer);
  } else {
    // HelloRequest has been swallowed; EXTRA is what follows it.
    input_.Consume(input_given_ - (told ? extra.cbBuffer : 0));
  }
  SubmitPostHandshake();
}

void TlsConnection::SubmitPostHandshake() {
  if (!input_.Detach()) {
    AbortFor(EndKind::kNoMemory);
    return;
  }
  std::span<std::byte> input;
  if (post_handshake_input_) input = input_.front();
  if (repeat_bytes_ != 0) input = input.first(repeat_bytes_);
  SubmitLeg(Call::kPostHandshake, input);
}

// So many records were sealed that the key may be due for a change: only a leg can say so, and hand
// the KeyUpdate out. What is sealed after it must be sent after it.
void TlsConnection::SubmitKeyCheck() {
  seals_.BeginKeyCheck();
  // TLS 1.2 has no way to change keys.
  if (CloseIsSealed() || !UsesTls13()) {
    Pump();
    return;
  }
  seals_.Hold();
  post_handshake_due_ = true;
  post_handshake_input_ = false;
  SubmitPostHandshake();
}

bool TlsConnection::UsesTls13() {
  SecPkgContext_ConnectionInfo info{};
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_CONNECTION_INFO, &info) != SEC_E_OK) {
    return true;
  }
  return (info.dwProtocol & SP_PROT_TLS1_3) != 0;
}

}  // namespace ktlsim::transport
