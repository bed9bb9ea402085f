// ktlsim's own functions: start, drain, statistics, the processors' loops.

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "io/uring.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/unix_identity/real_impersonation.h"

namespace ktlsim::sspi {
namespace {

constexpr ULONG kProcessorsMax = 1024;
constexpr ULONG kNotifyThreadsMaxMax = 16384;

SECURITY_STATUS Refuse(const char* why) {
  NoteReason(why);
  return SEC_E_INVALID_PARAMETER;
}

std::vector<std::string> Split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

SECURITY_STATUS Translate(const KtlsimOptions& from, executive::ExecutiveOptions* to) {
  if (from.cbSize != sizeof(KtlsimOptions)) {
    return Refuse("KtlsimOptions.cbSize must be sizeof(KtlsimOptions)");
  }
  if (from.cProcessors > kProcessorsMax || from.cCryptoProcessors > kProcessorsMax) {
    return Refuse("KtlsimOptions: more than 1024 processors");
  }
  if (from.Placement != KTLSIM_PLACEMENT_INLINE && from.Placement != KTLSIM_PLACEMENT_POOL) {
    return Refuse("KtlsimOptions.Placement is neither KTLSIM_PLACEMENT_INLINE nor _POOL");
  }
  constexpr ULONG kFlags = KTLSIM_PIN_PROCESSORS | KTLSIM_TIME_EVERY_CALL | KTLSIM_IMPERSONATE_OS;
  if ((from.fFlags & ~kFlags) != 0) {
    return Refuse("KtlsimOptions.fFlags has unknown bits");
  }
  if (from.NotifyThreadsMax > kNotifyThreadsMaxMax) {
    return Refuse("KtlsimOptions.NotifyThreadsMax is over 16384");
  }
  if (from.cReceiveBuffers > 32768 || (from.cReceiveBuffers & (from.cReceiveBuffers - 1)) != 0) {
    return Refuse("KtlsimOptions.cReceiveBuffers must be a power of two, at most 32768");
  }
  to->processors = from.cProcessors;
  to->placement = from.Placement == KTLSIM_PLACEMENT_POOL ? executive::Placement::kPool
                                                          : executive::Placement::kInline;
  to->crypto_processors = from.cCryptoProcessors;
  if (from.QueueDepth != 0) to->queue_depth = from.QueueDepth;
  if (from.NotifyThreadsMax != 0) to->notify_threads_max = from.NotifyThreadsMax;
  to->pin = (from.fFlags & KTLSIM_PIN_PROCESSORS) != 0;
  if ((from.fFlags & KTLSIM_TIME_EVERY_CALL) != 0) to->sample_mask = 0;
  to->wait_limit_ns = from.QueueWaitLimitMs * kNsPerMs;
  if (from.pszProcessorRoles != nullptr) to->roles = Split(from.pszProcessorRoles);
  io::UringOptions ring;
  if (from.cReceiveBuffers != 0) ring.receive_buffers = from.cReceiveBuffers;
  to->ring_factory = [ring] { return io::CreateUring(ring); };
  return SEC_E_OK;
}

static_assert(KTLSIM_LANES == executive::kLanes);
static_assert(KTLSIM_LANE_RECORD == static_cast<int>(executive::Lane::kRecord));
static_assert(KTLSIM_HISTOGRAM_BUCKETS == executive::TimeHistogram::kBuckets);

KtlsimHistogram ToPublic(const executive::TimeHistogram::Counts& counts) {
  KtlsimHistogram histogram{};
  std::copy(counts.calls.begin(), counts.calls.end(), histogram.cCalls);
  histogram.ullTotalNs = counts.total_ns;
  return histogram;
}

KtlsimRingStatistics ToPublic(const io::RingStatistics& ring) {
  return {.cTurns = ring.turns,
          .cEnters = ring.enters,
          .cSubmitted = ring.submitted,
          .cCompleted = ring.completed,
          .cWakes = ring.wakes_sent,
          .cPosted = ring.posted,
          .cSubmissionFull = ring.submission_full,
          .cParked = ring.parked,
          .cBuffersExhausted = ring.buffers_exhausted,
          .cCompletionOverflow = ring.completion_overflow,
          .cCompletionsLost = ring.completions_lost,
          .cBuffersLent = ring.buffers_lent,
          .cOperations = ring.operations,
          .cSockets = ring.sockets,
          .cTimers = ring.timers};
}

KtlsimLaneStatistics ToPublic(const executive::LaneStatistics& lane) {
  return {.cDepth = lane.depth,
          .cRefused = lane.refused,
          .cCompleted = lane.completed,
          .cCancelled = lane.cancelled,
          .cQueueTimeouts = lane.timed_out,
          .Queued = ToPublic(lane.queued_ns),
          .Served = ToPublic(lane.served_ns),
          .Notified = ToPublic(lane.notified_ns)};
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim;        // NOLINT: the C API below is this file's whole point
using namespace ktlsim::sspi;  // NOLINT

extern "C" {

SECURITY_STATUS KtlsimStart(const KtlsimOptions* options) {
  executive::ExecutiveOptions translated;
  return Told(NothingThrown([&] {
    const SECURITY_STATUS status = options != nullptr ? Translate(*options, &translated) : SEC_E_OK;
    const bool real = options != nullptr && (options->fFlags & KTLSIM_IMPERSONATE_OS) != 0;
    if (status != SEC_E_OK) return status;
    return Runtime::Instance().Start(translated,
                                     real ? Impersonation::kUnixUsers : Impersonation::kTokensOnly);
  }));
}

SECURITY_STATUS KtlsimStop(void) { return Told(Runtime::Instance().Stop()); }

SECURITY_STATUS KtlsimQueryStatistics(KtlsimStatistics* stats) {
  if (stats == nullptr || stats->cbSize != sizeof(KtlsimStatistics)) {
    return Told(SEC_E_INVALID_PARAMETER);
  }
  Runtime& runtime = Runtime::Instance();
  *stats = KtlsimStatistics();
  stats->cbSize = sizeof(KtlsimStatistics);
  if (const executive::Executive* executive = runtime.ExecutiveForFigures()) {
    const executive::ExecutiveStatistics core = executive->Statistics();
    stats->cAccepted = core.accepted;
    stats->cRefused = core.refused;
    stats->cCompleted = core.completed;
    stats->cCancelled = core.cancelled;
    stats->cQueueTimeouts = core.timed_out;
    stats->cInFlight = core.in_flight;
    stats->cCallbacks = core.callbacks;
    stats->cNotifyThreads = core.notify_threads;
    stats->cNotifyThreadsPeak = core.notify_threads_peak;
    stats->cNotifyThreadsRefused = core.notify_threads_refused;
    stats->cSuspended = core.suspended;
  }
  stats->cAsyncContexts = runtime.async_contexts().live();
  stats->cSecurityContexts = runtime.security_contexts().live();
  stats->cCredentials = runtime.credentials().live();
  stats->cContextBuffers = ContextBuffersLive();
  stats->cMisuse = executive::MisuseCount();
  const PackageCounters& counters = runtime.counters();
  stats->cHandshakesCompleted = counters.handshakes_completed.Sum();
  stats->cHandshakesFailed = counters.handshakes_failed.Sum();
  stats->cResumed = counters.resumed.Sum();
  stats->cRecordsSealed = counters.records_sealed.Sum();
  stats->cRecordsOpened = counters.records_opened.Sum();
  const unix_identity::SwitchFigures switches = unix_identity::Figures();
  stats->cUnixSwitches = switches.taken;
  stats->cUnixSwitchesRefused = switches.refused;
  return Told(SEC_E_OK);
}

SECURITY_STATUS KtlsimQueryProcessorStatistics(ULONG index, KtlsimProcessorStatistics* stats) {
  if (stats == nullptr || stats->cbSize != sizeof(KtlsimProcessorStatistics)) {
    return Told(SEC_E_INVALID_PARAMETER);
  }
  const executive::Executive* executive = Runtime::Instance().ExecutiveForFigures();
  executive::ProcessorStatistics core;
  std::uint64_t cpu_ns = 0;
  char role[sizeof(stats->szRole)] = {};
  if (executive == nullptr || !executive->QueryProcessor(index, role, &core, &cpu_ns)) {
    return Told(SEC_E_INVALID_PARAMETER);
  }
  *stats = KtlsimProcessorStatistics();
  stats->cbSize = sizeof(KtlsimProcessorStatistics);
  std::copy(std::begin(role), std::end(role), stats->szRole);
  stats->cSuspended = core.suspended;
  stats->cCallbacks = core.callbacks;
  stats->ullCpuNs = cpu_ns;
  stats->Ring = ToPublic(core.ring);
  for (std::size_t lane = 0; lane < executive::kLanes; ++lane) {
    stats->Lanes[lane] = ToPublic(core.lanes[lane]);
  }
  return Told(SEC_E_OK);
}

SECURITY_STATUS KtlsimForEachProcessor(void (*visit)(void* context,
                                                     const KtlsimProcessor* processor),
                                       void* context) {
  if (visit == nullptr) return Told(SEC_E_INVALID_PARAMETER);
  SECURITY_STATUS failure = SEC_E_OK;
  executive::Executive* executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return Told(failure);
  const executive::Executive::Visit visiting(*executive);
  if (!visiting) return Told(SEC_E_SHUTDOWN_IN_PROGRESS);
  const executive::NotificationPool::CallbackScope inside;
  for (const auto& processor : visiting.io_processors()) {
    const KtlsimProcessor shown{processor->index(), processor->role().c_str(), &processor->ring()};
    visit(context, &shown);
  }
  return Told(SEC_E_OK);
}

ULONGLONG KtlsimProcessorCpuNs(const char* role) {
  const executive::Executive* executive = Runtime::Instance().ExecutiveForFigures();
  return executive != nullptr ? executive->CpuNs(role) : 0;
}

}  // extern "C"
