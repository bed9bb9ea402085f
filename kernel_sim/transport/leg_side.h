// LegSide: one connection's received bytes on their way into the library, by Initialize- or
// AcceptSecurityContext (a leg) and by DecryptMessage, and the tokens that legs make. One call at a
// time.
//
// What a newcomer gets wrong: a call cannot be taken back. The descriptors and what they point to
// (the front of the input, the token) are the library's until the callback has come, also when the
// connection has died meanwhile.
//
// The owner registers the callback of the async context, takes the call with Finish, and passes the
// status to the function that belongs to it. Belongs to the connection's loop.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_sim/transport/connection_state.h"
#include "kernel_sim/transport/input_queue.h"
#include "kernel_sim/transport/profile.h"

namespace ktlsim::transport {

// What is in flight on the leg side.
enum class LegCall : std::uint8_t {
  kNone,
  kLeg,
  kComplete,     // CompleteAuthToken
  kAskForAlert,  // ApplyControlToken
  kDecrypt,
  kPostHandshake,
  kFetchAlert
};

// A leg that is due independently of the input.
enum class OwedLeg : std::uint8_t {
  kNone,
  kFirst,          // a client's
  kPostHandshake,  // for the message at the front of the input
  kWithoutInput,   // TLS 1.2: for a HelloRequest, which is swallowed; or to hand out a KeyUpdate
};

enum class LegOutcome : std::uint8_t {
  kAgain,     // make the next leg when its input is there
  kAnswered,  // there is a token to send, or the message was taken
  kComplete,  // CompleteAuthToken comes first
  kEstablished,
  kNothingDue,  // no KeyUpdate was due
  kStuck,       // no input consumed and no token made: the same call would be repeated without end
  kFailed,
};

// The output of a leg: a buffer of the pool, and what is in it.
class LegToken {
 public:
  explicit LegToken(BufferPool& buffers) : buffers_(buffers) {}

  // Takes a buffer, or keeps the one there is. False: no memory.
  [[nodiscard]] bool Prepare();
  // Moves to a larger buffer. False: no memory, or too large.
  [[nodiscard]] bool Grow();
  Buffer& buffer() { return *buffer_; }
  // The first `bytes` of the buffer are to be sent.
  void Make(std::size_t bytes);
  void BeginSend() { Move(TokenEvent::kSend); }
  // Gives the buffer back.
  void Drop();

  bool due() const { return state_ != Token::kNone; }
  bool sending() const { return state_ == Token::kSending; }
  std::span<const std::byte> bytes() const { return {buffer_->bytes(), bytes_}; }

 private:
  void Move(TokenEvent event) { state_ = kTokenTable.After(state_, event); }

  BufferPool& buffers_;
  Buffer* buffer_ = nullptr;  // also while a leg writes to it
  std::uint32_t bytes_ = 0;   // to send
  Token state_ = Token::kNone;
};

class LegSide {
 public:
  // The longest record any version permits (RFC 5246 6.2.3: 2^14 + 2048), with its header.
  static constexpr std::size_t kRecordBytesMax = 5 + 16384 + 2048;

  enum class Ready : std::uint8_t { kNo, kYes, kTooLong, kNoMemory };
  struct Opened {
    std::span<std::byte> plaintext;  // within the input, until that is consumed
    std::size_t used = 0;            // of the input
  };

  // All of them must outlive this.
  LegSide(SspiAsyncContext* async, const TlsProfile& profile, ChunkPool& chunks,
          BufferPool& buffers);

  InputQueue& input() { return input_; }
  const InputQueue& input() const { return input_; }
  LegToken& token() { return token_; }
  const LegToken& token() const { return token_; }

  const TlsProfile& profile() const { return profile_; }
  // Instead of the profile's credential. Null: the context has what it needs. It lives until the
  // next call of this function.
  void UseCredential(const CredHandle* credential) { credential_ = credential; }
  SspiAsyncContext* async() const { return async_; }
  LegCall call() const { return call_; }
  bool idle() const { return call_ == LegCall::kNone; }
  // A call that is not the library's own: CompleteAuthToken, ApplyControlToken.
  void BeginPassive(LegCall call) { call_ = call; }
  // It has ended; returns which one it was.
  LegCall Finish();
  // If the call stored a first security context, moves that to `*context`; true then.
  bool TakeContext(CtxtHandle* context);

  // ---- Input

