#include "kernel_sim/command/envelope.h"

#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

// Of each command; a change that breaks readers makes another one.
int SchemaVersion(const std::string& command) { return command == "load" ? 2 : 1; }

// RFC 3339 5.6.
std::string TimeText(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

nlohmann::json HostJson(const Machine& machine) {
  return {{"kernel", machine.kernel},
          {"cpu_model", TextOrNull(machine.cpu)},
          {"cores_online", machine.cores_online},
          {"cores_usable", machine.cores},
          {"ring_level", TextOrNull(machine.ring_level)},
          {"openssl", machine.openssl},
          {"aead", machine.aead}};
}

nlohmann::json LibraryJson(const StartupOptions& options, const LaneReport& lanes) {
  const auto limit = [](std::uint32_t value) {
    return value != 0 ? nlohmann::json(value) : nlohmann::json();
  };
  return {{"placement", options.pool ? "pool" : "inline"},
          {"processors", lanes.io_processors()},
          {"crypto_processors", limit(lanes.crypto_processors())},
          {"queue_depth", options.queue_depth != 0 ? options.queue_depth : kDefaultQueueDepth},
          {"queue_wait_limit_ms", limit(options.queue_wait_limit_ms)},
          {"notify", WordOf(options.notify_mode, kNotifyWords)},
          {"notify_threads_max",
           options.notify_threads_max != 0 ? options.notify_threads_max : kDefaultNotifyThreads},
          {"pin_processors", options.pin_processors},
          {"time_every_call", options.time_every_call}};
}

}  // namespace

Envelope::Envelope(std::string command, const StartupOptions& library)
    : command_(std::move(command)),
      library_(library),
      machine_(DescribeMachine()),
      started_(std::chrono::system_clock::now()),
      started_ns_(MonotonicClock::Now()) {}

nlohmann::json Envelope::Json(const LaneReport& lanes) const {
  const auto lasted = static_cast<double>(MonotonicClock::Now() - started_ns_);
  return {{"schema", fmt::format("ktlsim-{}/{}", command_, SchemaVersion(command_))},
          {"tool", {{"name", "ktlsim"}, {"version", KTLSIM_VERSION}}},
          {"command_line", GivenArguments()},
          {"started", TimeText(started_)},
          {"duration_s", lasted / kNsPerSecond},
          {"host", HostJson(machine_)},
          {"build",
           {{"type", machine_.build_type},
            {"sanitizers", TextOrNull(machine_.sanitizers)},
            {"optimized", machine_.optimized}}},
          {"library", LibraryJson(library_, lanes)},
          {"calls", LanesJson(lanes, library_.time_every_call)}};
}

nlohmann::json TextOrNull(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

}  // namespace ktlsim::command
