// What `ktlsim run` can be told, and the one table of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/option_table.h"

namespace ktlsim::command {

struct RunOptions {
  std::uint64_t duration_ns = 4 * kNsPerSecond;  // of each phase
  unsigned connections = 64;
  std::uint64_t respond_bytes = 1024;
  TlsVersions versions = TlsVersions::k12And13;
  std::string json;

  std::uint64_t warm_up_ns() const { return std::min(kNsPerSecond / 2, duration_ns / 5); }
  // A core can only make so many handshakes at once; more in flight is only more waiting.
  unsigned handshakes_in_flight() const { return std::max(1U, connections / 4); }
  unsigned bulk_connections() const { return std::max(1U, connections / 16); }
};

std::span<const CommandSetting<RunOptions>> RunSettings();

}  // namespace ktlsim::command
