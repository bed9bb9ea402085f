#include "kernel_sim/command/stress/conversation.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "io/seeded_random.h"
#include "kernel_sim/command/stress/calls.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

using io::SeededRandom;

constexpr std::size_t kMessageMax = 16000;
constexpr std::uint64_t kMessagesMax = 6;

class Conversation {
 public:
  Conversation(StressRound& round, std::uint64_t seed)
      : round_(round), random_(seed), messages_left_(random_.Below(kMessagesMax + 1)) {}
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void Begin();

 private:
  struct Side {
    bool server = false;
    bool established = false;
    bool deleted = false;  // while it was in use: no call with it is accepted any more
    CtxtHandle context = NoHandle();
    SspiAsyncContext* async = nullptr;
    std::vector<unsigned char> inbox;  // ciphertext from the other
  };
  using Routine = void (Conversation::*)(SECURITY_STATUS status);

  // The only way in for completions. `step_` says what was submitted.
  static void OnCompleted(void* owner, SspiAsyncContext* async);

  Side& Other(const Side& side) { return &side == &client_ ? server_ : client_; }
  CredHandle* LegCredential(const Side& side);
  bool Prepare(Side& side, const char* what, Routine step);
  BehindSubmission Draw(Side& side);
  void Refused(const Side& side, SECURITY_STATUS status);
  void Again(SECURITY_STATUS status);
  void SubmitLeg(Side& side);
  void SubmitEncrypt(Side& side);
  void SubmitDecrypt(Side& side);
  void OnLeg(SECURITY_STATUS status);
  void OnEncrypted(SECURITY_STATUS status);
  void OnDecrypted(SECURITY_STATUS status);
  void KeepExtra(Side& side, const SecBuffer& extra);
  bool PlaintextIsRight() const;
  void AfterLeg(Side& side);
  void NextMessage();
  void MaybeFreeCredentials();
  void Broken(const std::string& what);
  void End(StressActivity activity, StressOutcome outcome);
  void Dispose(Side& side);

  StressRound& round_;
  SeededRandom random_;
  std::uint64_t messages_left_;
  Side client_;
  Side server_;
  CredHandle client_credential_{};
  CredHandle server_credential_{};
  bool own_credentials_ = false;  // made for this one; freed while the contexts live
  bool credentials_freed_ = false;

  // The call in flight.
  Side* current_ = nullptr;
  CallMemory* memory_ = nullptr;
  CallRecord* record_ = nullptr;
  Routine step_ = nullptr;
  std::array<SecBuffer, 4> submitted_buffers_{};
  ULONG notify_mode_ = KTLSIM_NOTIFY_POOL;
  // The message under way.
  std::size_t message_bytes_ = 0;
  unsigned char message_first_ = 0;
};

void Conversation::Begin() {
  server_.server = true;
  const std::size_t versions = random_.Below(round_.pairs.size());
  client_credential_ = round_.pairs[versions].client.handle();
  server_credential_ = round_.pairs[versions].server.handle();
  // Credentials cost more than the whole conversation.
  if (Has(round_.faults, StressActivity::kEarlyFree) && random_.Chance(200)) {
    CredentialPair pair;
    const std::string error = round_.MakePair(TlsVersions::k12And13, &pair);
    // The functions that make them say in words why they did not.
    if (error.find("SEC_E_SHUTDOWN_IN_PROGRESS") != std::string::npos && round_.restarts) {
      return End(StressActivity::kConversation, StressOutcome::kRefused);
    }
    if (!error.empty()) return Broken("credentials: " + error);
    client_credential_ = pair.client.Release();
    server_credential_ = pair.server.Release();
    own_credentials_ = true;
  }
  SubmitLeg(client_);
}

CredHandle* Conversation::LegCredential(const Side& side) {
  const bool needed = !SecIsValidHandle(&side.context);
  if (credentials_freed_ || (!needed && random_.Chance(300))) return nullptr;
  return side.server ? &server_credential_ : &client_credential_;
}

// Memory, a record and an idle async context with its callback.
bool Conversation::Prepare(Side& side, const char* what, Routine step) {
  current_ = &side;
  step_ = step;
  memory_ = round_.yard.Take();
  memory_->attributes = kUnwritten;
  memory_->context = NoHandle();
  record_ = &round_.ledger.Open(what, &Conversation::OnCompleted, this);
  if (side.async == nullptr) side.async = SspiCreateAsyncContext();
  notify_mode_ = NotifyModeFor(round_, random_);
  const bool ready =
      side.async != nullptr && KtlsimSetNotifyMode(side.async, notify_mode_) == SEC_E_OK &&
      KtlsimSetQueueWaitLimit(side.async, RandomWaitLimit(round_, random_)) == SEC_E_OK &&
      SspiSetAsyncNotifyCallback(side.async, &CallLedger::Notify, record_) == SEC_E_OK;
  if (!ready) Broken(std::string(what) + ": an idle async context cannot be prepared");
  return ready;
}

