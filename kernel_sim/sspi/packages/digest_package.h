// The Digest package, "WDigest": the authentication of HTTP (RFC 2617, RFC 7616) and of SASL
// (RFC 2831), whose contexts outlive the connections they are used on.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/digest/client_cache.h"
#include "kernel_sim/sspi/packages/digest_index.h"
#include "kernel_sim/sspi/packages/digest_store.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// The row of EnumerateSecurityPackages.
inline constexpr PackageInfo kDigestInfo = {"WDigest", "Digest Authentication for Windows",
                                            SECPKG_FLAG_TOKEN_ONLY | SECPKG_FLAG_IMPERSONATION |
                                                SECPKG_FLAG_ACCEPT_WIN32_NAME |
                                                SECPKG_FLAG_APPCONTAINER_CHECKS,
                                            21, 4096};

// Its calls into OpenSSL are made inside the fork gate.
class DigestPackage final : public Package {
 public:
  // How many servers the clients of this process keep a nonce of.
  static constexpr std::size_t kClientEntriesMax = 65'536;

  static DigestPackage& Instance();

  std::span<const std::string_view> Names() const override;
  std::span<const PackageInfo> Infos() const override;
  ULONG ContextAttributeBytes(ULONG attribute) const override;
  CallResult Acquire(const AcquireArguments& arguments, PackageCall* call,
                     std::unique_ptr<PackageCredential>* credential) override;
  bool Signs() const override { return true; }
  bool HasKernelModeAsync() const override { return false; }
  SECURITY_STATUS CreateContext(PackageCredential& credential,
                                std::unique_ptr<PackageContext>* context) override;

  // For the embedding program: established contexts are kept in `store` from now on, which all
  // nodes with `keys` share; null: in this process's memory again. Contexts of an earlier store
  // have to authenticate once more, and that store is not touched any more when this returns.
  // False: no randomness, and nothing has changed. Passive level. May throw std::bad_alloc.
  bool UseStore(std::shared_ptr<context_store::ContextStore> store,
                const std::shared_ptr<const context_store::NodeKeys>& keys) KTLSIM_EXCLUDES(lock_);

  // For its contexts. Null: no memory, or no randomness.
  std::shared_ptr<DigestStore> Store() KTLSIM_EXCLUDES(lock_);
  // This process's memory, which is also there when the store is gone.
  std::shared_ptr<DigestStore> LocalStore() KTLSIM_EXCLUDES(lock_);
  DigestIndex& index() { return index_; }
  digest::ClientCache& client_cache() { return client_cache_; }
  PackageHost& package_host() const { return host(); }

  // Ends what an index says is over. The caller holds no lock.
  void End(const DigestIndex::Ended& ended);

 private:
  DigestIndex index_;
  digest::ClientCache client_cache_{kClientEntriesMax};
  Mutex lock_;
  std::shared_ptr<DigestStore> shared_ KTLSIM_GUARDED_BY(lock_);  // may be null
  std::shared_ptr<DigestStore> local_ KTLSIM_GUARDED_BY(lock_);   // made when it is needed
};

}  // namespace ktlsim::sspi
