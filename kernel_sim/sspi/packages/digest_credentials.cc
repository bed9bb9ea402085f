#include "kernel_sim/sspi/packages/digest_credentials.h"

#include <ktlsim/sspi_ext.h>

#include <cstring>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

// The members that the structures share.
struct IdentityTexts {
  const void* user;
  ULONG user_length;
  const void* domain;
  ULONG domain_length;
  const void* password;
  ULONG password_length;
  ULONG flags;
};

// Both widths have the same layout.
static_assert(sizeof(SEC_WINNT_AUTH_IDENTITY_A) == sizeof(SEC_WINNT_AUTH_IDENTITY_W));
static_assert(sizeof(SEC_WINNT_AUTH_IDENTITY_EXA) == sizeof(SEC_WINNT_AUTH_IDENTITY_EXW));

template <typename Identity>
IdentityTexts TextsOf(const Identity& identity) {
  return {identity.User,     identity.UserLength,     identity.Domain, identity.DomainLength,
          identity.Password, identity.PasswordLength, identity.Flags};
}

SECURITY_STATUS RefuseIdentity(PackageHost& host, SECURITY_STATUS status, const char* reason) {
  host.NoteReason(reason);
  return status;
}

// False: null with a length.
bool ReadText(const void* text, ULONG length, bool unicode, std::string* out) {
  out->clear();
  if (length == 0) return true;
  if (text == nullptr) return false;
  if (!unicode) {
    out->assign(static_cast<const char*>(text), length);
    return true;
  }
  std::u16string wide(length, u'\0');
  std::memcpy(wide.data(), text, std::size_t{2} * length);
  *out = ToUtf8(wide);
  OPENSSL_cleanse(wide.data(), 2 * wide.size());
  return true;
}

SECURITY_STATUS ReadTexts(PackageHost& host, const IdentityTexts& texts, DigestIdentity* identity) {
  constexpr ULONG kWidths = SEC_WINNT_AUTH_IDENTITY_ANSI | SEC_WINNT_AUTH_IDENTITY_UNICODE;
  const ULONG width = texts.flags & kWidths;
  if (width == 0 || width == kWidths || (texts.flags & SEC_WINNT_AUTH_IDENTITY_MARSHALLED) != 0) {
    return RefuseIdentity(host, SEC_E_UNKNOWN_CREDENTIALS,
                          "SEC_WINNT_AUTH_IDENTITY: Flags must name one width, ANSI or UNICODE");
  }
  if (texts.user_length > KTLSIM_NAME_UNITS_MAX || texts.domain_length > KTLSIM_NAME_UNITS_MAX ||
      texts.password_length > KTLSIM_NAME_UNITS_MAX) {
    return RefuseIdentity(host, SEC_E_INVALID_PARAMETER,
                          "SEC_WINNT_AUTH_IDENTITY: a text is too long");
  }
  const bool unicode = width == SEC_WINNT_AUTH_IDENTITY_UNICODE;
  std::string password;
  const bool good = ReadText(texts.user, texts.user_length, unicode, &identity->user) &&
                    ReadText(texts.domain, texts.domain_length, unicode, &identity->domain) &&
                    ReadText(texts.password, texts.password_length, unicode, &password);
  identity->password.Take(password);
  if (!good) {
    return RefuseIdentity(host, SEC_E_UNKNOWN_CREDENTIALS,
                          "SEC_WINNT_AUTH_IDENTITY: a text is NULL and has a length");
  }
  identity->unicode = unicode;
  identity->given = true;
  return SEC_E_OK;
}

}  // namespace

void DigestSecret::Take(std::string& text) {
  Wipe();
  text_ = text;
  OPENSSL_cleanse(text.data(), text.size());
}

void DigestSecret::Wipe() { OPENSSL_cleanse(text_.data(), text_.size()); }

