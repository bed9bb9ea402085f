// Every outcome follows the same rules (SSPI, server context initialisation): a token is sent
// whatever the status, SEC_E_INCOMPLETE_MESSAGE keeps the bytes and reads more, EXTRA is the next
// leg's input before anything is read.
#include "kernel_sim/transport/leg_side.h"

#include <schannel.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/assert.h"

namespace ktlsim::transport {
namespace {

constexpr std::size_t kTokenBytes = BufferPool::kClassBytes[1];
constexpr std::size_t kTokenBytesMax = 1024 * 1024;

constexpr std::size_t kHeaderBytes = 5;
// The longest fragment any version permits (RFC 5246 6.2.3: 2^14 + 2048).
constexpr std::size_t kFragmentBytesMax = LegSide::kRecordBytesMax - kHeaderBytes;

SecBuffer MakeBuffer(ULONG type, void* bytes, std::size_t size) {
  return {static_cast<ULONG>(size), type, bytes};
}

SecBufferDesc Describe(SecBuffer* buffers, ULONG count) {
  return {SECBUFFER_VERSION, count, buffers};
}

// How many bytes the library needs to judge the record that begins with `header`: all of it, or
// only the header if that is wrong already.
std::size_t RecordBytes(const std::array<std::byte, kHeaderBytes>& header) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(header[i]); };
  const std::size_t fragment = (byte(3) << 8) | byte(4);
  const bool known = byte(0) >= 20 && byte(0) <= 24 && byte(1) == 3;
  return known && fragment <= kFragmentBytesMax ? kHeaderBytes + fragment : kHeaderBytes;
}

// A handshake begins with a handshake record (RFC 8446 5.1); an alert is TLS too.
bool LooksLikeTls(std::span<const std::byte> bytes) {
  const auto type = std::to_integer<unsigned>(bytes[0]);
  if (type != 0x16 && type != 0x15) return false;
  return bytes.size() < 2 || bytes[1] == std::byte{3};
}

}  // namespace

// ---- Tokens

bool LegToken::Prepare() {
  if (buffer_ == nullptr) buffer_ = buffers_.Take(kTokenBytes);
  return buffer_ != nullptr;
}

bool LegToken::Grow() {
  const std::size_t bytes = std::size_t{buffer_->capacity} * 3;
  if (bytes > kTokenBytesMax) return false;
  Buffer* larger = buffers_.Take(bytes);
  if (larger == nullptr) return false;
  buffers_.Give(std::exchange(buffer_, larger));
  return true;
}

void LegToken::Make(std::size_t bytes) {
  bytes_ = static_cast<std::uint32_t>(bytes);
  Move(TokenEvent::kMake);
}

void LegToken::Drop() {
  buffers_.Give(std::exchange(buffer_, nullptr));
  bytes_ = 0;
  if (due()) Move(TokenEvent::kDrop);
}

void LegSide::TakeToken(SECURITY_STATUS status) {
  const ULONG bytes = output_buffers_[0].cbBuffer;
  const ULONG room = token_.buffer().capacity;
  // A call that failed early may have left the length as it was offered: that is no token.
  const bool untouched = status < 0 && bytes == room;
  if (bytes == 0 || bytes > room || untouched) {
    token_.Drop();
  } else {
    token_.Make(bytes);
  }
}

bool LegSide::MakePlainAlert() {
  if (!token_.Prepare()) return false;
  // Type, version, length, level, description (RFC 8446 5.1, 6).
  const std::array record = {
      std::byte{21},           std::byte{3}, std::byte{3}, std::byte{0}, std::byte{2}, std::byte{2},
      std::byte{bound_alert()}};
  std::ranges::copy(record, token_.buffer().bytes());
  token_.Make(record.size());
  return true;
}

int LegSide::AlertToSend() const {
  if (!token_.due()) return -1;
  if (bound_alert_ >= 0) return bound_alert_;
  if (output_buffers_[1].cbBuffer != sizeof(alert_)) return -1;
  return std::to_integer<int>(alert_[1]);
}

// ---- Input

LegSide::LegSide(SspiAsyncContext* async, const TlsProfile& profile, ChunkPool& chunks,
                 BufferPool& buffers)
    : async_(async),
      profile_(profile),
      credential_(&profile.credential()),
      input_(chunks, buffers),
      token_(buffers) {
  SecInvalidateHandle(&new_context_);
}

