// The audit trail of the process: the functions of the C API that open and close it.

#include <ktlsim/sspi_ext.h>

#include <bit>
#include <span>
#include <string>

#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/authority/local_trail.h"
#include "kernel_sim/base/memory_watch.h"
#include "kernel_sim/base/status.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/passive_level.h"

namespace ktlsim::authority {
namespace {

SECURITY_STATUS RefuseTrail(const char* why) {
  sspi::NoteReason(why);
  return SEC_E_INVALID_PARAMETER;
}

SECURITY_STATUS TellTrail(const Status& status) {
  if (status.ok()) return SEC_E_OK;
  sspi::NoteReason(status.ToString());
  if (status.category() == Category::kResource) return SEC_E_INSUFFICIENT_MEMORY;
  return status.category() == Category::kContract ? SEC_E_INVALID_PARAMETER : SEC_E_INTERNAL_ERROR;
}

SECURITY_STATUS OpenTrail(const KtlsimAuditTrail* from) {
  if (!sspi::AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  if (from == nullptr || from->cbSize != sizeof(KtlsimAuditTrail)) {
    return RefuseTrail("KtlsimAuditTrail.cbSize must be sizeof(KtlsimAuditTrail)");
  }
  if ((from->fFlags & ~ULONG{KTLSIM_AUDIT_COUNT | KTLSIM_AUDIT_NO_SYNC}) != 0) {
    return RefuseTrail("KtlsimAuditTrail.fFlags has unknown bits");
  }
  if (from->pszLogFile == nullptr || (from->pbKey == nullptr && from->cbKey != 0)) {
    return RefuseTrail("KtlsimAuditTrail: pszLogFile is NULL, or pbKey is and has a length");
  }
  if (from->cbKey > audit::kSecretBytesMax) return RefuseTrail("the audit key is over 4,096 bytes");
  if (from->cQueue > 1U << 20U || (from->cQueue != 0 && !std::has_single_bit(from->cQueue))) {
    return RefuseTrail("KtlsimAuditTrail.cQueue must be a power of two, at most 1,048,576");
  }
  audit::AuditOptions options;
  options.path = from->pszLogFile;
  if (from->pszHeadFile != nullptr) options.head_path = from->pszHeadFile;
  options.secret = std::as_bytes(std::span(from->pbKey, from->cbKey));
  if ((from->fFlags & KTLSIM_AUDIT_COUNT) != 0) options.when_full = audit::FullPolicy::kCount;
  if ((from->fFlags & KTLSIM_AUDIT_NO_SYNC) != 0) options.sync = audit::SyncPolicy::kNever;
  if (from->cQueue != 0) options.queue_depth = from->cQueue;
  options.rotate_bytes = from->cbRotate;
  const MemoryWatch watch;
  const Status status = LocalTrail::Instance().Open(options);
  // OpenSSL does not say that it had no memory.
  const bool no_memory = status.category() == Category::kCrypto && watch.ran_out();
  return no_memory ? SEC_E_INSUFFICIENT_MEMORY : TellTrail(status);
}

// With the trail that is open.
template <typename Call>
SECURITY_STATUS WithTrail(const Call& call) {
  if (!sspi::AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  const LocalTrail::Use use(LocalTrail::Instance());
  return use ? TellTrail(call(*use.get())) : RefuseTrail("no audit trail is open");
}

}  // namespace
}  // namespace ktlsim::authority

using namespace ktlsim;             // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authority;  // NOLINT

extern "C" {

SECURITY_STATUS KtlsimOpenAuditTrail(const KtlsimAuditTrail* trail) {
  return sspi::Told(sspi::NothingThrown([&] { return OpenTrail(trail); }));
}

SECURITY_STATUS KtlsimFlushAuditTrail(void) {
  return sspi::Told(sspi::NothingThrown(
      [] { return WithTrail([](audit::AuditTrail& trail) { return trail.Flush(); }); }));
}

SECURITY_STATUS KtlsimRotateAuditTrail(void) {
  return sspi::Told(sspi::NothingThrown([] {
    return WithTrail([](audit::AuditTrail& trail) {
      trail.Rotate();
      return Status();
    });
  }));
}

SECURITY_STATUS KtlsimCloseAuditTrail(void) {
  return sspi::Told(sspi::NothingThrown([] {
    if (!sspi::AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
    return TellTrail(LocalTrail::Instance().Close());
  }));
}

}  // extern "C"