// The last thing before a submission.
BehindSubmission Conversation::Draw(Side& side) {
  submitted_buffers_ = memory_->buffers;
  BehindSubmission behind{round_, *record_, side.async, side.context};
  behind.cancels = Has(round_.faults, StressActivity::kCancel) && random_.Chance(50);
  behind.deletes = Has(round_.faults, StressActivity::kEarlyDelete) && !side.deleted &&
                   SecIsValidHandle(&side.context) && random_.Chance(40);
  side.deleted = side.deleted || behind.deletes;
  if (behind.deletes) round_.live.fetch_add(1, std::memory_order_relaxed);
  return behind;
}

// The callback has not come and will not.
void Conversation::Refused(const Side& side, SECURITY_STATUS status) {
  round_.yard.GiveBack(std::exchange(memory_, nullptr));
  if (side.deleted && status == SEC_E_INVALID_HANDLE) {
    return End(StressActivity::kEarlyDelete, StressOutcome::kCut);
  }
  if (status == SEC_E_INSUFFICIENT_MEMORY || round_.ShutOut(status)) {
    return End(StressActivity::kConversation, StressOutcome::kRefused);
  }
  Broken(fmt::format("a call was refused with {}", transport::StatusName(status)));
}

// The call has ended in its queue. It has taken no part, so that it can be made again.
void Conversation::Again(SECURITY_STATUS status) {
  round_.tally.Add(
      status == KTLSIM_E_CANCELLED ? StressActivity::kCancel : StressActivity::kQueueLimit,
      StressOutcome::kCut);
  const CallMemory& m = *memory_;
  const bool untouched =
      m.attributes == kUnwritten && !SecIsValidHandle(&m.context) &&
      std::memcmp(m.buffers.data(), submitted_buffers_.data(), sizeof(m.buffers)) == 0;
  if (!untouched) return Broken("a call has not run and has written something");
  Side& side = *current_;
  const bool sealing = step_ == &Conversation::OnEncrypted;
  if (!sealing) side.inbox.assign(m.input.data(), m.input.data() + m.buffers[0].cbBuffer);
  round_.yard.GiveBack(std::exchange(memory_, nullptr));
  if (sealing) return SubmitEncrypt(side);
  if (step_ == &Conversation::OnLeg) return SubmitLeg(side);
  SubmitDecrypt(side);
}

void Conversation::SubmitLeg(Side& side) {
  const bool first = !SecIsValidHandle(&side.context);
  if (!Prepare(side, side.server ? "accept leg" : "initialize leg", &Conversation::OnLeg)) return;
  CallMemory& m = *memory_;
  if (side.inbox.size() > m.input.size()) return Broken("a flight is larger than expected");
  std::ranges::copy(side.inbox, m.input.begin());
  m.buffers[0] = {static_cast<ULONG>(side.inbox.size()), SECBUFFER_TOKEN, m.input.data()};
  m.buffers[1] = {0, SECBUFFER_EMPTY, nullptr};
  m.buffers[2] = {static_cast<ULONG>(m.output.size()), SECBUFFER_TOKEN, m.output.data()};
  m.in = {SECBUFFER_VERSION, 2, m.buffers.data()};
  m.out = {SECBUFFER_VERSION, 1, &m.buffers[2]};
  side.inbox.clear();

  CtxtHandle context = side.context;
  CtxtHandle* const new_context = first || random_.Chance(500) ? &m.context : nullptr;
  CredHandle* const credential = LegCredential(side);
  std::string target = kStressServerName;
  const BehindSubmission behind = Draw(side);
  const SECURITY_STATUS status =
      side.server
          ? SspiAcceptSecurityContextAsync(
                side.async, credential, first ? nullptr : &context, &m.in,
                ASC_REQ_STREAM | ASC_REQ_EXTENDED_ERROR | ASC_REQ_SESSION_TICKET, 0, new_context,
                &m.out, &m.attributes, &m.expiry)
          : SspiInitializeSecurityContextAsyncA(
                side.async, credential, first ? nullptr : &context, first ? target.data() : nullptr,
                ISC_REQ_STREAM | ISC_REQ_EXTENDED_ERROR | ISC_REQ_USE_SUPPLIED_CREDS, 0,
                SECURITY_NATIVE_DREP, &m.in, 0, new_context, &m.out, &m.attributes, &m.expiry);
  if (!behind.Accepted(status)) Refused(side, status);
}

