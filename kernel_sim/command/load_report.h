// The result of `ktlsim load`: what was measured, as a table, as JSON and as HdrHistogram's files,
// and the verdict on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/load_settings.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {

// One time of measuring: a row for each kind of operation.
struct LoadRepeat {
  double measured_from_unix_s = 0;     // seconds since 1970
  std::uint64_t measured_from_ns = 0;  // by MonotonicClock
  std::uint64_t measured_until_ns = 0;
  std::uint64_t cpu_ns = 0;  // of the generator's processors
  std::vector<ResultRow> rows;
};

// Of `--digest`.
struct LoadDigestFacts {
  std::optional<ResultRow> first_authentications;
  std::size_t contexts = 0;
  unsigned renewals = 0;
  std::uint64_t proofs = 0;  // of the server, by signed requests
};

struct LoadReport {
  std::vector<LoadRepeat> repeats;
  std::uint32_t seed = 0;    // of the timetables: another one for each process
  bool interrupted = false;  // by a signal, before all of it was measured
  LoadDigestFacts digest;
  std::uint64_t look_up_ns = 0;  // of the server's name
  std::optional<CertificateFacts> server_certificate;
  std::optional<CertificateFacts> client_certificate;
  std::uint64_t warm_up_errors = 0;
  std::vector<std::string> warm_up_error_texts;
  std::vector<std::string> passed_over;  // addresses that could not be reached
  RundownCheck rundown;
  LaneReport lanes;

  // All repeats together, a row for each kind of operation.
  std::vector<ResultRow> Rows() const;
  std::uint64_t cpu_ns() const;
  double seconds() const;
  std::uint64_t operations() const;
  unsigned processors() const { return lanes.io_processors() + lanes.crypto_processors(); }
};

Verdict JudgeLoad(const LoadReport& report, const LoadOptions& options, const Envelope& envelope);
void PrintLoad(const LoadReport& report, const LoadOptions& options, const Envelope& envelope,
               const Verdict& verdict);
nlohmann::json LoadJson(const LoadReport& report, const LoadOptions& options,
                        const Envelope& envelope, const Verdict& verdict);
// Writes what the options ask for. Empty: done; else what could not be written, and the remedy.
std::string WriteLoadFiles(const LoadReport& report, const LoadOptions& options,
                           const Envelope& envelope, const Verdict& verdict);

}  // namespace ktlsim::command
