// Verdict: whether the figures of a run are valid, and if not, why.
//
// Every command that measures ends with one: in the table, in JSON, and in its exit code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"

namespace ktlsim::command {

enum class Doubt : std::uint8_t {
  kNothingDone,       // not one operation was completed in the measured time
  kOperationsFailed,  // some did, and are in no percentile unless they timed out
  kUnfinished,        // some never came back: the percentiles have only how long they took so far
  kRateNotHeld,       // open loop: some never began
  kGeneratorBusy,     // the generator had no time left: the figures are its own
  kGeneratorLate,     // open loop: it was late by itself, while connections waited for it
  kTooFewSamples,     // for a percentile that was asked for
  kPauseHidden,       // closed loop: the server paused, and the percentiles do not show it
  kCheckFailed,       // an invariant broke
  kLeftBehind,        // something was left after the end
  kNotTogether,       // merged results: they were measured at different times
  kInterrupted,       // a signal ended it early
};
inline constexpr std::size_t kDoubts = 12;

// "rate_not_held", for JSON. Never null.
const char* DoubtName(Doubt doubt);
// "the rate was not held", for people. Never null.
const char* DoubtText(Doubt doubt);

class Verdict {
 public:
  struct Reason {
    Doubt doubt;
    std::string text;  // a sentence: DoubtText, then the detail
  };

  // Empty `detail`: DoubtText is sufficient.
  void Add(Doubt doubt, const std::string& detail = {});

  bool valid() const { return reasons_.empty(); }
  const std::vector<Reason>& reasons() const { return reasons_; }

 private:
  std::vector<Reason> reasons_;
};

// "verdict: valid", or each reason in a line of its own.
void PrintVerdict(const Verdict& verdict, std::FILE* out);

// What one phase did.
void JudgeRow(const ResultRow& row, Verdict* verdict);
// What was left of all.
void JudgeRundown(const RundownCheck& rundown, Verdict* verdict);

// How busy a generator was, in all repeats together.
struct GeneratorUse {
  double rate_asked = 0;  // per second; 0: closed loop
  double seconds = 0;
  double warm_up_seconds = 0;  // of one repeat
  std::size_t repeats = 1;
  bool poisson = false;  // how many are due varies
  std::uint64_t not_begun = 0;
  unsigned connections = 0;
  double cpu_share = 0;  // of its processors' time, 0 to 1
};
// Its share of the time that `threads` had on `cores`.
double CpuShare(std::uint64_t cpu_ns, double seconds, unsigned threads, unsigned cores);
// How busy it was, whether as many operations were completed as were due, and its lag, which is in
// the row, as are the operations that ended late or never.
void JudgeGenerator(const ResultRow& row, const GeneratorUse& use, Verdict* verdict);
// Closed loop: whether p99, or one of `percentiles` (in percent) that has enough samples, would be
// another one had each connection gone on sending in the rhythm of its usual operation.
void JudgePause(const ResultRow& row, const std::vector<double>& percentiles, Verdict* verdict);
// `percentile` has too few operations above it.
void JudgeSamples(const ResultRow& row, double percentile, Verdict* verdict);

}  // namespace ktlsim::command
