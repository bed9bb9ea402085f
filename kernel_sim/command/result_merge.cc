#include "kernel_sim/command/result_merge.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/hdr_format.h"
#include "kernel_sim/command/latency_histogram.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {
namespace {

using nlohmann::json;

constexpr const char* kSchema = "ktlsim-load/2";
// Runs at the same time begin and end together but for this share of their time.
constexpr double kApartShareMax = 0.1;
constexpr std::size_t kIntervalsMax = 100'000;

void Refuse(const std::string& why) { throw std::invalid_argument(why); }

std::uint64_t Sum(std::uint64_t a, std::uint64_t b) {
  if (a > std::numeric_limits<std::uint64_t>::max() / 2 - b / 2) Refuse("a count is too large");
  return a + b;
}

std::uint64_t CountOf(const json& count) {
  if (!count.is_number_unsigned()) Refuse("a count is none");
  return count.get<std::uint64_t>();
}

// A rate, a time or a count. JSON has no infinity.
void CheckNumber(const json& value) {
  if (!value.is_number() || value.get<double>() < 0) Refuse("a number is none, or negative");
}

// Null stays null where all are.
void AddNumber(const json& from, const char* name, json* to) {
  const json& value = from.at(name);
  if (value.is_null()) return;
  CheckNumber(value);
  json& sum = (*to)[name];
  if (!sum.is_null()) CheckNumber(sum);
  if (sum.is_null()) {
    sum = value;
  } else if (value.is_number_unsigned() && sum.is_number_unsigned()) {
    sum = Sum(sum.get<std::uint64_t>(), value.get<std::uint64_t>());
  } else {
    sum = sum.get<double>() + value.get<double>();
    if (!std::isfinite(sum.get<double>())) Refuse("a number is too large");
  }
}

LatencyHistogram HistogramOf(const json& buckets, const json& latency) {
  LatencyHistogram histogram;
  for (const json& bucket : buckets) {
    const std::uint64_t count = CountOf(bucket.at(1));
    static_cast<void>(Sum(histogram.count(), count));
    histogram.Record(CountOf(bucket.at(0)), count);
  }
  if (!latency.at("max").is_null()) histogram.SetMax(CountOf(latency.at("max")));
  return histogram;
}

void MergePhase(const json& from, json* to) {
  LatencyHistogram sum = HistogramOf(to->at("buckets"), to->at("latency_ns"));
  const LatencyHistogram more = HistogramOf(from.at("buckets"), from.at("latency_ns"));
  static_cast<void>(Sum(sum.count(), more.count()));
  sum.Merge(more);
  (*to)["buckets"] = BucketsJson(sum);
  (*to)["latency_ns"] = LatencyJson(sum);
}

LatencyHistogram IntervalLatency(const json& interval) {
  LatencyHistogram latency;
  if (interval.at("histogram").is_null()) return latency;
  const std::string wrong = DecodeHdr(interval.at("histogram").get<std::string>(), &latency);
  if (!wrong.empty()) Refuse(wrong);
  if (!interval.at("max_ns").is_null()) latency.SetMax(CountOf(interval.at("max_ns")));
  return latency;
}

void MergeInterval(const json& from, json* to) {
  LatencyHistogram latency = IntervalLatency(*to);
  const LatencyHistogram more = IntervalLatency(from);
  static_cast<void>(Sum(latency.count(), more.count()));
  latency.Merge(more);
  for (const char* name : {"operations", "errors", "bytes", "rate_per_s"}) {
    AddNumber(from, name, to);
  }
  (*to)["length_s"] = std::max(to->at("length_s").get<double>(), from.at("length_s").get<double>());
  if (latency.count() == 0) return;
  (*to)["p50_ns"] = latency.Percentile(0.5);
  (*to)["p99_ns"] = latency.Percentile(0.99);
  (*to)["max_ns"] = latency.max();
  (*to)["histogram"] = EncodeHdr(latency);
}

// Intervals with the same place in the same repeat.
void MergeSeries(const json& from, json* to) {
  if (from.size() > kIntervalsMax || to->size() > kIntervalsMax) Refuse("too many intervals");
  const auto place = [](const json& one) {
    return std::pair(CountOf(one.at("repeat")), one.at("at_s").get<double>());
  };
  std::map<std::pair<std::uint64_t, double>, std::size_t> places;
  for (std::size_t i = 0; i < to->size(); ++i) places.emplace(place(to->at(i)), i);
  for (const json& interval : from) {
    const auto [known, added] = places.emplace(place(interval), to->size());
    if (added) {
      to->push_back(interval);
    } else {
      MergeInterval(interval, &to->at(known->second));
    }
  }
}

void MergePercentiles(const json& phases, json* percentiles) {
  const json& whole = phases.at("whole");
  const LatencyHistogram latency = HistogramOf(whole.at("buckets"), whole.at("latency_ns"));
  for (json& one : *percentiles) {
    const double share = one.at("percentile").get<double>() / 100;
    one["latency_ns"] = latency.count() != 0 ? json(latency.Percentile(share)) : json();
    one["samples_above"] = latency.SamplesAbove(share);
    one["enough_samples"] = share >= 1 ? latency.count() != 0 : latency.SamplesAbove(share) >= 10;
  }
}

void DivideCpu(json* operation) {
  const auto ratio = [operation](const char* of, const char* by, double scale) -> json {
    const json& above = operation->at(of);
    const double below = operation->at(by).get<double>();
    if (above.is_null() || below <= 0) return nullptr;
    return above.get<double>() / below * scale;
  };
  (*operation)["client_cpu_ns_per_operation"] = ratio("client_cpu_ns", "count", 1);
  (*operation)["client_cpu_s_per_gb"] = ratio("client_cpu_ns", "bytes", 1);
}

void MergeOperation(const json& from, json* to) {
  if (from.at("operation") != to->at("operation") || from.at("kind") != to->at("kind")) {
    Refuse("the kinds of operations are not the same");
  }
  for (const char* name : {"count", "bytes", "rate_per_s", "mb_per_s", "client_cpu_ns", "late",
                           "unfinished", "errors", "not_begun"}) {
    AddNumber(from, name, to);
  }
  for (const char* name : {"seconds", "oldest_unfinished_ns"}) {
    if (!from.at(name).is_null()) CheckNumber(from.at(name));
    if (to->at(name).is_null() || (!from.at(name).is_null() && from.at(name) > to->at(name))) {
      (*to)[name] = from.at(name);
    }
  }
  if (to->at("statuses").is_null()) {
    (*to)["statuses"] = from.at("statuses");
  } else if (!from.at("statuses").is_null()) {
    for (const char* name : {"1xx", "2xx", "3xx", "4xx", "5xx", "other"}) {
      AddNumber(from.at("statuses"), name, &(*to)["statuses"]);
    }
  }
  for (const json& text : from.at("error_texts")) (*to)["error_texts"].push_back(text);
  for (const json& repeat : from.at("repeats")) (*to)["repeats"].push_back(repeat);
  for (const char* name :
       {"name_resolution", "tcp_connect", "tls_handshake", "first_byte", "whole"}) {
    MergePhase(from.at("phases").at(name), &(*to)["phases"][name]);
  }
  (*to)["latency_ns"] = to->at("phases").at("whole").at("latency_ns");
  MergePercentiles(to->at("phases"), &(*to)["percentiles"]);
  MergeSeries(from.at("time_series"), &(*to)["time_series"]);
  json& confidence = (*to)["confidence"];
  confidence["rate_per_s"] = confidence["client_cpu_ns_per_operation"] = nullptr;
  confidence["percentiles"] = json::array();
  DivideCpu(to);
}

// Their own queues and lags are in their own results.
void MergeGenerator(const json& from, json* to) {
  for (const char* name : {"processors", "cpu_ns"}) AddNumber(from, name, to);
  (*to)["cpu_share"] =
      std::max(to->at("cpu_share").get<double>(), from.at("cpu_share").get<double>());
  const json& lag = from.at("lag_ns");
  const bool later =
      !lag.is_null() && (to->at("lag_ns").is_null() || lag.at("p99") > to->at("lag_ns").at("p99"));
  if (later) (*to)["lag_ns"] = lag;
}

json OriginOf(const json& result, const std::string& file) {
  return {{"file", file},
          {"command_line", result.at("command_line")},
          {"started", result.at("started")},
          {"duration_s", result.at("duration_s")},
          {"host", result.at("host")},
          {"settings", result.at("settings")},
          {"labels", result.at("labels")},
          {"valid", result.at("valid")}};
}

// When each of its repeats was measured, in seconds since 1970.
struct Span {
  double from;
  double until;
};
std::vector<Span> SpansOf(const json& result) {
  const json& operation = result.at("operations").at(0);
  std::vector<Span> spans;
  for (const json& repeat : operation.at("repeats")) {
    const double from = repeat.at("measured_from_unix_s").get<double>();
    spans.push_back({from, from + repeat.at("seconds").get<double>()});
  }
  if (spans.empty()) Refuse("there are no repeats");
  return spans;
}

// Empty: each repeat began and ended with that of the first result.
std::string ApartFrom(const std::vector<Span>& first, const std::vector<Span>& other) {
  if (first.size() != other.size()) {
    return fmt::format("has {} repeats, the first {}", other.size(), first.size());
  }
  for (std::size_t i = 0; i < first.size(); ++i) {
    const double shorter = std::min(first[i].until - first[i].from, other[i].until - other[i].from);
    const double begins = std::abs(other[i].from - first[i].from);
    const double ends = std::abs(other[i].until - first[i].until);
    if (begins <= kApartShareMax * shorter && ends <= kApartShareMax * shorter) continue;
    return fmt::format("began {:.1f} s and ended {:.1f} s apart from the first, in repeat {}",
                       begins, ends, i + 1);
  }
  return {};
}

// Rates of different times do not add up.
void CheckTimes(const json& from, const std::string& file, const json& first, json* to) {
  const std::string apart = ApartFrom(SpansOf(first), SpansOf(from));
  if (apart.empty()) return;
  (*to)["valid"] = false;
  (*to)["reasons"].push_back(
      {{"reason", DoubtName(Doubt::kNotTogether)},
       {"text", fmt::format("{}: {} {}", DoubtText(Doubt::kNotTogether), file, apart)}});
}

// What all of them asked for together.
void MergeSettings(const json& from, json* to) {
  for (const char* name : {"rate_asked_per_s", "connections"}) {
    if (from.contains(name)) AddNumber(from, name, to);
  }
  if (to->contains("seed")) (*to)["seed"] = nullptr;
}

// Its operations would count twice.
void RefuseTheSame(std::span<const json> before, const json& result) {
  const json& when = result.at("measured_monotonic_ns");
  if (when.is_null()) return;
  for (const json& other : before) {
    const bool same = other.at("measured_monotonic_ns") == when &&
                      other.at("started") == result.at("started") &&
                      other.at("host") == result.at("host") &&
                      other.at("command_line") == result.at("command_line") &&
                      other.at("operations") == result.at("operations");
    if (same) Refuse("is the same result as one before it");
  }
}

void MergeInto(const json& from, const std::string& file, const json& first, json* to) {
  json& operations = (*to)["operations"];
  if (from.at("operations").size() != operations.size()) {
    Refuse("the kinds of operations are not the same");
  }
  for (std::size_t i = 0; i < operations.size(); ++i) {
    MergeOperation(from.at("operations").at(i), &operations[i]);
  }
  MergeGenerator(from.at("generator"), &(*to)["generator"]);
  for (const char* name : {"not_begun", "errors", "warm_up_errors"}) AddNumber(from, name, to);
  for (const char* name : {"warm_up_error_texts", "addresses_passed_over"}) {
    for (const json& text : from.at(name)) (*to)[name].push_back(text);
  }
  (*to)["rundown_clean"] =
      to->at("rundown_clean").get<bool>() && from.at("rundown_clean").get<bool>();
  (*to)["valid"] = to->at("valid").get<bool>() && from.at("valid").get<bool>();
  for (json reason : from.at("reasons")) {
    reason["text"] = file + ": " + reason.at("text").get<std::string>();
    (*to)["reasons"].push_back(std::move(reason));
  }
  MergeSettings(from.at("settings"), &(*to)["settings"]);
  CheckTimes(from, file, first, to);
  (*to)["merged"].push_back(OriginOf(from, file));
}

}  // namespace

