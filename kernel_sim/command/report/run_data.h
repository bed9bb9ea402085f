// RunData: what a report knows of one run, whichever command measured it.
//
// A run may have several files: they are repeats of it, and so are the repeats within one file; a
// result of `ktlsim report merge` is one repeat, because its parts were measured at once.
// What was not measured is an empty vector or no value. The files are other people's: nothing in
// them is trusted but its type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ktlsim::command::report {

// Nanoseconds. One figure per repeat, in the repeats' order.
struct LatencyFigures {
  std::vector<double> p50;
  std::vector<double> p90;
  std::vector<double> p99;
  std::vector<double> p999;
  std::vector<double> max;
};

struct Bucket {
  double upper_ns = 0;
  double count = 0;
};

struct Interval {
  double at_s = 0;  // since the run's first interval; repeats follow each other
  double length_s = 0;
  double operations = 0;
  std::optional<double> p99_ns;
};

struct PhaseFigures {
  std::string name;
  double p50_ns = 0;
  double p99_ns = 0;
};

struct OperationData {
  std::string name;
  double count = 0;
  double errors = 0;
  double unfinished = 0;
  std::vector<double> rates;          // per second
  std::vector<double> server_cpu_ns;  // per operation
  std::vector<double> client_cpu_ns;  // per operation
  LatencyFigures latency;
  std::vector<Bucket> buckets;  // of all repeats, ascending; empty: only the percentiles are known
  std::vector<Interval> series;
  std::vector<PhaseFigures> phases;
};

// Of one lane of the processors of a role: means in ns, absent where no call was timed.
struct LaneData {
  std::string role;
  std::string lane;
  double completed = 0;
  std::optional<double> queued_ns;
  std::optional<double> served_ns;
  std::optional<double> notified_ns;
};

// Of the rings of a role, in all files.
struct RingData {
  std::string role;
  double submitted = 0;  // submission queue entries
  double completed = 0;  // completion queue entries
  double enters = 0;     // calls of io_uring_enter
  double overflow = 0;   // times that the completion queue had overflowed
};

struct PeerData {
  std::string name;
  std::vector<double> figures;  // one per repeat
};

struct ScenarioData {
  std::string name;
  std::string text;
  std::string figure;  // its unit in words
  std::vector<PeerData> peers;
};

struct RunData {
  std::string name;
  std::string kind;   // load, run, compare
  std::string group;  // the label "server", if the file has one: whose load curve this is
  std::string started;
  std::string host;
  std::string command_line;
  bool valid = true;
  std::vector<std::string> reasons;
  std::size_t files = 0;
  std::vector<OperationData> operations;
  std::vector<LaneData> lanes;
  std::vector<RingData> rings;
  std::vector<ScenarioData> scenarios;
};

// The largest result that is read.
inline constexpr std::size_t kResultBytesMax = std::size_t{256} << 20U;

// At most `bytes` of UTF-8, whole characters only.
std::string ShortText(const std::string& text, std::size_t bytes);

// Adds the result in `text` to `*run`: the first one makes it, further ones must be of the same
// kind and are repeats. Empty: done; else what is wrong with the text, and `*run` is as it was.
std::string AddResult(std::string_view text, RunData* run);

// `argument` is FILE[,FILE...] or NAME=FILE[,FILE...]; a file of exactly that name goes first.
// Reads all of them. Empty: done; else what is wrong, with the file's name.
std::string ReadRun(const std::string& argument, RunData* run);

}  // namespace ktlsim::command::report
