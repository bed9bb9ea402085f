#include "kernel_sim/base/trace.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "kernel_sim/base/clock.h"

namespace ktlsim {
namespace {

struct Event {
  const char* name;
  std::uint64_t id;
  std::uint64_t detail;
  std::uint64_t sequence;
};

struct Log {
  std::array<Event, 256> events;
  std::uint64_t written;
  TraceObserver observer;
  void* observer_context;
};

// Trivial, so that it can be written during thread exit too.
thread_local constinit Log log{};

bool PrintsText() {
  static const bool prints = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
    const char* value = std::getenv("KTLSIM_TRACE");
    return value != nullptr && std::strcmp(value, "text") == 0;
  }();
  return prints;
}

// `prefix`: nothing, or when and where it happened. One call a line: lines of threads do not mix.
void Print(std::FILE* out, const char* prefix, const Event& event) {
  std::fprintf(out, "trace %s%6" PRIu64 " %-24s id=%016" PRIx64 " detail=0x%" PRIx64 "\n", prefix,
               event.sequence, event.name, event.id, event.detail);
}

// The time since the first event, and the thread: a processor's thread has the processor's name.
void PrintNow(const Event& event) {
  static const std::uint64_t begin = MonotonicClock::Now();
  char thread[16] = {};
  pthread_getname_np(pthread_self(), thread, sizeof(thread));
  char prefix[64] = {};
  std::snprintf(prefix, sizeof(prefix), "%12.6f s %-15s %7d ",
                static_cast<double>(MonotonicClock::Now() - begin) / kNsPerSecond, thread,
                gettid());
  Print(stderr, prefix, event);
}

}  // namespace

void Trace(const char* event, std::uint64_t id, std::uint64_t detail) {
  Event& slot = log.events[log.written % log.events.size()];
  slot = Event{event, id, detail, log.written};
  ++log.written;
  if (PrintsText()) PrintNow(slot);
  if (log.observer != nullptr) log.observer(log.observer_context, event, id);
}

void SetTraceObserver(TraceObserver observer, void* context) {
  log.observer = observer;
  log.observer_context = context;
}

void DumpTrace(std::FILE* out) {
  const std::uint64_t kept = log.events.size();
  const std::uint64_t first = log.written > kept ? log.written - kept : 0;
  for (std::uint64_t i = first; i < log.written; ++i) Print(out, "", log.events[i % kept]);
}

}  // namespace ktlsim