  // kYes: the front of the input begins with a whole record. kNo: bytes are missing; what is there
  // has been moved out of the receive buffers, unless an announced length must not cost memory
  // (`announced_is_free`). kTooLong: it would take more than `bytes_max`.
  Ready FirstRecordReady(std::size_t bytes_max, bool announced_is_free);
  // The input of the next leg: all there is, or just what the leg before got.
  std::span<std::byte> NextInput() const;

  // ---- Legs

  OwedLeg owed() const { return owed_; }
  void Owe(OwedLeg owed) { owed_ = owed; }
  // Also with an alert or a key check in progress: whether a post-handshake leg has to be made.
  bool post_handshake_owed() const {
    return owed_ == OwedLeg::kPostHandshake || owed_ == OwedLeg::kWithoutInput;
  }
  // On `context`, or if that is invalid the first. The token is prepared. SEC_E_OK: in flight, and
  // the callback will come. Otherwise refused, and the token's buffer is given back.
  SECURITY_STATUS SubmitLeg(LegCall call, const CtxtHandle& context, std::span<std::byte> input);
  // For CompleteAuthToken.
  PSecBufferDesc output() { return &output_desc_; }
  // How many legs have made a token, or established the connection.
  std::uint32_t answered() const { return answered_; }
  // A leg of the handshake has ended.
  LegOutcome OnLeg(SECURITY_STATUS status);
  // The same, after kComplete has been done.
  LegOutcome Accept(SECURITY_STATUS status);
  // A leg after the handshake. `may_answer`: false once our close_notify is sealed, which nothing
  // may follow (RFC 8446 6.1). The same for an alert that was fetched.
  LegOutcome OnPostHandshake(SECURITY_STATUS status, bool may_answer);
  void OnAlertFetched(SECURITY_STATUS status, bool may_answer);

  // ---- Records

  SECURITY_STATUS SubmitDecrypt(CtxtHandle& context);
  // After SEC_E_OK.
  Opened opened() const;
  // After SEC_E_INCOMPLETE_MESSAGE.
  void WantMore() { input_wanted_ = input_given_ + 1; }
  // After SEC_I_RENEGOTIATE: owes the leg that takes the message, and consumes what came before.
  void OwePostHandshake(bool tls13);

  // ---- When the connection fails

  // The first bytes were no TLS.
  bool speaks_tls() const { return speaks_tls_; }
  // The newest leg's own report of its failure.
  const KtlsimContext_Failure& failure() const { return failure_; }
  // The alert to be requested, or sent, because the peer has exceeded a bound of ours.
  void set_bound_alert(std::uint8_t alert) { bound_alert_ = alert; }
  std::uint8_t bound_alert() const { return static_cast<std::uint8_t>(bound_alert_); }
  // An alert record that is not encrypted, as the token. False: no memory.
  [[nodiscard]] bool MakePlainAlert();
  // The description of the alert that goes out with the token; -1: none.
  int AlertToSend() const;

 private:
  SECURITY_STATUS CallPackage(const CtxtHandle& context, PSecBufferDesc input);
  void PrepareOutput();
  void TakeToken(SECURITY_STATUS status);
  bool ConsumeInput();

  SspiAsyncContext* const async_;
  const TlsProfile& profile_;
  const CredHandle* credential_;
  InputQueue input_;
  LegToken token_;
  std::uint32_t input_given_ = 0;   // to the call in flight
  std::uint32_t input_wanted_ = 0;  // INCOMPLETE_MESSAGE: not again before this many
  std::uint32_t repeat_bytes_ = 0;  // the next leg gets just these again
  std::uint32_t answered_ = 0;
  // Descriptors are the library's while a call is in flight.
  SecBuffer input_buffers_[4];
  SecBuffer output_buffers_[3];
  SecBufferDesc input_desc_;
  SecBufferDesc output_desc_;
  CtxtHandle new_context_;  // written by the library during a first leg
  ULONG attributes_ = 0;
  std::int16_t bound_alert_ = -1;  // -1: none
  std::byte alert_[2];
  KtlsimContext_Failure failure_ = {"", -1, -1};  // of the newest leg
  LegCall call_ = LegCall::kNone;
  OwedLeg owed_ = OwedLeg::kNone;
  bool speaks_tls_ = true;
  bool supply_nothing_ = false;  // client: go on without a certificate
};

}  // namespace ktlsim::transport
