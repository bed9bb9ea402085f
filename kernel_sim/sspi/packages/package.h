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
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::sspi {

enum class Direction : std::uint8_t { kInbound, kOutbound };

// The expiry "never".
inline constexpr std::int64_t kNoExpiry = 0x7FFFFFFFFFFFFFFF;

// Why a call runs. After kTimedOut it must end; so it must after kStopping, as
// SEC_E_SHUTDOWN_IN_PROGRESS. One that suspends nevertheless is ended: kTimedOut as
// SEC_E_INTERNAL_ERROR.
using executive::CallRun;

// What a package keeps between the runs of one call that suspends. Destroyed when the call ends, on
// the thread that runs it; whatever may still come in for it then must not find it.
class PackageCallState {
 public:
  virtual ~PackageCallState() = default;
};

// A call that may suspend, as its package sees it.
//
// To wait, it hands Token() to the code that will end the wait and returns Suspended(limit_ms). It
// runs again, exactly once per suspension, as soon as the token is used, the limit is over, or the
// library stops. `run` says which: one run sees one cause. A token that is used too late does
// nothing. The token may be used before the call has returned Suspended, also in this run itself.
struct PackageCall {
  executive::Request& request;
  CallRun run = CallRun::kFirst;
  std::unique_ptr<PackageCallState>& state;

  executive::ResumeToken Token() const { return executive::ResumeToken(request); }
};

// The outcome of one run.
struct CallResult {
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  const char* reason = nullptr;  // why it failed, a literal; null: the status says all there is
  bool suspended = false;        // nothing else counts
  // From the call's first suspension on; a later one does not extend it. 1 to 30,000, more is as
  // 30,000. 0: no limit but the library's stop, which is for tests.
  std::uint32_t limit_ms = 0;

  static CallResult Done(SECURITY_STATUS status, const char* reason = nullptr) {
    return {.status = status, .reason = reason};
  }
  static CallResult Suspended(std::uint32_t limit_ms) {
    return {.suspended = true, .limit_ms = limit_ms};
  }
};

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
  // The handle of the context whose leg this is, for the rest of its life.
  SecHandle own_handle{};
  // A leg of another context has continued here (LegResult::continue_on).
  bool continued = false;
  // The leg wanted to continue on a context whose handle is dead. It does not name one again.
  bool found_dead = false;
  PackageCall* call = nullptr;  // never null
};

struct LegResult {
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  bool suspended = false;      // nothing else counts; as CallResult::suspended
  std::uint32_t limit_ms = 0;  // of a suspension, as CallResult::limit_ms
  // Not null: nothing else counts. The same leg runs on the context of this handle instead, under
  // that one's strand, with `continued` set, the same call state and the same `run`; and the caller
  // gets this handle. If the handle is dead, also when it dies before that context's turn comes,
  // the leg runs here once more, with `found_dead` set. A context that this call has made is
  // deleted when the call ends. A leg moves once; both contexts are of one package and direction.
  SecHandle continue_on{};
  bool established = false;      // records may flow from now on
  ULONG attributes = 0;          // ISC_RET_* or ASC_RET_*
  ULONG mapped_attributes = 0;   // those of a client who is mapped to an account
  const char* reason = nullptr;  // why it failed, a literal; null: the status says all there is
  std::int64_t expiry = kNoExpiry;
};

// What is asked of a context.
struct AttributeQuery {
  ULONG attribute = 0;
  void* buffer = nullptr;  // not null
  bool wide = false;       // the W form: texts are UTF-16
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

  // Who the client of an established server's context is, as far as it may be mapped to an account;
  // *facts refers to memory of the context. False: it is anonymous, or not to be mapped. The level
  // is the caller's. Under the strand and both claims.
  virtual bool Client(security::ClientFacts* facts) const;

  // Only after `established`. Encrypt and MakeSignature under the seal claim, Decrypt under the
  // open claim: those of the two claims may run at once. Any thread, any level; they never wait.
  virtual SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence);
  virtual SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop);
  virtual SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence);

  // After `established`, under the seal claim. Any thread, any level. An attribute for which
  // IsKnownEarly is true is also asked for before, under the claim, but a leg may run meanwhile.
  virtual SECURITY_STATUS Query(const AttributeQuery& query);
  virtual bool IsKnownEarly(ULONG attribute) const;

  // Under the strand, and both claims once established. The claims are given back while the call is
  // suspended, and taken again for its next run.
  virtual SECURITY_STATUS ApplyControlToken(SecBufferDesc& input);
  virtual CallResult CompleteAuthToken(PackageCall& call, SecBufferDesc& message);
  // Likewise, only after `established`. `*qop` reaches the caller with a status of success.
  virtual CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                                     ULONG* qop);
  // Its owner deletes the context, while the library runs: the last call, under the strand and both
  // claims; the handle is dead already. It may suspend when the delete is asynchronous, which then
  // ends after it; otherwise what is left goes on after it. Its status is not told. A context is
  // destroyed without it when its first leg fails, when its handle dies while the library does not
  // run, and by PackageHost::EndContext.
  virtual CallResult End(PackageCall& call, bool may_suspend);
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
  // SEC_E_OK and a credential, or why there is none. Passive level or a processor; `call` is null
  // and it may not suspend, unless AcquireMayWait.
  virtual CallResult Acquire(const AcquireArguments& arguments, PackageCall* call,
                             std::unique_ptr<PackageCredential>* credential) = 0;
  // True: Acquire runs on a processor, also for a synchronous caller, which waits for it.
  virtual bool AcquireMayWait() const { return false; }
  // False: MakeSignature and VerifySignature are SEC_E_UNSUPPORTED_FUNCTION, whatever is asked.
  virtual bool Signs() const { return false; }
  // False: the asynchronous functions of kernel mode refuse this package when they are called, with
  // SEC_E_UNSUPPORTED_FUNCTION.
  virtual bool HasKernelModeAsync() const { return true; }
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
