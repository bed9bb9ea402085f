#include "kernel_sim/command/digest_login.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/digest/challenge.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

// What WDigest promises (SecPkgInfo::cbMaxToken).
constexpr std::size_t kTokenBytesMax = 4096;
constexpr std::string_view kScheme = "Digest ";

std::string WrongProof(SECURITY_STATUS status) {
  return fmt::format(
      "the server's Authentication-Info is wrong ({}): it does not know the password",
      transport::StatusName(status));
}

void Drop(CtxtHandle& context) {
  if (SecIsValidHandle(&context)) static_cast<void>(DeleteSecurityContext(&context));
  SecInvalidateHandle(&context);
}

}  // namespace

DigestLogin::DigestLogin() { SecInvalidateHandle(&credential_); }

std::unique_ptr<DigestLogin> DigestLogin::Make(const std::string& user, const Password& password,
                                               std::size_t contexts, std::string* error) {
  std::unique_ptr<DigestLogin> login(new DigestLogin);
  std::string_view secret = password.text();
  // It is copied, and is not written to.
  SEC_WINNT_AUTH_IDENTITY_A identity{};
  identity.User = reinterpret_cast<unsigned char*>(const_cast<char*>(user.data()));
  identity.UserLength = static_cast<ULONG>(user.size());
  identity.Password = reinterpret_cast<unsigned char*>(const_cast<char*>(secret.data()));
  identity.PasswordLength = static_cast<ULONG>(secret.size());
  identity.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
  char package[] = WDIGEST_SP_NAME_A;
  const SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr, &identity, nullptr,
                                nullptr, &login->credential_, nullptr);
  if (status != SEC_E_OK) {
    *error = fmt::format("--digest: {}", KtlsimLastErrorText());
    return nullptr;
  }
  for (std::size_t i = 0; i < contexts; ++i) {
    auto session = std::make_unique<Session>();
    const MutexLock lock(session->lock);
    SecInvalidateHandle(&session->context);
    login->sessions_.push_back(nullptr);
    login->sessions_.back() = std::move(session);
  }
  return login;
}

DigestLogin::~DigestLogin() {
  proofs_.Wait();
  for (const auto& session : sessions_) {
    const MutexLock lock(session->lock);
    Drop(session->context);
  }
  if (SecIsValidHandle(&credential_)) static_cast<void>(FreeCredentialsHandle(&credential_));
}

std::string DigestLogin::Authenticate(std::size_t which, std::string_view challenge,
                                      const std::string& target, std::string* header) {
  std::array<SecBuffer, 3> in = {TextBuffer(SECBUFFER_TOKEN, challenge),
                                 TextBuffer(SECBUFFER_PKG_PARAMS, "GET"),
                                 TextBuffer(SECBUFFER_PKG_PARAMS, "")};
  SecBufferDesc input = {SECBUFFER_VERSION, static_cast<ULONG>(in.size()), in.data()};
  std::string room(kTokenBytesMax, '\0');
  SecBuffer out = {static_cast<ULONG>(room.size()), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  SecInvalidateHandle(&context);
  ULONG attributes = 0;
  const SECURITY_STATUS status = InitializeSecurityContextA(
      &credential_, nullptr, const_cast<char*>(target.c_str()), ISC_REQ_HTTP, 0,
      SECURITY_NATIVE_DREP, &input, 0, &context, &output, &attributes, nullptr);
  if (status != SEC_E_OK) {
    return fmt::format("the server's challenge cannot be responded to: {} ({})",
                       KtlsimLastErrorText(), transport::StatusName(status));
  }
  header->assign(kScheme).append(room.data(), out.cbBuffer);
  Session& session = *sessions_[which];
  {
    const MutexLock lock(session.lock);
    std::swap(session.context, context);
    session.challenge.clear();
    session.signed_before = std::max(session.signed_before, session.signed_now);
    session.signed_now = 1;
  }
  Drop(context);
  return {};
}

std::string DigestLogin::CheckServer(std::size_t which, const std::string& target,
                                     const std::string& header,
                                     std::string_view authentication_info) {
  CtxtHandle context;
  Session& session = *sessions_[which];
  {
    const MutexLock lock(session.lock);
    context = session.context;
  }
  std::array<SecBuffer, 5> buffers = ProofBuffers(authentication_info, target, header);
  SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
  ULONG qop = 0;
  const SECURITY_STATUS status = VerifySignature(&context, &message, 0, &qop);
  return status == SEC_E_OK ? std::string() : WrongProof(status);
}

std::vector<std::string> DigestLogin::TakeWrongProofs() {
  std::vector<std::string> texts;
  for (const SECURITY_STATUS status : proofs_.TakeWrong()) texts.push_back(WrongProof(status));
  return texts;
}

bool DigestLogin::Sign(std::size_t which, const std::string& target, std::string* header,
                       CtxtHandle* signed_by) {
  CtxtHandle context;
  Session& session = *sessions_[which];
  {
    const MutexLock lock(session.lock);
    if (!session.challenge.empty()) return false;
    context = session.context;
  }
  std::array<char, kTokenBytesMax> room;
  std::array<SecBuffer, 5> buffers = {
      TextBuffer(SECBUFFER_TOKEN, ""), TextBuffer(SECBUFFER_PKG_PARAMS, "GET"),
      TextBuffer(SECBUFFER_PKG_PARAMS, target), TextBuffer(SECBUFFER_PKG_PARAMS, ""),
      SecBuffer{room.size(), SECBUFFER_PADDING, room.data()}};
  SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
  if (MakeSignature(&context, 0, &message, 0) != SEC_E_OK) return false;
  header->assign(kScheme).append(room.data(), buffers[4].cbBuffer);
  *signed_by = context;
  const MutexLock lock(session.lock);
  ++session.signed_now;
  return true;
}

void DigestLogin::NoteChallenge(std::size_t which, std::string_view challenge) {
  Session& session = *sessions_[which];
  const MutexLock lock(session.lock);
  if (session.challenge.empty()) session.challenge = challenge;
}

std::string DigestLogin::Renew(const std::string& target) {
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    std::string challenge;
    {
      const MutexLock lock(sessions_[i]->lock);
      challenge = sessions_[i]->challenge;
    }
    if (challenge.empty()) continue;
    ++renewals_;
    // The response itself is not sent: the next signature has the next count.
    std::string header;
    std::string wrong = Authenticate(i, challenge, target, &header);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::uint32_t DigestLogin::nonce_count_max() const {
  std::uint32_t most = 0;
  for (const auto& session : sessions_) {
    const MutexLock lock(session->lock);
    most = std::max({most, session->signed_now, session->signed_before});
  }
  return most;
}

bool IsStale(std::string_view challenge) {
  digest::Challenge read;
  return digest::ParseChallenge(challenge, &read) == digest::Fault::kNone && read.stale;
}

}  // namespace ktlsim::command
