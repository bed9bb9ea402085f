#include "kernel_sim/serve/digest_content.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/digest_call.h"
#include "kernel_sim/serve/digest_user.h"

namespace ktlsim::serve {
namespace {

using audit::LogonFailure;

// What a call says of a response; kNone: it is right, or nobody has looked whether it is.
LogonFailure FailureOf(bool maintained, SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_LOGON_DENIED:
      return maintained ? LogonFailure::kNone : LogonFailure::kDenied;
    case SEC_E_OUT_OF_SEQUENCE:
      return maintained ? LogonFailure::kReplayed : LogonFailure::kNone;
    case SEC_E_MESSAGE_ALTERED:
    case SEC_E_INVALID_TOKEN:
      return maintained ? LogonFailure::kWrong : LogonFailure::kNone;
    default:
      return LogonFailure::kNone;
  }
}

// kNone: the response was right, and its nonce is old.
DigestOutcome OutcomeOf(LogonFailure why) {
  switch (why) {
    case LogonFailure::kNone:
      return DigestOutcome::kStale;
    case LogonFailure::kReplayed:
      return DigestOutcome::kReplayed;
    case LogonFailure::kDenied:
    case LogonFailure::kWrong:
    case LogonFailure::kContextEnded:
      break;
  }
  return DigestOutcome::kRefused;
}

// Whether somebody may learn from the verdict that a guess was wrong. Of the others an honest
// client may send as many as there are, so that none of them is refused for a record.
bool IsVerified(LogonFailure why) {
  return why != LogonFailure::kNone && why != LogonFailure::kContextEnded;
}

// The number of a connection in records.
std::uint64_t NumberOf(const DigestGuard& guard, const HttpContent& inside) {
  const std::uint64_t number = inside.connection_id();
  std::atomic<std::uint64_t>* const numbers = guard.options().connections;
  if (number != 0 || numbers == nullptr) return number;
  return 1 + numbers->fetch_add(1, std::memory_order_relaxed);
}

class DigestContent final : public HttpContent {
 public:
  DigestContent(DigestGuard& guard, HttpContent& inside, transport::Connection& connection)
      : guard_(guard),
        inside_(inside),
        connection_id_(NumberOf(guard, inside)),
        text_(inside.request_text() != nullptr ? inside.request_text() : &own_text_),
        connection_(&connection) {}

  HttpRequestText* request_text() override { return text_; }
  std::uint64_t connection_id() const override { return connection_id_; }
  bool WantsBody(const HttpRequest& request) override;
  Outcome Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                 HttpResponse& response) override;
  Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& waiter,
               std::size_t* bytes) override;
  void EndResponse() override;
  void Release() override;

 private:
  // What the call in flight is for.
  enum class Step : std::uint8_t {
    kNone,
    kAccept,     // AcceptSecurityContext with the client's header
    kComplete,   // CompleteAuthToken, after SEC_I_COMPLETE_NEEDED
    kChallenge,  // AcceptSecurityContext without a header
  };
  // Who responds.
  enum class By : std::uint8_t { kInside, kItself };

  ~DigestContent();

  static void OnDone(SspiAsyncContext* async, void* self);
  bool IsServedUnasked(Outcome* outcome);
  bool Begin(const HttpRequest& request);
  bool Prepare();
  void Submit(Step step);
  void Finished(SECURITY_STATUS status);
  void FinishedAccept(SECURITY_STATUS status);
  void FinishedComplete(SECURITY_STATUS status);
  void FinishedChallenge(SECURITY_STATUS status);
  void NoteContext(SECURITY_STATUS status);
  void FinishedUnseen(Step step, SECURITY_STATUS status);
  void Challenge(SECURITY_STATUS status, LogonFailure why);
  bool Record(LogonFailure why) const;
  void Pass(DigestOutcome how);
  void Refuse(unsigned status, DigestOutcome why, SECURITY_STATUS reason);
  void Describe(unsigned status);
  void DescribeChallenge();
  void Count(DigestOutcome outcome, SECURITY_STATUS status);
  void Tell();
  void Delete();

  // Fixed.
  DigestGuard& guard_;
  HttpContent& inside_;
  const std::uint64_t connection_id_;

  HttpRequestText own_text_;
  HttpRequestText* text_;  // of the content inside, if that has one; its own from Release on
  transport::Connection* connection_;  // null: it has ended, and a call is in flight
  SspiAsyncContext* async_ = nullptr;  // from the first protected request on
  unsigned refusals_ = 0;              // since somebody was let in

  // Of the request under way.
  std::unique_ptr<DigestCall> call_;
  const HttpRequest* request_ = nullptr;
  HttpResponse* response_ = nullptr;
  HttpContentWaiter* waiter_ = nullptr;
  std::string fields_;
  std::string body_;
  DigestOutcome outcome_ = DigestOutcome::kChallenged;  // why there is a challenge
  Step step_ = Step::kNone;
  By by_ = By::kInside;
  bool accepted_again_ = false;
};

