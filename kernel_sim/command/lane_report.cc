#include "kernel_sim/command/lane_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/durations.h"

namespace ktlsim::command {
namespace {

constexpr std::array<const char*, KTLSIM_LANES> kLaneNames = {"record", "handshake"};
static_assert(KTLSIM_LANE_RECORD == 0 && KTLSIM_LANE_HANDSHAKE == 1);

// Without KTLSIM_TIME_EVERY_CALL, as in sspi_ext.h.
constexpr unsigned kTimedOneIn = 64;

struct TimeKind {
  const char* name;
  KtlsimHistogram KtlsimLaneStatistics::* histogram;
};
constexpr std::array kTimeKinds = {TimeKind{"queued", &KtlsimLaneStatistics::Queued},
                                   TimeKind{"served", &KtlsimLaneStatistics::Served},
                                   TimeKind{"notified", &KtlsimLaneStatistics::Notified}};

struct RingFigure {
  const char* name;
  ULONGLONG KtlsimRingStatistics::* figure;
};
// Those that only grow: how many there are at the end says nothing about a run.
constexpr std::array kRingFigures = {
    RingFigure{"turns", &KtlsimRingStatistics::cTurns},
    RingFigure{"enters", &KtlsimRingStatistics::cEnters},
    RingFigure{"submitted", &KtlsimRingStatistics::cSubmitted},
    RingFigure{"completed", &KtlsimRingStatistics::cCompleted},
    RingFigure{"wakes", &KtlsimRingStatistics::cWakes},
    RingFigure{"posted", &KtlsimRingStatistics::cPosted},
    RingFigure{"submission_full", &KtlsimRingStatistics::cSubmissionFull},
    RingFigure{"parked", &KtlsimRingStatistics::cParked},
    RingFigure{"buffers_exhausted", &KtlsimRingStatistics::cBuffersExhausted},
    RingFigure{"completion_overflow", &KtlsimRingStatistics::cCompletionOverflow},
    RingFigure{"completions_lost", &KtlsimRingStatistics::cCompletionsLost}};

// Bucket i has times from 2^i to here, without it.
constexpr std::uint64_t EndOfBucket(std::size_t bucket) { return std::uint64_t{2} << bucket; }

std::uint64_t Percentile(const KtlsimHistogram& histogram, std::uint64_t calls, double share) {
  const double wanted = std::max(1.0, std::ceil(share * static_cast<double>(calls)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
    seen += histogram.cCalls[i];
    if (static_cast<double>(seen) >= wanted) return EndOfBucket(i);
  }
  return 0;
}

void Add(const KtlsimLaneStatistics& from, KtlsimLaneStatistics* to) {
  to->cDepth += from.cDepth;
  to->cRefused += from.cRefused;
  to->cCompleted += from.cCompleted;
  to->cCancelled += from.cCancelled;
  to->cQueueTimeouts += from.cQueueTimeouts;
  for (const TimeKind& kind : kTimeKinds) {
    for (std::size_t i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
      (to->*kind.histogram).cCalls[i] += (from.*kind.histogram).cCalls[i];
    }
  }
}

void Add(const KtlsimRingStatistics& from, KtlsimRingStatistics* to) {
  for (const RingFigure& one : kRingFigures) to->*one.figure += from.*one.figure;
}

LaneReport::Role& RoleOf(const std::string& name, LaneReport* report) {
  const auto found = std::find_if(report->roles.begin(), report->roles.end(),
                                  [&name](const LaneReport::Role& r) { return r.name == name; });
  return found != report->roles.end() ? *found : report->roles.emplace_back(LaneReport::Role{name});
}

bool Used(const KtlsimLaneStatistics& lane) { return lane.cCompleted != 0 || lane.cRefused != 0; }

void PrintFigures(const std::optional<TimeFigures>& figures, std::FILE* out) {
  if (!figures) {
    fmt::print(out, "{:>9}{:>8}{:>8}{:>8}{:>8}\n", 0, "-", "-", "-", "-");
    return;
  }
  fmt::print(out, "{:>9}{:>8}{:>8}{:>8}{:>8}\n", figures->calls, FormatDuration(figures->mean),
             FormatDuration(figures->p50), FormatDuration(figures->p99),
             FormatDuration(figures->max));
}

void PrintLane(const LaneReport::Role& role, std::size_t lane, std::FILE* out) {
  const KtlsimLaneStatistics& statistics = role.lanes[lane];
  const std::string of =
      fmt::format("{:<6.6} {:<10}{:>10}", role.name, kLaneNames[lane], statistics.cCompleted);
  bool first = true;
  for (const TimeKind& kind : kTimeKinds) {
    fmt::print(out, "{:<27}  {:<9}", first ? of : "", kind.name);
    PrintFigures(FiguresOf(statistics.*kind.histogram), out);
    first = false;
  }
  if (statistics.cRefused + statistics.cCancelled + statistics.cQueueTimeouts == 0) return;
  fmt::print(out, "{:7}{} refused by a full queue; {} cancelled, {} over their limit\n", "",
             statistics.cRefused, statistics.cCancelled, statistics.cQueueTimeouts);
}

nlohmann::json HistogramJson(const KtlsimHistogram& histogram) {
  nlohmann::json buckets = nlohmann::json::array();
  for (std::size_t i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
    if (histogram.cCalls[i] == 0) continue;
    buckets.push_back({{"below_ns", EndOfBucket(i)}, {"calls", histogram.cCalls[i]}});
  }
  const std::optional<TimeFigures> figures = FiguresOf(histogram);
  const auto known = [&figures](std::uint64_t TimeFigures::* figure) {
    return figures ? nlohmann::json((*figures).*figure) : nlohmann::json();
  };
  return {{"calls", figures ? figures->calls : 0},    {"mean_about_ns", known(&TimeFigures::mean)},
          {"p50_below_ns", known(&TimeFigures::p50)}, {"p90_below_ns", known(&TimeFigures::p90)},
          {"p99_below_ns", known(&TimeFigures::p99)}, {"p999_below_ns", known(&TimeFigures::p999)},
          {"max_below_ns", known(&TimeFigures::max)}, {"buckets", buckets}};
}

nlohmann::json LaneJson(const LaneReport::Role& role, std::size_t lane) {
  const KtlsimLaneStatistics& statistics = role.lanes[lane];
  nlohmann::json json = {{"role", role.name},
                         {"processors", role.processors},
                         {"lane", kLaneNames[lane]},
                         {"depth", statistics.cDepth},
                         {"refused", statistics.cRefused},
                         {"completed", statistics.cCompleted},
                         {"cancelled", statistics.cCancelled},
                         {"timed_out", statistics.cQueueTimeouts}};
  for (const TimeKind& kind : kTimeKinds) {
    json[kind.name] = HistogramJson(statistics.*kind.histogram);
  }
  return json;
}

nlohmann::json RingJson(const LaneReport::Role& role) {
  nlohmann::json json = {{"role", role.name}, {"processors", role.processors}};
  for (const RingFigure& one : kRingFigures) json[one.name] = role.ring.*one.figure;
  return json;
}

}  // namespace

std::optional<TimeFigures> FiguresOf(const KtlsimHistogram& histogram) {
  TimeFigures figures;
  double sum = 0;
  for (std::size_t i = 0; i < KTLSIM_HISTOGRAM_BUCKETS; ++i) {
    const std::uint64_t calls = histogram.cCalls[i];
    if (calls == 0) continue;
    figures.calls += calls;
    // The middle of 2^i to 2^(i+1); of 0 and 1 ns, which are bucket 0, it is 1.
    sum += static_cast<double>(calls) * std::max(1.0, 0.75 * static_cast<double>(EndOfBucket(i)));
    figures.max = EndOfBucket(i);
  }
  if (figures.calls == 0) return {};
  figures.mean = static_cast<std::uint64_t>(sum / static_cast<double>(figures.calls));
  figures.p50 = Percentile(histogram, figures.calls, 0.5);
  figures.p90 = Percentile(histogram, figures.calls, 0.9);
  figures.p99 = Percentile(histogram, figures.calls, 0.99);
  figures.p999 = Percentile(histogram, figures.calls, 0.999);
  return figures;
}

unsigned LaneReport::crypto_processors() const {
  unsigned count = 0;
  for (const Role& role : roles) count += role.name == kCryptoRole ? role.processors : 0;
  return count;
}

unsigned LaneReport::io_processors() const {
  unsigned count = 0;
  for (const Role& role : roles) count += role.processors;
  return count - crypto_processors();
}

LaneReport& LaneReport::operator+=(const LaneReport& other) {
  for (const Role& role : other.roles) {
    Role& mine = RoleOf(role.name, this);
    mine.processors = std::max(mine.processors, role.processors);
    for (std::size_t i = 0; i < KTLSIM_LANES; ++i) Add(role.lanes[i], &mine.lanes[i]);
    Add(role.ring, &mine.ring);
  }
  accepted += other.accepted;
  callbacks += other.callbacks;
  callbacks_on_processors += other.callbacks_on_processors;
  return *this;
}

LaneReport ReadLanes() {
  LaneReport report;
  KtlsimStatistics all{};
  all.cbSize = sizeof(all);
  if (KtlsimQueryStatistics(&all) == SEC_E_OK) {
    report.accepted = all.cAccepted;
    report.callbacks = all.cCallbacks;
  }
  KtlsimProcessorStatistics one{};
  one.cbSize = sizeof(one);
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
    LaneReport::Role& role = RoleOf(one.szRole, &report);
    ++role.processors;
    report.callbacks_on_processors += one.cCallbacks;
    for (std::size_t lane = 0; lane < KTLSIM_LANES; ++lane) Add(one.Lanes[lane], &role.lanes[lane]);
    Add(one.Ring, &role.ring);
  }
  return report;
}

void PrintLanes(const LaneReport& report, bool every_call, std::FILE* out) {
  if (report.accepted == 0) return;
  fmt::print(out, "\n{:<6} {:<10}{:>10}  {:<9}{:>9}{:>8}{:>8}{:>8}{:>8}\n", "role", "lane", "calls",
             "time", "timed", "mean", "p50", "p99", "max");
  for (const LaneReport::Role& role : report.roles) {
    for (std::size_t lane = 0; lane < KTLSIM_LANES; ++lane) {
      if (Used(role.lanes[lane])) PrintLane(role, lane, out);
    }
  }
  fmt::print(out,
             "calls of the library from its start to its end. queued: from acceptance to the\n"
             "first run; served: from there to the status; notified: from there to the\n"
             "callback. timed: {}.\n"
             "A percentile is below the power of two (of nanoseconds) that is shown; the\n"
             "mean is approximate.\n",
             every_call ? "every call" : "one call in 64 (all with --time-every-call)");
}

nlohmann::json LanesJson(const LaneReport& report, bool every_call) {
  KtlsimLaneStatistics sum{};
  nlohmann::json lanes = nlohmann::json::array();
  nlohmann::json rings = nlohmann::json::array();
  for (const LaneReport::Role& role : report.roles) {
    rings.push_back(RingJson(role));
    for (std::size_t lane = 0; lane < KTLSIM_LANES; ++lane) {
      Add(role.lanes[lane], &sum);
      lanes.push_back(LaneJson(role, lane));
    }
  }
  return {{"accepted", report.accepted},
          {"refused", sum.cRefused},
          {"completed", sum.cCompleted},
          {"cancelled", sum.cCancelled},
          {"timed_out", sum.cQueueTimeouts},
          {"callbacks", report.callbacks},
          {"callbacks_on_processors", report.callbacks_on_processors},
          {"timed_one_in", every_call ? 1U : kTimedOneIn},
          {"lanes", lanes},
          {"rings", rings}};
}

}  // namespace ktlsim::command
