// Envelope: what every JSON result of a command begins with: its schema, the tool, the command
// line, when and on what it ran, how the library was set up, and what its calls did.
//
// Made once, when the command begins. The shape of all results is in schema/results.schema.json,
// which changes with it; a change that breaks readers is another version of the schema.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/startup.h"

namespace ktlsim::command {

class Envelope {
 public:
  // `command`: "run". `library`: how it is started.
  Envelope(std::string command, const StartupOptions& library);

  const Machine& machine() const { return machine_; }
  const StartupOptions& library() const { return library_; }

  // An object to which the command adds its own results. The command line is without passwords and
  // without the values of secret header fields; keys are named by their files.
  nlohmann::json Json(const LaneReport& lanes) const;

 private:
  std::string command_;
  StartupOptions library_;
  Machine machine_;
  std::chrono::system_clock::time_point started_;
  std::uint64_t started_ns_;
};

// A text as JSON; null for an empty one.
nlohmann::json TextOrNull(const std::string& text);

}  // namespace ktlsim::command