DigestContent::~DigestContent() {
  if (async_ != nullptr) SspiFreeAsyncContext(async_);
}

// A client that has not said who it is would send a body in vain.
bool DigestContent::WantsBody(const HttpRequest& request) {
  std::string_view token;
  bool covered = true;
  try {
    covered = guard_.Covers(text_->target);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (covered && !DigestTokenOf(text_->authorization, &token)) return false;
  return inside_.WantsBody(request);
}

HttpContent::Outcome DigestContent::Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                                           HttpResponse& response) {
  request_ = &request;
  response_ = &response;
  waiter_ = &waiter;
  Outcome outcome = Outcome::kReady;
  if (IsServedUnasked(&outcome)) return outcome;
  by_ = By::kItself;
  bool covered = true;
  try {
    covered = guard_.Covers(text_->target);
    if (covered && Begin(request)) return Outcome::kLater;
  } catch (const std::bad_alloc&) {
    covered = true;  // it is not known that the path is open to everybody
  }
  if (covered) {
    Count(DigestOutcome::kUnavailable, SEC_E_INSUFFICIENT_MEMORY);
    Describe(503);
    return Outcome::kReady;
  }
  by_ = By::kInside;
  return inside_.Answer(request, waiter, response);
}

// The content may know the client by itself. If it does not let it in, and says so with 401, there
// is a challenge in the place of its response.
bool DigestContent::IsServedUnasked(Outcome* outcome) {
  std::string_view token;
  if (!guard_.options().unless_asked) return false;
  if (DigestTokenOf(text_->authorization, &token) && !token.empty()) return false;
  by_ = By::kInside;
  *outcome = inside_.Answer(*request_, *waiter_, *response_);
  return *outcome != Outcome::kReady || response_->status != 401;
}

// False: no memory, or the library takes no call.
bool DigestContent::Begin(const HttpRequest& request) {
  std::string_view token;
  const bool said = DigestTokenOf(text_->authorization, &token) && !token.empty();
  call_ = std::make_unique<DigestCall>(*guard_.options().credentials, request.method_name,
                                       text_->target, token);
  accepted_again_ = false;
  outcome_ = DigestOutcome::kChallenged;
  if (!Prepare()) return false;
  step_ = said ? Step::kAccept : Step::kChallenge;
  const bool begun = call_->Accept(async_) == SEC_E_OK;
  if (!begun) step_ = Step::kNone;
  return begun;
}

bool DigestContent::Prepare() {
  if (async_ == nullptr) {
    async_ = SspiCreateAsyncContext();
    if (async_ == nullptr) return false;
    KTLSIM_CHECK(SspiSetAsyncNotifyCallback(async_, &OnDone, this) == SEC_E_OK);
    KTLSIM_CHECK(KtlsimSetNotifyMode(async_, KTLSIM_NOTIFY_ON_PROCESSOR) == SEC_E_OK);
  }
  KTLSIM_CHECK(SspiReinitAsyncContext(async_) == STATUS_SUCCESS);
  return true;
}

void DigestContent::OnDone(SspiAsyncContext* async, void* self) {
  static_cast<DigestContent*>(self)->Finished(SspiGetAsyncCallStatus(async));
}

void DigestContent::Finished(SECURITY_STATUS status) {
  const Step step = std::exchange(step_, Step::kNone);
  if (step != Step::kComplete) NoteContext(status);
  if (connection_ == nullptr) {
    FinishedUnseen(step, status);
    Delete();
    return;
  }
  switch (step) {
    case Step::kAccept:
      return FinishedAccept(status);
    case Step::kComplete:
      return FinishedComplete(status);
    case Step::kChallenge:
      return FinishedChallenge(status);
    case Step::kNone:
      break;
  }
  KTLSIM_ASSERT(false);
}

