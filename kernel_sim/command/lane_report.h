// LaneReport: what happened to the library's calls, by role of the processors and by lane: how many
// there were, and how long they were queued, were served, and waited for their callback; and what
// the processors' rings did.
//
// What a newcomer gets wrong: times are taken of a sample (one call in 64 without
// --time-every-call) and kept in classes by powers of two. A percentile is the upper end of its
// class, and a mean is that of the classes' middles.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim::command {

// Nanoseconds; a percentile is below its figure.
struct TimeFigures {
  std::uint64_t calls = 0;  // that were timed
  std::uint64_t mean = 0;   // approximate
  std::uint64_t p50 = 0;
  std::uint64_t p90 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t p999 = 0;
  std::uint64_t max = 0;
};
// None: not one call was timed.
std::optional<TimeFigures> FiguresOf(const KtlsimHistogram& histogram);

struct LaneReport {
  static constexpr const char* kCryptoRole = "crypto";
  struct Role {
    std::string name;
    unsigned processors = 0;
    std::array<KtlsimLaneStatistics, KTLSIM_LANES> lanes{};
    KtlsimRingStatistics ring{};  // the sum of its processors'
  };

  std::vector<Role> roles;  // in the order of their processors
  // The sum of all lanes; synchronous calls have no callback.
  std::uint64_t accepted = 0;
  std::uint64_t callbacks = 0;
  std::uint64_t callbacks_on_processors = 0;  // of these; the others are the pool's

  unsigned io_processors() const;
  unsigned crypto_processors() const;

  // Adds what happened in another start of the library.
  LaneReport& operator+=(const LaneReport& other);
};

// Since the last start of the library, also after its stop. Any thread.
LaneReport ReadLanes();

// A table of at most 80 columns; nothing when there was no call. `every_call`: all were timed.
void PrintLanes(const LaneReport& report, bool every_call, std::FILE* out);
nlohmann::json LanesJson(const LaneReport& report, bool every_call);

}  // namespace ktlsim::command
