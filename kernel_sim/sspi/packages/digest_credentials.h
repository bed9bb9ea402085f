// The credentials of Digest: a client's name and password, or a server's settings.
#pragma once

#include <sspi.h>

#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/mutex.h"
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

// Who a client is. All texts are UTF-8 if `unicode`; otherwise they are bytes that are taken for
// it.
struct DigestIdentity {
  bool given = false;  // false: the default credentials, of which there are none
  bool unicode = false;
  std::string user;
  std::string domain;
  DigestSecret password;
};

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