LegSide::Ready LegSide::FirstRecordReady(std::size_t bytes_max, bool announced_is_free) {
  if (input_.empty()) return Ready::kNo;
  std::array<std::byte, kHeaderBytes> header{};
  std::size_t needed = kHeaderBytes;
  if (input_.Peek(header) == kHeaderBytes) needed = RecordBytes(header);
  needed = std::max<std::size_t>(needed, input_wanted_);
  if (needed > bytes_max) return Ready::kTooLong;
  if (input_.front().size() >= needed) return Ready::kYes;
  if (announced_is_free && input_.size() < needed) return Ready::kNo;
  if (!input_.Assemble(needed)) return Ready::kNoMemory;
  return input_.size() >= needed ? Ready::kYes : Ready::kNo;
}

std::span<std::byte> LegSide::NextInput() const {
  const std::span<std::byte> front = input_.front();
  return repeat_bytes_ != 0 ? front.first(repeat_bytes_) : front;
}

// EXTRA in the input array says how many of the last bytes were not used. False: all of them.
bool LegSide::ConsumeInput() {
  std::size_t unused = 0;
  if (input_given_ != 0 &&
      (input_buffers_[1].BufferType & ~SECBUFFER_ATTRMASK) == SECBUFFER_EXTRA) {
    unused = std::min<std::size_t>(input_buffers_[1].cbBuffer, input_given_);
  }
  input_.Consume(input_given_ - unused);
  input_wanted_ = 0;
  repeat_bytes_ = 0;
  return input_given_ == 0 || unused != input_given_;
}

// ---- Legs

LegCall LegSide::Finish() { return std::exchange(call_, LegCall::kNone); }

bool LegSide::TakeContext(CtxtHandle* context) {
  if (SecIsValidHandle(context) || !SecIsValidHandle(&new_context_)) return false;
  *context = new_context_;
  // Its owner deletes the context from here on, and must not get it a second time.
  SecInvalidateHandle(&new_context_);
  return true;
}

SECURITY_STATUS LegSide::SubmitLeg(LegCall call, const CtxtHandle& context,
                                   std::span<std::byte> input) {
  const bool first = call == LegCall::kLeg && !SecIsValidHandle(&context);
  ULONG inputs = 0;
  if (!input.empty()) {
    if (first && profile_.is_server()) speaks_tls_ = LooksLikeTls(input);
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_TOKEN, input.data(), input.size());
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_EMPTY, nullptr, 0);
  }
  const std::vector<std::byte>& alpn = profile_.alpn_buffer();
  if (first && !alpn.empty()) {
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_APPLICATION_PROTOCOLS,
                                          const_cast<std::byte*>(alpn.data()), alpn.size());
  }
  input_desc_ = Describe(input_buffers_, inputs);
  PrepareOutput();
  KTLSIM_CHECK(SspiReinitAsyncContext(async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted = CallPackage(context, inputs == 0 ? nullptr : &input_desc_);
  if (submitted == SEC_E_OK) {
    call_ = call;
    input_given_ = static_cast<std::uint32_t>(input.size());
  } else {
    token_.Drop();
  }
  return submitted;
}

void LegSide::PrepareOutput() {
  Buffer& token = token_.buffer();
  output_buffers_[0] = MakeBuffer(SECBUFFER_TOKEN, token.bytes(), token.capacity);
  output_buffers_[1] = MakeBuffer(SECBUFFER_ALERT, alert_, sizeof(alert_));
  failure_ = {"", -1, -1};
  output_buffers_[2] = MakeBuffer(KTLSIM_SECBUFFER_FAILURE, &failure_, sizeof(failure_));
  output_desc_ = Describe(output_buffers_, 3);
}

SECURITY_STATUS LegSide::CallPackage(const CtxtHandle& context, PSecBufferDesc input) {
  CredHandle copied{};
  PCredHandle credential = nullptr;
  if (credential_ != nullptr) {
    copied = *credential_;
    credential = &copied;
  }
  const bool first = !SecIsValidHandle(&context);
  CtxtHandle copy = context;
  PCtxtHandle in = first ? nullptr : &copy;
  PCtxtHandle out = first ? &new_context_ : nullptr;
  if (profile_.is_server()) {
    return SspiAcceptSecurityContextAsync(async_, credential, in, input, profile_.flags(), 0, out,
                                          &output_desc_, &attributes_, nullptr);
  }
  ULONG flags = profile_.flags();
  if (supply_nothing_) flags |= ISC_REQ_USE_SUPPLIED_CREDS;
  const std::string& target = profile_.target_name();
  return SspiInitializeSecurityContextAsyncA(
      async_, credential, in, target.empty() ? nullptr : const_cast<char*>(target.c_str()), flags,
      0, 0, input, 0, out, &output_desc_, &attributes_, nullptr);
}

LegOutcome LegSide::OnLeg(SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_INCOMPLETE_MESSAGE:
      token_.Drop();
      if (input_given_ == 0) return LegOutcome::kFailed;
      WantMore();
      return LegOutcome::kAgain;
    case SEC_E_BUFFER_TOO_SMALL:
      // The same input again, byte for byte, which the library recognises.
      if (!token_.Grow()) return LegOutcome::kFailed;
      repeat_bytes_ = input_given_;
      return LegOutcome::kAgain;
    case SEC_I_INCOMPLETE_CREDENTIALS:
      token_.Drop();
      if (std::exchange(supply_nothing_, true)) return LegOutcome::kFailed;
      repeat_bytes_ = input_given_;
      return LegOutcome::kAgain;
    case SEC_I_COMPLETE_NEEDED:
    case SEC_I_COMPLETE_AND_CONTINUE:
      return LegOutcome::kComplete;
    case SEC_E_OK:
    case SEC_I_CONTINUE_NEEDED:
    case SEC_I_CONTINUE_NEEDED_MESSAGE_OK:
      return Accept(status);
    default:
      TakeToken(status);
      return LegOutcome::kFailed;
  }
}