std::string MergeResults(std::span<const json> results, std::span<const std::string> files,
                         json* merged) {
  std::size_t at = 0;
  try {
    for (; at < results.size(); ++at) {
      const json& result = results[at];
      if (!result.is_object() || result.value("schema", "") != kSchema) {
        Refuse(std::string("not a result of ktlsim load (") + kSchema + ")");
      }
      if (!result.at("valid").is_boolean()) Refuse("it does not say whether it is valid");
      if (result.at("operations").empty()) Refuse("there are no operations");
      if (at != 0) {
        RefuseTheSame(results.first(at), result);
        MergeInto(result, files[at], results.front(), merged);
        continue;
      }
      // Whatever is wrong with the first one shows when it is added to itself.
      *merged = result;
      MergeInto(result, files[at], results.front(), merged);
      *merged = result;
      (*merged)["merged"] = json::array({OriginOf(result, files[at])});
      (*merged)["measured_monotonic_ns"] = nullptr;
    }
    json& generator = (*merged)["generator"];
    std::uint64_t operations = 0;
    for (const json& one : merged->at("operations")) operations += CountOf(one.at("count"));
    generator["cpu_ns_per_operation"] =
        operations != 0
            ? json(generator.at("cpu_ns").get<double>() / static_cast<double>(operations))
            : json();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return fmt::format("{}: {}", Printable(files[at < files.size() ? at : 0]), error.what());
  }
  return {};
}

}  // namespace ktlsim::command
