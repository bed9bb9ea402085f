#include "kernel_sim/serve/access_content.h"

#include <ktlsim/security.h>

#include <new>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::serve {
namespace {

using security::Fault;

class AccessContent final : public HttpContent {
 public:
  AccessContent(AccessGuard& guard, HttpContent& inside, transport::Connection& connection)
      : guard_(guard),
        inside_(inside),
        text_(inside.request_text() != nullptr ? *inside.request_text() : own_text_),
        connection_(connection),
        generation_(share().mapper->generation()),
        connection_id_(1 + share().connections.fetch_add(1, std::memory_order_relaxed)) {}

  HttpRequestText* request_text() override { return &text_; }
  // Whether the client may send it is known when it has been asked who it is.
  bool WantsBody(const HttpRequest& /*request*/) override { return false; }
  void SetClient(const CtxtHandle& context) override { client_ = context; }
  std::uint64_t connection_id() const override { return connection_id_; }
  Outcome Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                 HttpResponse& response) override;
  Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& waiter,
               std::size_t* bytes) override;
  void EndResponse() override;
  void Release() override;

 private:
  // Who responds.
  enum class By : std::uint8_t { kInside, kItself };

  ~AccessContent() = default;

  AccessShare& share() const { return *guard_.options().share; }
  AccessVerdict Judge(const HttpRequest& request);
  std::optional<AccessVerdict> BecomeClient();
  AccessVerdict Check(const HttpRequest& request, const AccessObject& object);
  unsigned StatusOf(AccessVerdict verdict) const;
  void Describe(unsigned status, HttpResponse& response);

  // Fixed.
  AccessGuard& guard_;
  HttpContent& inside_;
  HttpRequestText own_text_;
  HttpRequestText& text_;
  transport::Connection& connection_;
  // Of the accounts, before the handshake: what TLS has mapped is of this one or of a later one.
  const std::uint64_t generation_;
  const std::uint64_t connection_id_;

  // Of the request under way.
  std::optional<CtxtHandle> client_;  // of Digest
  CtxtHandle context_{};              // whose token this is; unused for nobody's
  security::Token::Ref token_;        // as whom the content inside works
  std::string body_;
  unsigned refusal_ = 0;  // for kUnresolved
  By by_ = By::kItself;
  bool anonymous_ = false;
};

// The thread acts as the client in here, and as the process again at the end, whatever becomes of
// the context meanwhile.
HttpContent::Outcome AccessContent::Answer(const HttpRequest& request, HttpContentWaiter& waiter,
                                           HttpResponse& response) {
  const ThreadIdentity::Scope as_before;
  by_ = By::kItself;
  const AccessVerdict verdict = Judge(request);
  guard_.Count(verdict);
  if (verdict == AccessVerdict::kGranted || verdict == AccessVerdict::kGrantedAnonymous) {
    by_ = By::kInside;
    return inside_.Answer(request, waiter, response);
  }
  if (verdict == AccessVerdict::kOutdated) {
    // Whoever keeps connections dials again for a request that nobody has begun to respond to.
    connection_.Close();
    return Outcome::kLater;
  }
  Describe(StatusOf(verdict), response);
  return Outcome::kReady;
}

AccessVerdict AccessContent::Judge(const HttpRequest& request) {
  try {
    const std::shared_ptr<const AccessPolicy> policy = guard_.options().policies->Current();
    const AccessObject object = policy->Find(text_.target);
    refusal_ = object.refusal;
    if (refusal_ != 0) return AccessVerdict::kUnresolved;
    const std::optional<AccessVerdict> failed = BecomeClient();
    return failed ? *failed : Check(request, object);
  } catch (const std::bad_alloc&) {
    return AccessVerdict::kUnavailable;
  }
}

