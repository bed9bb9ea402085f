// PackageHost: all that a security package sees of the runtime that it is registered with.
//
// It lives for the rest of the process. Any thread, any level.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/executive/object_table.h"

namespace ktlsim::sspi {

class CredentialObject;
class PackageContext;

// What packages count for KtlsimQueryStatistics.
struct PackageCounters {
  StripedCounter handshakes_completed;
  StripedCounter handshakes_failed;
  StripedCounter resumed;
  StripedCounter records_sealed;
  StripedCounter records_opened;
};

class PackageHost {
 public:
  // Their address does not change: a context keeps the reference, so that counting a record costs
  // no virtual call.
  virtual PackageCounters& counters() = 0;

  // Why the call in progress on this thread is going to fail, for KtlsimLastErrorText: the parts,
  // one after the other. Allocates nothing; what does not fit is cut.
  virtual void NoteReason(std::initializer_list<std::string_view> parts) = 0;
  void NoteReason(std::string_view reason) { NoteReason({reason}); }

  // Processors of the last start; at least one.
  virtual unsigned processor_count() const = 0;
  // The calling processor's index; 0 on any other thread. After a start with more processors it can
  // be larger than an earlier count.
  virtual unsigned processor_index() const = 0;

  // A package has no time and no randomness but these, so that a test can give it others.
  //
  // For waits and limits. It lives as long as the host.
  virtual const Clock& clock() const = 0;
  // Seconds since 1970, for the days on which a certificate is valid. It can jump, also back.
  virtual std::int64_t wall_seconds() const = 0;
  // Fit for keys and nonces. False: the system gives none, and `bytes` must not be used.
  [[nodiscard]] virtual bool FillRandom(std::span<std::byte> bytes) = 0;
  // A client's own nonce in the place of one that it draws. Empty, but in a test that repeats a
  // published exchange, whose nonce may have any length.
  virtual std::string_view FixedClientNonce() const { return {}; }

  // The credential of a caller's handle. Null: a null, stale or foreign handle.
  virtual executive::Reference<CredentialObject> FindCredential(const SecHandle* handle) = 0;

  // Makes a context of this package beside that of `like`: of the same credential and direction.
  // Its handle belongs to the package, which ends it with EndContext; a leg may continue there.
  // SEC_E_INVALID_HANDLE: `like` is dead. SEC_E_INSUFFICIENT_MEMORY. On failure `context` is gone.
  virtual SECURITY_STATUS AddContext(const SecHandle& like, std::unique_ptr<PackageContext> context,
                                     SecHandle* handle) = 0;

  // Ends a context whose handle the package gave away and still owns, or that is over by itself:
  // the handle is dead when this returns, calls that run go on, and then the PackageContext is
  // destroyed, perhaps on this thread and before this returns. So the caller holds no lock that the
  // destructor takes. A dead handle is none's business.
  virtual void EndContext(const SecHandle& handle) = 0;

 protected:
  ~PackageHost() = default;
};

}  // namespace ktlsim::sspi