LegOutcome LegSide::Accept(SECURITY_STATUS status) {
  owed_ = OwedLeg::kNone;
  TakeToken(status);
  const bool took = ConsumeInput();
  if (status == SEC_E_OK || status == SEC_I_COMPLETE_NEEDED) {
    ++answered_;
    return LegOutcome::kEstablished;
  }
  if (token_.due()) {
    ++answered_;
    return LegOutcome::kAnswered;
  }
  return took ? LegOutcome::kAgain : LegOutcome::kStuck;
}

LegOutcome LegSide::OnPostHandshake(SECURITY_STATUS status, bool may_answer) {
  if (status == SEC_E_BUFFER_TOO_SMALL && token_.Grow()) {
    repeat_bytes_ = input_given_;
    return LegOutcome::kAgain;
  }
  owed_ = OwedLeg::kNone;
  if (status == SEC_E_INCOMPLETE_MESSAGE && input_given_ == 0) {
    token_.Drop();
    return LegOutcome::kNothingDue;
  }
  TakeToken(status);
  if (!may_answer) token_.Drop();
  if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) return LegOutcome::kFailed;
  return ConsumeInput() ? LegOutcome::kAnswered : LegOutcome::kStuck;
}

void LegSide::OnAlertFetched(SECURITY_STATUS status, bool may_answer) {
  if (status == SEC_E_OK) TakeToken(status);
  if (status != SEC_E_OK || !may_answer) token_.Drop();
}

// ---- Records

SECURITY_STATUS LegSide::SubmitDecrypt(CtxtHandle& context) {
  const std::span<std::byte> bytes = input_.front();
  input_buffers_[0] = MakeBuffer(SECBUFFER_DATA, bytes.data(), bytes.size());
  for (int i = 1; i < 4; ++i) input_buffers_[i] = {0, SECBUFFER_EMPTY, nullptr};
  input_desc_ = Describe(input_buffers_, 4);
  KTLSIM_CHECK(SspiReinitAsyncContext(async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted =
      SspiDecryptMessageAsync(async_, &context, &input_desc_, 0, nullptr);
  if (submitted == SEC_E_OK) {
    call_ = LegCall::kDecrypt;
    input_given_ = static_cast<std::uint32_t>(bytes.size());
    input_wanted_ = 0;
  }
  return submitted;
}

LegSide::Opened LegSide::opened() const {
  const SecBuffer& data = input_buffers_[1];
  const SecBuffer& extra = input_buffers_[3];
  const std::size_t unused =
      extra.BufferType == SECBUFFER_EXTRA ? std::min<std::size_t>(extra.cbBuffer, input_given_) : 0;
  Opened opened{.plaintext = {}, .used = input_given_ - unused};
  if (data.BufferType == SECBUFFER_DATA) {
    opened.plaintext = {static_cast<std::byte*>(data.pvBuffer), data.cbBuffer};
  }
  return opened;
}

void LegSide::OwePostHandshake(bool tls13) {
  const SecBuffer& extra = input_buffers_[3];
  const bool told = extra.BufferType == SECBUFFER_EXTRA && extra.cbBuffer <= input_given_;
  if (tls13) {
    owed_ = OwedLeg::kPostHandshake;
    // EXTRA begins at the message, rewritten as a record; without one it is the buffer itself.
    if (told) input_.Consume(input_given_ - extra.cbBuffer);
  } else {
    owed_ = OwedLeg::kWithoutInput;
    // HelloRequest has been swallowed; EXTRA is what follows it.
    input_.Consume(input_given_ - (told ? extra.cbBuffer : 0));
  }
}

}  // namespace ktlsim::transport