// Who cuts the connection after a guess has guessed all the same.
void DigestContent::FinishedUnseen(Step step, SECURITY_STATUS status) {
  const LogonFailure why = FailureOf(step == Step::kComplete, status);
  if (step == Step::kChallenge || why == LogonFailure::kNone) return;
  Count(OutcomeOf(why), status);
  // There is nobody to be refused for a record that is missing; the trail counts it.
  static_cast<void>(Record(why));
}

// The caller of the first leg owes the context a delete.
void DigestContent::NoteContext(SECURITY_STATUS status) {
  DigestContexts& contexts = *guard_.options().contexts;
  const std::uint64_t now_ns = MonotonicClock::Now();
  if (status == SEC_I_CONTINUE_NEEDED) contexts.NoteChallenge(call_->context(), now_ns);
  // Also one that another server has made: it is here from now on.
  if (status == SEC_E_OK || status == SEC_I_COMPLETE_NEEDED) {
    contexts.NoteUse(call_->context(), now_ns);
  }
}

void DigestContent::FinishedAccept(SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_OK:
      return Pass(DigestOutcome::kAuthenticated);
    case SEC_I_COMPLETE_NEEDED:
      return Submit(Step::kComplete);
    case SEC_I_CONTINUE_NEEDED:
      // The package has seen that the response is right, and says so in the challenge.
      Count(DigestOutcome::kStale, status);
      DescribeChallenge();
      return Tell();
    case SEC_E_LOGON_DENIED:
      return Challenge(status, FailureOf(false, status));
    case SEC_E_INVALID_TOKEN:
      return Refuse(400, DigestOutcome::kMalformed, status);
    default:
      return Refuse(503, DigestOutcome::kUnavailable, status);
  }
}

void DigestContent::FinishedComplete(SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_OK:
      return Pass(DigestOutcome::kMaintained);
    case SEC_E_NO_AUTHENTICATING_AUTHORITY:
      return Challenge(status, LogonFailure::kNone);
    case SEC_E_INVALID_HANDLE:
      // The context has ended meanwhile. Without it the response is judged like a stranger's.
      if (!std::exchange(accepted_again_, true)) return Submit(Step::kAccept);
      return Challenge(status, LogonFailure::kContextEnded);
    case SEC_E_OUT_OF_SEQUENCE:
    case SEC_E_MESSAGE_ALTERED:
    case SEC_E_INVALID_TOKEN:
      return Challenge(status, FailureOf(true, status));
    default:
      return Refuse(503, DigestOutcome::kUnavailable, status);
  }
}

void DigestContent::FinishedChallenge(SECURITY_STATUS status) {
  if (status != SEC_I_CONTINUE_NEEDED) return Refuse(503, DigestOutcome::kUnavailable, status);
  if (outcome_ == DigestOutcome::kChallenged) Count(outcome_, status);
  DescribeChallenge();
  Tell();
}

void DigestContent::Challenge(SECURITY_STATUS status, LogonFailure why) {
  outcome_ = OutcomeOf(why);
  Count(outcome_, status);
  if (IsVerified(why) && ++refusals_ >= kDigestRefusalsMax) {
    response_->close = true;
    response_->keep_alive = false;
  }
  if (!Record(why)) return Refuse(503, DigestOutcome::kUnavailable, SEC_E_INSUFFICIENT_MEMORY);
  call_->DropToken();
  Submit(Step::kChallenge);
}

