#include "kernel_sim/command/library_settings.h"

#include <array>
#include <cstdint>
#include <string>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;
using S = StartupOptions&;
using V = const std::string&;

constexpr std::uint64_t kProcessorsMax = 1024;
constexpr std::uint64_t kQueueDepthMax = 1U << 24U;
constexpr std::uint64_t kNotifyThreadsMax = 16384;
constexpr std::uint64_t kTraceSampleMax = 1U << 30U;
constexpr std::uint64_t kTraceBytesMin = 64 << 10;
constexpr std::uint64_t kTraceBytesMax = std::uint64_t{1} << 40U;
constexpr std::uint64_t kWaitLimitMaxNs = 24 * 3600 * kNsPerSecond;

std::string ParseUnsigned(V text, std::uint64_t max, unsigned* number) {
  std::uint64_t value = 0;
  std::string wrong = ParseCount(text, 0, max, &value);
  if (wrong.empty()) *number = static_cast<unsigned>(value);
  return wrong;
}

constexpr CommandSetting<StartupOptions> kPlacement[kPlacementSettings] = {
    {"placement", "", Form::kOne, "WHERE",
     "Where handshakes run: inline (on the processor that has the connection) or pool (on crypto "
     "processors of their own) [inline]",
     [](S s, V v) {
       constexpr std::array kWords = {Word<bool>{"inline", false}, Word<bool>{"pool", true}};
       return ParseWord(v, kWords, &s.pool);
     }},
};

constexpr CommandSetting<StartupOptions> kNotify[kNotifySettings] = {
    {"notify", "", Form::kOne, "WHERE",
     "Which threads run the callbacks of connections: on-processor (that of the connection) or "
     "pool (notification threads, which post the work back) [on-processor]",
     [](S s, V v) { return ParseWord(v, kNotifyWords, &s.notify_mode); }},
};

constexpr CommandSetting<StartupOptions> kLibrary[kLibrarySettings] = {
    {"processors", "", Form::kOne, "N",
     "Processors of the library, each a thread with an io_uring; 0: one per core [0]",
     [](S s, V v) { return ParseUnsigned(v, kProcessorsMax, &s.processors); }},
    {"crypto-processors", "", Form::kOne, "N",
     "Processors of the pool; 0: as many as processors [0]",
     [](S s, V v) { return ParseUnsigned(v, kProcessorsMax, &s.crypto_processors); }},
    {"queue-depth", "", Form::kOne, "N",
     "Calls that may be queued on one processor; a further one is refused [4096]",
     [](S s, V v) { return ParseUnsigned(v, kQueueDepthMax, &s.queue_depth); }},
    {"queue-wait-limit", "", Form::kOne, "DURATION",
     "How long a call may wait in a queue before it fails; 0: no limit [0]",
     [](S s, V v) {
       std::uint64_t ns = 0;
       std::string wrong = ParseDuration(v, 0, kWaitLimitMaxNs, BareNumber::kRefused, &ns);
       if (!wrong.empty()) return wrong;
       if (ns % kNsPerMs != 0) {
         return Printable(v) + " is not a whole number of milliseconds";
       }
       s.queue_wait_limit_ms = static_cast<std::uint32_t>(ns / kNsPerMs);
       return wrong;
     }},
    {"notify-threads", "", Form::kOne, "N", "Threads for callbacks at passive level, at most [256]",
     [](S s, V v) { return ParseUnsigned(v, kNotifyThreadsMax, &s.notify_threads_max); }},
    {"pin-processors", "", Form::kFlag, "", "Bind each processor to a core",
     [](S s, V v) {
       s.pin_processors = v == "true";
       return std::string();
     }},
    {"time-every-call", "", Form::kFlag, "",
     "Time every call in the queues, not one in 64: exact figures, at a cost",
     [](S s, V v) {
       s.time_every_call = v == "true";
       return std::string();
     }},
};

constexpr CommandSetting<StartupOptions> kKeyLog[kKeyLogSettings] = {
    {"key-log", "", Form::kOne, "FILE",
     "Append the TLS secrets of every connection there (NSS key log format), so that a capture of "
     "the traffic can be decrypted; for tests and for finding faults only [the environment "
     "variable "
     "SSLKEYLOGFILE, or none]",
     [](S s, V v) {
       if (v.empty()) return std::string("a text that is not empty is needed");
       // What opens files ends there.
       if (v.find('\0') != std::string::npos) {
         return std::string("a text without a NUL character is needed");
       }
       s.key_log = v;
       return std::string();
     }},
};

constexpr CommandSetting<StartupOptions> kTrace[kTraceSettings] = {
    {"trace", "", Form::kOne, "FILE",
     "Record a sample of the library's calls there, each with its times in the queue, in service "
     "and "
     "until its callback; for the Perfetto viewer (Chrome's JSON)",
     [](S s, V v) {
       if (v.empty()) return std::string("a text that is not empty is needed");
       if (v.find('\0') != std::string::npos) {
         return std::string("a text without a NUL character is needed");
       }
       s.trace.file = v;
       return std::string();
     }},
    {"trace-sample", "", Form::kOne, "N", "Record one call in N; 1: all of them [100]",
     [](S s, V v) {
       std::uint64_t value = 0;
       std::string wrong = ParseCount(v, 1, kTraceSampleMax, &value);
       if (wrong.empty()) s.trace.sample = static_cast<std::uint32_t>(value);
       return wrong;
     }},
    {"trace-limit", "", Form::kOne, "SIZE", "The size at which the trace ends [256M]",
     [](S s, V v) { return ParseSize(v, kTraceBytesMin, kTraceBytesMax, &s.trace.bytes_max); }},
};

}  // namespace

std::span<const CommandSetting<StartupOptions>, kTraceSettings> TraceSettings() { return kTrace; }

std::span<const CommandSetting<StartupOptions>, kLibrarySettings> LibrarySettings() {
  return kLibrary;
}

std::span<const CommandSetting<StartupOptions>, kPlacementSettings> PlacementSettings() {
  return kPlacement;
}

std::span<const CommandSetting<StartupOptions>, kKeyLogSettings> KeyLogSettings() {
  return kKeyLog;
}

std::span<const CommandSetting<StartupOptions>, kNotifySettings> NotifySettings() {
  return kNotify;
}

}  // namespace ktlsim::command
