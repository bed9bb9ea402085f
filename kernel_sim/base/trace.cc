#include "kernel_sim/base/trace.h"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "kernel_sim/base/clock.h"

namespace ktlsim {
namespace {

struct Event {
  const char* name;
  const char* lane;  // null: the event is not of a call
  std::uint64_t id;
  std::uint64_t detail;
  std::uint64_t sequence;
  bool is_status;  // `detail` is one
};

struct Log {
  std::array<Event, 256> events;
  std::uint64_t written;
  TraceObserver observer;
  void* observer_context;
  std::uint32_t processor;  // its number plus one; 0: it is none
};

// Trivial, so that it can be written during thread exit too.
thread_local constinit Log log{};

constinit std::atomic<TraceStatusName> status_name{nullptr};

enum class Form : std::uint8_t { kNone, kText, kJson };

Form PrintedForm() {
  static const Form form = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
    const char* value = std::getenv("KTLSIM_TRACE");
    if (value == nullptr) return Form::kNone;
    if (std::strcmp(value, "json") == 0) return Form::kJson;
    return std::strcmp(value, "text") == 0 ? Form::kText : Form::kNone;
  }();
  return form;
}

// Null: it has none.
const char* NameOfStatus(const Event& event) {
  const TraceStatusName name = status_name.load(std::memory_order_acquire);
  if (!event.is_status || name == nullptr) return nullptr;
  return name(static_cast<std::int32_t>(static_cast<std::uint32_t>(event.detail)));
}

// `prefix`: nothing, or when and where it happened. One call a line: lines of threads do not mix.
void PrintText(std::FILE* out, const char* prefix, const Event& event) {
  const char* const name = NameOfStatus(event);
  std::fprintf(out, "trace %s%6" PRIu64 " %-24s id=%016" PRIx64 "%s%s %s=0x%" PRIx64 "%s%s\n",
               prefix, event.sequence, event.name, event.id, event.lane != nullptr ? " lane=" : "",
               event.lane != nullptr ? event.lane : "", event.is_status ? "status" : "detail",
               event.detail, name != nullptr ? " " : "", name != nullptr ? name : "");
}

// When an event happened, and where: a processor's thread has its role in its name.
struct Moment {
  double seconds;  // since the first event
  std::array<char, 16> thread{};
  int number = gettid();
};

Moment Now() {
  static const std::uint64_t begin = MonotonicClock::Now();
  Moment moment{static_cast<double>(MonotonicClock::Now() - begin) / kNsPerSecond};
  pthread_getname_np(pthread_self(), moment.thread.data(), moment.thread.size());
  return moment;
}

void PrintTextNow(const Event& event) {
  const Moment moment = Now();
  std::array<char, 16> processor{'-'};
  if (log.processor != 0)
    std::snprintf(processor.data(), processor.size(), "%u", log.processor - 1);
  std::array<char, 80> prefix{};
  std::snprintf(prefix.data(), prefix.size(), "%12.6f s %-15s %7d processor=%s ", moment.seconds,
                moment.thread.data(), moment.number, processor.data());
  PrintText(stderr, prefix.data(), event);
}

// The names of events, lanes and statuses are ours; a thread's name can be anything.
void MakePlain(std::array<char, 16>* text) {
  for (char& c : *text) {
    const bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
    if (c != 0 && !plain) c = '?';
  }
}

void PrintJsonNow(const Event& event) {
  Moment moment = Now();
  MakePlain(&moment.thread);
  std::array<char, 16> processor{"null"};
  if (log.processor != 0)
    std::snprintf(processor.data(), processor.size(), "%u", log.processor - 1);
  const char* const name = NameOfStatus(event);
  const char* const quote = name != nullptr ? "\"" : "";
  const char* const lane_quote = event.lane != nullptr ? "\"" : "";
  std::fprintf(stderr,
               "{\"time_s\":%.6f,\"thread\":\"%s\",\"thread_id\":%d,\"processor\":%s,"
               "\"sequence\":%" PRIu64 ",\"event\":\"%s\",\"id\":\"%016" PRIx64
               "\","
               "\"lane\":%s%s%s,\"%s\":\"0x%" PRIx64 "\",\"status_name\":%s%s%s}\n",
               moment.seconds, moment.thread.data(), moment.number, processor.data(),
               event.sequence, event.name, event.id, lane_quote,
               event.lane != nullptr ? event.lane : "null", lane_quote,
               event.is_status ? "status" : "detail", event.detail, quote,
               name != nullptr ? name : "null", quote);
}

void Add(const Event& event) {
  Event& slot = log.events[log.written % log.events.size()];
  slot = event;
  slot.sequence = log.written;
  ++log.written;
  const Form form = PrintedForm();
  if (form == Form::kText) PrintTextNow(slot);
  if (form == Form::kJson) PrintJsonNow(slot);
  if (log.observer != nullptr) log.observer(log.observer_context, event.name, event.id);
}

}  // namespace

void Trace(const char* event, std::uint64_t id, std::uint64_t detail) {
  Add({.name = event,
       .lane = nullptr,
       .id = id,
       .detail = detail,
       .sequence = 0,
       .is_status = false});
}

void TraceCall(const char* event, std::uint64_t id, const char* lane) {
  Add({.name = event, .lane = lane, .id = id, .detail = 0, .sequence = 0, .is_status = false});
}

void TraceCallStatus(const char* event, std::uint64_t id, const char* lane, std::int32_t status) {
  Add({.name = event,
       .lane = lane,
       .id = id,
       .detail = static_cast<std::uint32_t>(status),
       .sequence = 0,
       .is_status = true});
}

void SetTraceProcessor(std::uint32_t index) { log.processor = index + 1; }

void SetTraceStatusName(TraceStatusName name) {
  status_name.store(name, std::memory_order_release);
}

void SetTraceObserver(TraceObserver observer, void* context) {
  log.observer = observer;
  log.observer_context = context;
}

void DumpTrace(std::FILE* out) {
  const std::uint64_t kept = log.events.size();
  const std::uint64_t first = log.written > kept ? log.written - kept : 0;
  for (std::uint64_t i = first; i < log.written; ++i) PrintText(out, "", log.events[i % kept]);
}

}  // namespace ktlsim
