// The settings of `ktlsim stress`, in one table.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/stress/runner.h"

namespace ktlsim::command {

struct StressOptions {
  StressPlan plan;         // without `foreign`
  std::string server;      // to be dialled, as it was written; empty: one of our own
  std::uint64_t seed = 0;  // 0: from the clock
  std::string json;
};

std::span<const CommandSetting<StressOptions>> StressSettings();

}  // namespace ktlsim::command