void Conversation::OnCompleted(void* owner, SspiAsyncContext* async) {
  auto& self = *static_cast<Conversation*>(owner);
  Side& side = *self.current_;
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
  if (async != side.async) return self.Broken("a callback came with another async context");
  if (self.random_.Chance(300)) {
    SspiFreeAsyncContext(std::exchange(side.async, nullptr));
  } else if (SspiReinitAsyncContext(async) != STATUS_SUCCESS) {
    return self.Broken("a done async context cannot be made idle in its callback");
  }
  if (EndedInQueue(status)) return self.Again(status);
  (self.*self.step_)(status);
}

void Conversation::KeepExtra(Side& side, const SecBuffer& extra) {
  if (extra.BufferType != SECBUFFER_EXTRA) return;
  const auto* const begin =
      extra.pvBuffer != nullptr
          ? static_cast<unsigned char*>(extra.pvBuffer)
          : memory_->input.data() + memory_->buffers[0].cbBuffer - extra.cbBuffer;
  side.inbox.insert(side.inbox.begin(), begin, begin + extra.cbBuffer);
}

void Conversation::OnLeg(SECURITY_STATUS status) {
  Side& side = *current_;
  if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) {
    return Broken(fmt::format("a leg ended with {}", transport::StatusName(status)));
  }
  if (memory_->attributes == kUnwritten) return Broken("a leg was final without its attributes");
  if (!SecIsValidHandle(&side.context)) side.context = memory_->context;
  if (!SecIsValidHandle(&side.context)) return Broken("a first leg was final without its handle");
  KeepExtra(side, memory_->buffers[1]);
  const SecBuffer& token = memory_->buffers[2];
  std::vector<unsigned char>& inbox = Other(side).inbox;
  inbox.insert(inbox.end(), memory_->output.data(), memory_->output.data() + token.cbBuffer);
  side.established = status == SEC_E_OK;
  round_.yard.GiveBack(std::exchange(memory_, nullptr));
  AfterLeg(side);
}

void Conversation::AfterLeg(Side& side) {
  if (round_.ending.load(std::memory_order_relaxed)) {
    return End(StressActivity::kConversation, StressOutcome::kCut);
  }
  MaybeFreeCredentials();
  Side& other = Other(side);
  if (side.established && other.established) {
    // What is left are post-handshake messages, which are opened before the next one is sealed.
    Side& waiting = side.inbox.empty() ? other : side;
    if (!waiting.inbox.empty()) return SubmitDecrypt(waiting);
    return NextMessage();
  }
  if (!other.established && !other.inbox.empty()) return SubmitLeg(other);
  if (!side.established && !side.inbox.empty()) return SubmitLeg(side);
  Broken("both sides wait for each other");
}

void Conversation::MaybeFreeCredentials() {
  if (!own_credentials_ || credentials_freed_) return;
  if (!SecIsValidHandle(&client_.context) || !SecIsValidHandle(&server_.context)) return;
  credentials_freed_ = true;
  FreeCredentialWithCallback(round_, client_credential_, notify_mode_);
  FreeCredentialWithCallback(round_, server_credential_, KTLSIM_NOTIFY_POOL);
  round_.tally.Add(StressActivity::kEarlyFree, StressOutcome::kRight);
}

void Conversation::NextMessage() {
  if (round_.ending.load(std::memory_order_relaxed)) {
    return End(StressActivity::kConversation, StressOutcome::kCut);
  }
  if (messages_left_ == 0) return End(StressActivity::kConversation, StressOutcome::kRight);
  --messages_left_;
  message_bytes_ = random_.Between(1, kMessageMax);
  message_first_ = static_cast<unsigned char>(random_.Below(256));
  SubmitEncrypt(random_.Chance(500) ? client_ : server_);
}

void Conversation::SubmitEncrypt(Side& side) {
  SecPkgContext_StreamSizes sizes{};
  const SECURITY_STATUS queried =
      QueryContextAttributesA(&side.context, SECPKG_ATTR_STREAM_SIZES, &sizes);
  if (side.deleted && queried == SEC_E_INVALID_HANDLE) {
    return End(StressActivity::kEarlyDelete, StressOutcome::kCut);
  }
  if (queried != SEC_E_OK) return Broken("stream sizes are not to be had");
  if (!Prepare(side, "encrypt", &Conversation::OnEncrypted)) return;
  CallMemory& m = *memory_;
  unsigned char* const data = m.output.data() + sizes.cbHeader;
  for (std::size_t i = 0; i < message_bytes_; ++i) {
    data[i] = static_cast<unsigned char>(message_first_ + i);
  }
  m.buffers[0] = {sizes.cbHeader, SECBUFFER_STREAM_HEADER, m.output.data()};
  m.buffers[1] = {static_cast<ULONG>(message_bytes_), SECBUFFER_DATA, data};
  m.buffers[2] = {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, data + message_bytes_};
  m.buffers[3] = {0, SECBUFFER_EMPTY, nullptr};
  m.in = {SECBUFFER_VERSION, 4, m.buffers.data()};
  CtxtHandle context = side.context;
  const BehindSubmission behind = Draw(side);
  const SECURITY_STATUS status = SspiEncryptMessageAsync(side.async, &context, 0, &m.in, 0);
  if (!behind.Accepted(status)) Refused(side, status);
}

