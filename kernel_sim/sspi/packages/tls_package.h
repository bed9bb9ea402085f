// The TLS package: Schannel's names, OpenSSL's handshakes, our own record layer.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/packages/tls_session_store.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "kernel_sim/sspi/packages/tls_ticket_store.h"
#include "tls/handshake/endpoint.h"

namespace ktlsim::sspi {

struct TlsStoreOptions {
  // For so long a ticket key seals; the same on all nodes. A ticket opens at least so long.
  static constexpr std::int64_t kTicketPeriodS = 7200;
  std::int64_t ticket_period_s = kTicketPeriodS;
  // The longest that a handshake waits for a TLS 1.2 session; 1 to 30,000. Then it goes on as a
  // full one.
  std::uint32_t wait_ms = 2000;
  // Called when the ticket keys have been asked for, in whatever way that ended, with whether there
  // is a key that seals; on any thread, and must not block. May be empty.
  std::function<void(bool seals)> tickets_refreshed;
};

// Its calls into OpenSSL are made inside the fork gate, those for records apart: they take no lock.
class TlsPackage final : public Package {
 public:
  static TlsPackage& Instance();

  std::span<const std::string_view> Names() const override;
  std::span<const PackageInfo> Infos() const override;
  ULONG ContextAttributeBytes(ULONG attribute) const override;
  ULONG CredentialAttributeBytes(ULONG attribute) const override;
  CallResult Acquire(const AcquireArguments& arguments, PackageCall* call,
                     std::unique_ptr<PackageCredential>* credential) override;
  SECURITY_STATUS CreateContext(PackageCredential& credential,
                                std::unique_ptr<PackageContext>* context) override;
  void ForgetSessions(std::string_view target_name) override;

  // For the embedding program: servers' credentials that are acquired from now on have their ticket
  // keys from `store`, which several nodes share, and keep their TLS 1.2 sessions there. Asks for
  // the keys at once. Earlier credentials keep what they have. A null store: later credentials have
  // keys and sessions of their own again; those of the store before go on with the keys that they
  // have, and that store is not touched any more when this returns. False: no memory, and nothing
  // has changed. Passive level.
  bool UseStore(std::shared_ptr<context_store::ContextStore> store,
                const TlsStoreOptions& options = {}) KTLSIM_EXCLUDES(lock_);
  // Asks the store for keys that other nodes have made and for those that are due. To be called
  // several times in a period, and when the store has come back. Any thread, up to dispatch level;
  // nothing waits.
  void RefreshTicketKeys() KTLSIM_EXCLUDES(lock_);
  // Of all stores so far, but handshakes without a key: of the present one.
  TlsStoreStatistics StoreStatistics() KTLSIM_EXCLUDES(lock_);

 private:
  // Both are null: there is no shared store.
  struct Shared {
    std::shared_ptr<TlsTicketStore> tickets;
    std::shared_ptr<TlsSessionStore> sessions;
  };
  Shared Stores() KTLSIM_EXCLUDES(lock_);

  TlsStoreCounters store_counters_;
  SpinLock lock_;
  Shared shared_ KTLSIM_GUARDED_BY(lock_);
};

// What SCHANNEL_CRED or SCH_CREDENTIALS asked for, and one endpoint per processor.
class TlsCredential final : public PackageCredential {
 public:
  // `flags`: SCH_* bits of the structure. `options` is checked by building the first endpoint.
  static SECURITY_STATUS Create(PackageHost& host, Direction direction, ULONG flags,
                                ULONG protocols, tls::EndpointOptions options,
                                std::unique_ptr<PackageCredential>* credential);
  ~TlsCredential() override;

  Direction direction() const override { return direction_; }
  std::int64_t expiry() const override;
  SECURITY_STATUS SetAttribute(ULONG attribute, const void* buffer, ULONG bytes) override;
  SECURITY_STATUS QueryAttribute(ULONG attribute, void* buffer) override;
  SECURITY_STATUS Name(std::string* name) override;

  ULONG flags() const { return flags_; }
  // Names this credential's sessions: different credentials never share any, and none from before
  // the last ForgetSessions can be found.
  std::string resumption_key(std::string_view target_name) const;
  // The endpoint of the calling processor. Null: out of memory.
  std::shared_ptr<tls::Endpoint> EndpointHere();

 private:
  using Endpoints = std::vector<std::shared_ptr<tls::Endpoint>>;

  TlsCredential(PackageHost& host, Direction direction, ULONG flags, ULONG protocols);
  SECURITY_STATUS Rebuild(tls::EndpointOptions options) KTLSIM_EXCLUDES(mutex_);
  SECURITY_STATUS SetServerNames(const KtlsimCred_ServerNames& names,
                                 tls::EndpointOptions* options) const;

  SECURITY_STATUS SetTrust(const KtlsimCred_Trust& trust, tls::EndpointOptions* options) const;
  SECURITY_STATUS SetClientAuth(const KtlsimCred_ClientAuth& policy,
                                tls::EndpointOptions* options) const;
  SECURITY_STATUS SetSessions(const KtlsimCred_Sessions& sessions,
                              tls::EndpointOptions* options) const;

  PackageHost& host_;
  const Direction direction_;
  const ULONG flags_;
  const ULONG protocols_;
  const std::uint64_t number_;             // never used twice in a process
  std::size_t acquired_certificates_ = 0;  // the others came with KTLSIM_ATTR_SERVER_NAMES
  std::int64_t expiry_ = kNoExpiry;

  SpinLock mutex_;  // held for a few instructions: handshakes on every processor take it
  std::shared_ptr<const Endpoints> endpoints_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::sspi
