#include "kernel_sim/command/stress_settings.h"

#include <array>
#include <limits>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;
using S = StressOptions&;
using V = const std::string&;

constexpr std::uint64_t kDurationMinNs = kNsPerSecond / 2;
constexpr std::uint64_t kDurationMaxNs = 90 * 3600 * kNsPerSecond;

std::string TakeServer(S s, V v) {
  SocketName name;
  std::string wrong = ParseSocketName(v, SocketUse::kConnect, &name);
  if (wrong.empty()) s.server = v;
  return wrong;
}

// In the order of --help.
constexpr CommandSetting<StressOptions> kSettings[] = {
    {"seconds", "d", Form::kOne, "DURATION", "How long: 30 or 30s, 2m, 8h [30s]",
     [](S s, V v) {
       std::uint64_t ns = 0;
       std::string wrong =
           ParseDuration(v, kDurationMinNs, kDurationMaxNs, BareNumber::kSeconds, &ns);
       if (wrong.empty()) s.plan.seconds = static_cast<double>(ns) / kNsPerSecond;
       return wrong;
     }},
    {"seed", "", Form::kOne, "N", "Seed of the random choices; 0: another one each time [0]",
     [](S s, V v) { return ParseCount(v, 0, std::numeric_limits<std::uint64_t>::max(), &s.seed); }},
    {"connections", "c", Form::kOne, "N", "Connections open at once, about [64]",
     [](S s, V v) {
       std::uint64_t connections = 0;
       std::string wrong = ParseCount(v, 4, 4096, &connections);
       if (wrong.empty()) s.plan.connections = static_cast<unsigned>(connections);
       return wrong;
     }},
    {"faults", "", Form::kOne, "LIST",
     "all, none, or names of the list below with commas between them [all]",
     [](S s, V v) {
       std::string error;
       const std::optional<FaultSet> faults = ParseFaults(v, &error);
       if (faults) s.plan.faults = *faults;
       return error;
     }},
    {"placement", "", Form::kOne, "WHERE",
     "Where handshakes run: inline (on the processor that has the connection), pool (on crypto "
     "processors of their own), or mixed (each in turn) [mixed]",
     [](S s, V v) { return ParseWord(v, kStressPlacementWords, &s.plan.placement); }},
    {"notify", "", Form::kOne, "WHERE",
     "Which threads run callbacks: on-processor (that of the submitter), pool (notification "
     "threads), or mixed (drawn for each call) [mixed]",
     [](S s, V v) { return ParseWord(v, kStressNotifyWords, &s.plan.notify_mode); }},
    {"connect", "", Form::kOne, "H:P",
     "Dial this server, a `ktlsim serve --respond-bytes N`, instead of one in this process: "
     "HOST:PORT, the first address that a name has, or unix:/PATH",
     &TakeServer},
    {"json", "", Form::kOne, "FILE", "Write the result there as JSON; - is standard output",
     [](S s, V v) {
       std::string wrong = CheckWritable(v);
       if (wrong.empty()) s.json = v;
       return wrong;
     }},
};

}  // namespace

std::span<const CommandSetting<StressOptions>> StressSettings() { return kSettings; }

}  // namespace ktlsim::command