void Conversation::OnEncrypted(SECURITY_STATUS status) {
  if (status != SEC_E_OK) {
    return Broken(fmt::format("sealing ended with {}", transport::StatusName(status)));
  }
  Side& other = Other(*current_);
  const CallMemory& m = *memory_;
  const std::size_t bytes = m.buffers[0].cbBuffer + m.buffers[1].cbBuffer + m.buffers[2].cbBuffer;
  other.inbox.insert(other.inbox.end(), m.output.data(), m.output.data() + bytes);
  round_.yard.GiveBack(std::exchange(memory_, nullptr));
  SubmitDecrypt(other);
}

void Conversation::SubmitDecrypt(Side& side) {
  if (!Prepare(side, "decrypt", &Conversation::OnDecrypted)) return;
  CallMemory& m = *memory_;
  if (side.inbox.size() > m.input.size()) return Broken("more waits to be opened than was sealed");
  std::ranges::copy(side.inbox, m.input.begin());
  m.buffers[0] = {static_cast<ULONG>(side.inbox.size()), SECBUFFER_DATA, m.input.data()};
  for (std::size_t i = 1; i < m.buffers.size(); ++i) m.buffers[i] = {0, SECBUFFER_EMPTY, nullptr};
  m.in = {SECBUFFER_VERSION, 4, m.buffers.data()};
  side.inbox.clear();
  CtxtHandle context = side.context;
  const BehindSubmission behind = Draw(side);
  const SECURITY_STATUS status =
      SspiDecryptMessageAsync(side.async, &context, &m.in, 0, &m.attributes);
  if (!behind.Accepted(status)) Refused(side, status);
}

bool Conversation::PlaintextIsRight() const {
  const SecBuffer& data = memory_->buffers[1];
  if (data.BufferType != SECBUFFER_DATA || data.cbBuffer != message_bytes_) return false;
  const auto* const bytes = static_cast<unsigned char*>(data.pvBuffer);
  for (std::size_t i = 0; i < message_bytes_; ++i) {
    if (bytes[i] != static_cast<unsigned char>(message_first_ + i)) return false;
  }
  return true;
}

void Conversation::OnDecrypted(SECURITY_STATUS status) {
  Side& side = *current_;
  if (status != SEC_E_OK && status != SEC_I_RENEGOTIATE) {
    return Broken(fmt::format("opening ended with {}", transport::StatusName(status)));
  }
  if (status == SEC_E_OK && !PlaintextIsRight()) return Broken("a message arrived changed");
  KeepExtra(side, memory_->buffers[3]);
  round_.yard.GiveBack(std::exchange(memory_, nullptr));
  if (status == SEC_I_RENEGOTIATE) return SubmitLeg(side);
  NextMessage();
}

void Conversation::Broken(const std::string& what) {
  round_.evidence.Add("conversation: " + what);
  End(StressActivity::kConversation, StressOutcome::kCut);
}

void Conversation::Dispose(Side& side) {
  // The record of a callback that has been entered is done: freeing is legal.
  SspiFreeAsyncContext(side.async);
  if (!SecIsValidHandle(&side.context) || side.deleted) return;
  if (random_.Chance(500)) {
    DeleteAndForget(round_, side.context);
  } else {
    DeleteWithCallback(round_, side.context, notify_mode_);
  }
}

void Conversation::End(StressActivity activity, StressOutcome outcome) {
  Dispose(client_);
  Dispose(server_);
  if (memory_ != nullptr) round_.yard.GiveBack(memory_);
  if (own_credentials_ && !credentials_freed_) {
    FreeCredentialWithCallback(round_, client_credential_, KTLSIM_NOTIFY_POOL);
    FreeCredentialWithCallback(round_, server_credential_, KTLSIM_NOTIFY_ON_PROCESSOR);
  }
  round_.tally.Add(activity, outcome);
  StressRound& round = round_;
  delete this;
  round.live.fetch_sub(1, std::memory_order_release);
}

}  // namespace

void BeginStressConversation(StressRound& round, std::uint64_t seed) {
  round.live.fetch_add(1, std::memory_order_relaxed);
  auto conversation = std::make_unique<Conversation>(round, seed);
  // They belong to this conversation from here on.
  conversation.release()->Begin();
}

}  // namespace ktlsim::command