// None: the thread acts as the client.
std::optional<AccessVerdict> AccessContent::BecomeClient() {
  context_ = client_ ? *client_ : connection_.security_context();
  SECURITY_STATUS status = ImpersonateSecurityContext(&context_);
  anonymous_ = status == SEC_E_NO_IMPERSONATION || status == SEC_E_LOGON_DENIED ||
               status == SEC_E_MULTIPLE_ACCOUNTS;
  if (anonymous_) {
    status = authorization::Impersonate(share().anonymous) == Fault::kNone
                 ? SEC_E_OK
                 : SEC_E_INSUFFICIENT_MEMORY;
  } else if (!client_ && generation_ != share().mapper->generation()) {
    return AccessVerdict::kOutdated;
  }
  if (status != SEC_E_OK) return AccessVerdict::kUnavailable;
  token_ = authorization::ThreadToken();
  return std::nullopt;
}

AccessVerdict AccessContent::Check(const HttpRequest& request, const AccessObject& object) {
  const security::Token::Ref& process = authorization::ProcessToken();
  if (process == nullptr || token_ == nullptr) return AccessVerdict::kUnavailable;
  const security::TokenStateRef server = process->state();
  const security::TokenStateRef client = token_->state();
  const auto& session = client->identity().logon_session;
  const audit::AuditParties parties{
      .trail = share().trail,
      .process = *server,
      .client = client.get(),
      .client_name = session != nullptr ? session->user_name() : std::string_view(),
      .context_id = anonymous_ ? 0 : static_cast<std::uint64_t>(context_.dwUpper),
      .connection_id = connection_id_};
  const audit::AuditedObject audited{
      .subsystem = "ktlsim serve", .type = "File", .name = object.name};
  const audit::AuditedRequest asked{.descriptor = object.descriptor(),
                                    .desired = RightsOfMethod(request.method_name),
                                    .mapping = security::kFileMapping};
  audit::AuditedAccess access;
  if (audit::CheckAccessAndAudit(parties, audited, asked, &access) != Fault::kNone) {
    return AccessVerdict::kUnavailable;
  }
  if (access.result.allowed) {
    return anonymous_ ? AccessVerdict::kGrantedAnonymous : AccessVerdict::kGranted;
  }
  if (access.result.reason == Fault::kNoSystemResources) return AccessVerdict::kUnrecorded;
  return anonymous_ ? AccessVerdict::kDeniedAnonymous : AccessVerdict::kDenied;
}

// Who has authenticated with Digest, and has no account, is not asked once more.
unsigned AccessContent::StatusOf(AccessVerdict verdict) const {
  if (verdict == AccessVerdict::kUnresolved) return refusal_;
  if (verdict == AccessVerdict::kDenied) return 403;
  if (verdict != AccessVerdict::kDeniedAnonymous) return 503;
  return guard_.options().challenges && !client_ ? 401 : 403;
}

void AccessContent::Describe(unsigned status, HttpResponse& response) {
  token_.reset();
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  try {
    body_ = fmt::format("{} {}\n", status, HttpReason(status));
  } catch (const std::bad_alloc&) {
    body_.clear();
  }
  response.body_bytes = body_.size();
}

HttpContent::Outcome AccessContent::Fill(std::uint64_t offset, std::span<std::byte> out,
                                         HttpContentWaiter& waiter, std::size_t* bytes) {
  if (by_ == By::kInside) {
    const ThreadIdentity::Scope as_client(token_);
    return inside_.Fill(offset, out, waiter, bytes);
  }
  KTLSIM_ASSERT(offset < body_.size());
  *bytes = body_.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  return Outcome::kReady;
}

void AccessContent::EndResponse() {
  if (by_ == By::kInside) {
    inside_.EndResponse();
  } else {
    text_.Clear();
  }
  own_text_.Clear();
  by_ = By::kItself;
  client_.reset();
  token_.reset();
  body_ = {};
}

void AccessContent::Release() {
  inside_.Release();
  delete this;
}

}  // namespace

HttpContent* MakeAccessContent(AccessGuard& guard, HttpContent& content,
                               transport::Connection& connection) {
  auto* guarded = new (std::nothrow) AccessContent(guard, content, connection);
  if (guarded == nullptr) content.Release();
  return guarded;
}

}  // namespace ktlsim::serve
