// The settings of `ktlsim run`, in one table.
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
  std::uint64_t duration_ns = 3 * kNsPerSecond;  // of each phase
  unsigned connections = 64;
  std::uint64_t respond_bytes = 1024;
  TlsVersions versions = TlsVersions::k12And13;
  std::string json;

  std::uint64_t warm_up_ns() const { return std::min(kNsPerSecond / 2, duration_ns / 5); }
  // More handshakes in flight than the cores can make only wait longer.
  unsigned handshakes_in_flight() const { return std::max(1U, connections / 4); }
  unsigned bulk_connections() const { return std::max(1U, connections / 16); }
};

std::span<const CommandSetting<RunOptions>> RunSettings();

}  // namespace ktlsim::command
