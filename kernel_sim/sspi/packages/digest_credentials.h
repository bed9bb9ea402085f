// The credentials of Digest: a client's name and password, or a server's settings.
#pragma once

#include <sspi.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/security/token.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// A text that is wiped when it goes away. Not copied.
class DigestSecret {
 public:
  DigestSecret() = default;
  DigestSecret(const DigestSecret&) = delete;
  DigestSecret& operator=(const DigestSecret&) = delete;
  ~DigestSecret() { Wipe(); }

  // `text` is wiped, too.
  void Take(std::string& text);
  std::string_view view() const { return text_; }

 private:
  void Wipe();

  std::string text_;
};

// A password in use. While this lives, so does the session that keeps it.
struct DigestPassword {
  std::shared_ptr<const security::TokenSession> session;  // null: it is the identity's own
  std::string_view text;
};

// Who a client is. All texts are UTF-8 if `unicode`; otherwise they are bytes that are taken for
// it.
struct DigestIdentity {
  bool given = false;  // false: there are not even default credentials
  bool unicode = false;
  std::string user;
  std::string domain;
  DigestSecret password;
  // The default credentials are those that the caller's logon session keeps. Their password stays
  // there, and goes with it.
  bool by_session = false;
  std::weak_ptr<const security::TokenSession> session;

  // Empty: there is none, or the session is over.
  std::optional<DigestPassword> UsePassword() const;
};

// The default credentials of whom the calling thread acts as, if there are any: of a client that is
// impersonated at the level kImpersonation at least, and whose session keeps some. May throw
// std::bad_alloc.
void ReadDefaultIdentity(DigestIdentity* identity);

// `auth_data`: SEC_WINNT_AUTH_IDENTITY in either width, or its EX form; null: none is given.
// SEC_E_UNKNOWN_CREDENTIALS: another structure, or flags that name no width;
// SEC_E_INVALID_PARAMETER: a text of more than KTLSIM_NAME_UNITS_MAX. Reasons are noted with
// `host`.
SECURITY_STATUS ReadDigestIdentity(PackageHost& host, const void* auth_data,
                                   DigestIdentity* identity);

class DigestCredential final : public PackageCredential {
 public:
  DigestCredential(PackageHost& host, Direction direction);

  Direction direction() const override { return direction_; }
  SECURITY_STATUS SetAttribute(ULONG attribute, const void* buffer, ULONG bytes) override;
  SECURITY_STATUS Name(std::string* name) override;

  // A client's. Fixed once the credential is handed out.
  DigestIdentity& identity() { return identity_; }
  // A server's, as they are now.
  std::shared_ptr<const DigestServerSettings> settings() const KTLSIM_EXCLUDES(lock_);

 private:
  PackageHost& host_;
  const Direction direction_;
  DigestIdentity identity_;
  mutable SpinLock lock_;
  std::shared_ptr<const DigestServerSettings> settings_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::sspi
