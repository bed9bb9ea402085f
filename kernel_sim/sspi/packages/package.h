// Package: what a security support provider implements. The SSPI layer above it owns handles,
// strands, async contexts and argument checks; a package sees one call at a time per context.
//
// Everything here runs at dispatch level on a processor unless said otherwise: it may compute, it
// must not block. A leg that has to wait for something suspends.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/executive/request.h"
#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::sspi {

enum class Direction : std::uint8_t { kInbound, kOutbound };

// The expiry "never".
inline constexpr std::int64_t kNoExpiry = 0x7FFFFFFFFFFFFFFF;

struct AcquireArguments {
  Direction direction = Direction::kOutbound;
  std::string principal;            // UTF-8, may be empty
  const void* auth_data = nullptr;  // the caller's graph, alive until the call completes
};

class PackageCredential {
 public:
  virtual ~PackageCredential() = default;
  virtual Direction direction() const = 0;
  virtual std::int64_t expiry() const { return kNoExpiry; }  // as a TimeStamp
  // Passive level.
  virtual SECURITY_STATUS SetAttribute(ULONG attribute, const void* buffer, ULONG bytes);
  virtual SECURITY_STATUS QueryAttribute(ULONG attribute, void* buffer);
  // The name of the credential's subject, in UTF-8; SEC_E_NO_CREDENTIALS: it has none.
  virtual SECURITY_STATUS Name(std::string* name);
};

struct LegArguments {
  PackageCredential* credential = nullptr;  // null on a later leg that names none
  std::string_view target_name;             // UTF-8
  std::uint64_t flags = 0;                  // ISC_REQ_* or ASC_REQ_*
  PSecBufferDesc input = nullptr;
  PSecBufferDesc output = nullptr;
  executive::Request* request = nullptr;  // for a resume token, and to see whether it resumes
};

struct LegResult {
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  bool suspended = false;        // nothing else counts; the same leg runs again once resumed
  bool established = false;      // records may flow from now on
  ULONG attributes = 0;          // ISC_RET_* or ASC_RET_*
  const char* reason = nullptr;  // why it failed, a literal; null: the status says all there is
  std::int64_t expiry = kNoExpiry;
};

class PackageContext {
 public:
  virtual ~PackageContext() = default;

  // One call of Initialize or AcceptSecurityContext, under the context's strand. After it has
  // reported `established`, also under both record claims.
  virtual LegResult Leg(const LegArguments& arguments) = 0;

  // Why the context has ended, a literal; null: it has not, or the status is the only reason. Any
  // thread.
  virtual const char* WhyFailed() const { return nullptr; }

  // Only after `established`, but Query also before for KTLSIM_ATTR_CONTEXT_FAILURE, while a leg
  // may run. Encrypt under the seal claim, Decrypt under the open claim, Query under the seal
  // claim: Encrypt and Decrypt may run at once. Any thread, any level.
  virtual SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence);
  virtual SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop);
  virtual SECURITY_STATUS Query(ULONG attribute, void* buffer);

  // Under the strand, and both claims once established.
  virtual SECURITY_STATUS ApplyControlToken(SecBufferDesc& input);
  virtual SECURITY_STATUS CompleteAuthToken(SecBufferDesc& token);
};

// A row of EnumerateSecurityPackages; the members of SecPkgInfo. The texts are ASCII literals.
struct PackageInfo {
  std::string_view name;
  std::string_view comment;
  ULONG capabilities = 0;  // SECPKG_FLAG_*
  USHORT rpc_id = 0;
  ULONG max_token = 0;  // bytes
};

class Package {
 public:
  virtual ~Package() = default;
  // Every name under which it can be acquired.
  virtual std::span<const std::string_view> Names() const = 0;
  // What enumeration shows, a row per name. A name without a row can be acquired all the same.
  virtual std::span<const PackageInfo> Infos() const { return {}; }
  // Bytes that the caller's structure must have for an attribute of a context or a credential, as
  // the Ex forms check it; 0: any size, or no attribute of this package.
  virtual ULONG ContextAttributeBytes(ULONG) const { return 0; }
  virtual ULONG CredentialAttributeBytes(ULONG) const { return 0; }
  // Passive level or a processor. SEC_E_OK and a credential, or why there is none.
  virtual SECURITY_STATUS Acquire(const AcquireArguments& arguments,
                                  std::unique_ptr<PackageCredential>* credential) = 0;
  virtual SECURITY_STATUS CreateContext(PackageCredential& credential,
                                        std::unique_ptr<PackageContext>* context) = 0;
  // SslEmptyCache: no session for `target_name` (UTF-8) is resumed from now on; empty: none at all.
  // Any thread. May throw bad_alloc.
  virtual void ForgetSessions(std::string_view) {}

  // Called by the runtime, once, before all other calls.
  void SetHost(PackageHost& host) { host_ = &host; }

 protected:
  PackageHost& host() const { return *host_; }

 private:
  PackageHost* host_ = nullptr;
};

}  // namespace ktlsim::sspi