// False: the failure has to be recorded and cannot be.
bool DigestContent::Record(LogonFailure why) const {
  audit::AuditTrail* const trail = guard_.options().trail;
  if (why == LogonFailure::kNone || trail == nullptr) return true;
  const security::Token::Ref& process = authorization::ProcessToken();
  if (process == nullptr) return false;
  try {
    std::string_view token;
    DigestTokenOf(text_->authorization, &token);
    const security::TokenStateRef server = process->state();
    const bool recorded =
        audit::AuditLogon({.trail = trail, .process = *server, .connection_id = connection_id_},
                          {.subsystem = "ktlsim serve", .type = "WDigest", .name = text_->target},
                          ClaimedUser(token), why) == security::Fault::kNone;
    return recorded || !IsVerified(why);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void DigestContent::Submit(Step step) {
  KTLSIM_CHECK(SspiReinitAsyncContext(async_) == STATUS_SUCCESS);
  step_ = step;
  const SECURITY_STATUS submitted =
      step == Step::kComplete ? call_->Complete(async_) : call_->Accept(async_);
  if (submitted == SEC_E_OK) return;
  step_ = Step::kNone;
  if (step == Step::kComplete && submitted == SEC_E_INVALID_HANDLE) {
    FinishedComplete(submitted);
  } else {
    Refuse(503, DigestOutcome::kUnavailable, submitted);
  }
}

// ---- The response

void DigestContent::Pass(DigestOutcome how) {
  Count(how, SEC_E_OK);
  refusals_ = 0;
  try {
    fields_ = call_->Sign();
  } catch (const std::bad_alloc&) {
    fields_.clear();
  }
  // A client may have made it longer than a response has room for; it can do without.
  if (fields_.size() <= kAuthenticationInfoBytesMax) response_->authentication_info = fields_;
  inside_.SetClient(call_->context());
  call_.reset();
  by_ = By::kInside;
  if (inside_.Answer(*request_, *waiter_, *response_) == Outcome::kReady) Tell();
}

void DigestContent::Refuse(unsigned status, DigestOutcome why, SECURITY_STATUS reason) {
  Count(why, reason);
  Describe(status);
  Tell();
}

void DigestContent::Describe(unsigned status) {
  response_->status = status;
  response_->content_type = "text/plain; charset=utf-8";
  try {
    body_ = fmt::format("{} {}\n", status, HttpReason(status));
    response_->body_bytes = body_.size();
  } catch (const std::bad_alloc&) {
    body_.clear();
    response_->body_bytes = 0;
  }
}

void DigestContent::DescribeChallenge() {
  // The response was right: the client can go on without asking its user.
  const bool right = outcome_ == DigestOutcome::kStale || outcome_ == DigestOutcome::kReplayed;
  try {
    fields_.clear();
    for (std::size_t i = 0; i < 2; ++i) {
      if (call_->challenge(i).empty()) continue;
      fields_ += fmt::format("WWW-Authenticate: Digest {}{}\r\n", call_->challenge(i),
                             right ? ", stale=true" : "");
    }
  } catch (const std::bad_alloc&) {
    fields_.clear();
    return Describe(503);
  }
  response_->fields = fields_;
  Describe(401);
}

void DigestContent::Count(DigestOutcome outcome, SECURITY_STATUS status) {
  guard_.Count(outcome, connection_, text_->target, status);
}

// From a turn of its own: a callback never runs inside the submission.
void DigestContent::Tell() { waiter_->OnContentReady(); }

HttpContent::Outcome DigestContent::Fill(std::uint64_t offset, std::span<std::byte> out,
                                         HttpContentWaiter& waiter, std::size_t* bytes) {
  if (by_ == By::kInside) return inside_.Fill(offset, out, waiter, bytes);
  KTLSIM_ASSERT(offset < body_.size());
  *bytes = body_.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  return Outcome::kReady;
}

// An idle connection keeps nothing but its async context.
void DigestContent::EndResponse() {
  KTLSIM_ASSERT(step_ == Step::kNone);
  // Also where it was asked and its response not used.
  if (by_ == By::kInside || guard_.options().unless_asked) inside_.EndResponse();
  if (by_ == By::kItself) text_->Clear();
  own_text_.Clear();
  call_.reset();
  fields_ = {};
  body_ = {};
}

void DigestContent::Release() {
  // The content inside takes its texts with it; a call in flight may end in a record.
  if (text_ != &own_text_ && step_ != Step::kNone) own_text_ = std::move(*text_);
  text_ = &own_text_;
  connection_ = nullptr;
  inside_.Release();
  if (step_ == Step::kNone) Delete();
}

void DigestContent::Delete() {
  Rundown& contents = guard_.contents();
  delete this;
  contents.Leave();
}

}  // namespace

HttpContent* MakeDigestContent(DigestGuard& guard, HttpContent& content,
                               transport::Connection& connection) {
  if (!guard.contents().Enter()) {
    content.Release();
    return nullptr;
  }
  auto* guarded = new (std::nothrow) DigestContent(guard, content, connection);
  if (guarded == nullptr) {
    content.Release();
    guard.contents().Leave();
  }
  return guarded;
}

}  // namespace ktlsim::serve
