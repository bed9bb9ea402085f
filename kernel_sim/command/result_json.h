// What the commands' JSON files have in common.
#pragma once

#include <cstdio>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {

// `cpu_side` as in PrintResultTable. Null where nothing was measured.
nlohmann::json ResultJson(const ResultRow& row, const std::string& cpu_side);
// Null where nothing was recorded.
nlohmann::json LatencyJson(const LatencyHistogram& latency);
// The filled buckets, as pairs of their highest value and their count.
nlohmann::json BucketsJson(const LatencyHistogram& latency);
// Sets "valid" and "reasons" of a command's result.
void AddVerdict(const Verdict& verdict, nlohmann::json* json);
// Sets "rundown" and "rundown_clean".
void AddRundown(const RundownCheck& rundown, nlohmann::json* json);
// Empty: the file can be written, and exists now; else why not. A user wants to know that before a
// long run, not after it. "-" is standard output.
std::string CheckWritable(const std::string& path);
// Where tables and text go: to standard output, unless the JSON does.
std::FILE* TextOutput(const std::string& json_path);
// False: the file cannot be written.
bool WriteJsonFile(const nlohmann::json& json, const std::string& path);

}  // namespace ktlsim::command
