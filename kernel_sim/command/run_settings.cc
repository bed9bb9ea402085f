#include "kernel_sim/command/run_settings.h"

#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/serve/http_responder.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;
using S = RunOptions&;
using V = const std::string&;

constexpr std::uint64_t kDurationMinNs = kNsPerSecond / 10;
constexpr std::uint64_t kDurationMaxNs = 3600 * kNsPerSecond;
constexpr std::uint64_t kConnectionsMax = 10000;

// In the order of --help.
constexpr CommandSetting<RunOptions> kSettings[] = {
    {"seconds", "d", Form::kOne, "DURATION", "Measured time of each phase: 3 or 3s, 500ms, 2m [3s]",
     [](S s, V v) {
       return ParseDuration(v, kDurationMinNs, kDurationMaxNs, BareNumber::kSeconds,
                            &s.duration_ns);
     }},
    {"connections", "c", Form::kOne, "N",
     "Connections of the request phase; handshakes have a quarter of that in flight, bulk transfer "
     "uses a sixteenth [64]",
     [](S s, V v) {
       std::uint64_t connections = 0;
       std::string wrong = ParseCount(v, 1, kConnectionsMax, &connections);
       if (wrong.empty()) s.connections = static_cast<unsigned>(connections);
       return wrong;
     }},
    {"respond-bytes", "", Form::kOne, "SIZE", "Body of one response of the request phase [1024]",
     [](S s, V v) { return ParseSize(v, 0, serve::kBytesPathMax, &s.respond_bytes); }},
    {"tls", "", Form::kOne, "VERSIONS", "Versions to measure: 1.2, 1.3, 1.2-1.3 [1.2-1.3]",
     [](S s, V v) { return ParseWord(v, kTlsWords, &s.versions); }},
    {"json", "", Form::kOne, "FILE", "Write the result there as JSON; - is standard output",
     [](S s, V v) {
       std::string wrong = CheckWritable(v);
       if (wrong.empty()) s.json = v;
       return wrong;
     }},
};

}  // namespace

std::span<const CommandSetting<RunOptions>> RunSettings() { return kSettings; }

}  // namespace ktlsim::command