SECURITY_STATUS ReadDigestIdentity(PackageHost& host, const void* auth_data,
                                   DigestIdentity* identity) {
  if (auth_data == nullptr) return SEC_E_OK;
  // The plain structure begins with a pointer. The others begin with their version and length,
  // which are no address.
  struct Head {
    ULONG version;
    ULONG length;
  } head{};
  std::memcpy(&head, auth_data, sizeof(head));
  if (head.version == SEC_WINNT_AUTH_IDENTITY_VERSION &&
      head.length == sizeof(SEC_WINNT_AUTH_IDENTITY_EXW)) {
    return ReadTexts(host, TextsOf(*static_cast<const SEC_WINNT_AUTH_IDENTITY_EXW*>(auth_data)),
                     identity);
  }
  if (head.version == SEC_WINNT_AUTH_IDENTITY_VERSION_2 &&
      (head.length & 0xffff) == sizeof(SEC_WINNT_AUTH_IDENTITY_EX2)) {
    return RefuseIdentity(
        host, SEC_E_UNKNOWN_CREDENTIALS,
        "SEC_WINNT_AUTH_IDENTITY_EX2 is not supported; use SEC_WINNT_AUTH_IDENTITY_EX");
  }
  return ReadTexts(host, TextsOf(*static_cast<const SEC_WINNT_AUTH_IDENTITY_W*>(auth_data)),
                   identity);
}

std::optional<DigestPassword> DigestIdentity::UsePassword() const {
  if (!given) return std::nullopt;
  if (!by_session) return DigestPassword{.session = nullptr, .text = password.view()};
  std::shared_ptr<const security::TokenSession> held = session.lock();
  if (held == nullptr) return std::nullopt;
  const std::optional<security::NetworkCredentials> kept = held->network_credentials();
  if (!kept) return std::nullopt;
  return DigestPassword{.session = std::move(held), .text = kept->password};
}

void ReadDefaultIdentity(DigestIdentity* identity) {
  const IdentityRef acting = ThreadIdentity::Get();
  if (acting == nullptr) return;
  const security::TokenStateRef state = static_cast<const security::Token&>(*acting).state();
  if (state->type() == security::TokenType::kImpersonation &&
      state->level() < security::ImpersonationLevel::kImpersonation) {
    return;
  }
  const std::shared_ptr<const security::TokenSession>& session = state->identity().logon_session;
  const std::optional<security::NetworkCredentials> kept =
      session != nullptr ? session->network_credentials() : std::nullopt;
  if (!kept) return;
  identity->user = kept->user;
  identity->domain = kept->domain;
  identity->unicode = true;
  identity->by_session = true;
  identity->session = session;
  identity->given = true;
}

DigestCredential::DigestCredential(PackageHost& host, Direction direction)
    : host_(host),
      direction_(direction),
      settings_(std::make_shared<const DigestServerSettings>()) {}

std::shared_ptr<const DigestServerSettings> DigestCredential::settings() const {
  const SpinLockHolder holder(lock_);
  return settings_;
}

SECURITY_STATUS DigestCredential::SetAttribute(ULONG attribute, const void* buffer, ULONG bytes) {
  if (attribute != KTLSIM_ATTR_DIGEST_SERVER && attribute != KTLSIM_ATTR_DIGEST_VERIFIER) {
    return SEC_E_UNSUPPORTED_FUNCTION;
  }
  if (direction_ != Direction::kInbound) {
    return RefuseIdentity(host_, SEC_E_INVALID_PARAMETER,
                          "the attribute is for a server's credential");
  }
  auto changed = std::make_shared<DigestServerSettings>(*settings());
  if (attribute == KTLSIM_ATTR_DIGEST_SERVER) {
    if (bytes < sizeof(KtlsimCred_DigestServer)) return SEC_E_INVALID_PARAMETER;
    const SECURITY_STATUS status = ReadDigestServer(
        host_, *static_cast<const KtlsimCred_DigestServer*>(buffer), changed.get());
    if (status != SEC_E_OK) return status;
  } else {
    if (bytes < sizeof(KtlsimCred_DigestVerifier)) return SEC_E_INVALID_PARAMETER;
    changed->verifier = *static_cast<const KtlsimCred_DigestVerifier*>(buffer);
  }
  std::shared_ptr<const DigestServerSettings> replaced = std::move(changed);
  const SpinLockHolder holder(lock_);
  settings_.swap(replaced);
  return SEC_E_OK;
}

SECURITY_STATUS DigestCredential::Name(std::string* name) {
  if (!identity_.given) return SEC_E_NO_CREDENTIALS;
  *name = identity_.user;
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
