// The TLS package: Schannel's names, OpenSSL's handshakes, our own record layer.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/sspi/packages/package.h"
#include "tls/handshake/endpoint.h"

namespace ktlsim::sspi {

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
