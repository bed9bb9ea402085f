#include "kernel_sim/command/startup.h"

#include <cstddef>
#include <cstdio>

#include "io/uring.h"
#include "kernel_sim/command/acquisition.h"

namespace ktlsim::command {
namespace {

// A connection is one descriptor; below this many a warning is due.
constexpr std::size_t kFilesWanted = 16384;

}  // namespace

std::string StartLibrary(const StartupOptions& options) {
  const std::string warning = io::RaiseFileLimit(kFilesWanted);
  if (!warning.empty()) std::fprintf(stderr, "ktlsim: warning: %s\n", warning.c_str());
  KtlsimOptions start{};
  start.cbSize = sizeof(start);
  start.cProcessors = options.processors;
  start.Placement = options.pool ? KTLSIM_PLACEMENT_POOL : KTLSIM_PLACEMENT_INLINE;
  start.cCryptoProcessors = options.crypto_processors;
  start.QueueDepth = options.queue_depth;
  start.QueueWaitLimitMs = options.queue_wait_limit_ms;
  start.NotifyThreadsMax = options.notify_threads_max;
  if (options.pin_processors) start.fFlags |= KTLSIM_PIN_PROCESSORS;
  if (options.time_every_call) start.fFlags |= KTLSIM_TIME_EVERY_CALL;
  if (options.impersonate_os) start.fFlags |= KTLSIM_IMPERSONATE_OS;
  start.pszProcessorRoles = options.roles.empty() ? nullptr : options.roles.c_str();
  SetAcquisitionNotifyMode(options.notify_mode);
  if (KtlsimStart(&start) == SEC_E_OK) return {};
  return KtlsimLastErrorText();
}

}  // namespace ktlsim::command
