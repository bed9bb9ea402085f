#include "kernel_sim/command/report/run_data.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command::report {
namespace {

using nlohmann::json;

// More of anything would be no report.
constexpr std::size_t kItemsMax = 4096;
constexpr std::size_t kIntervalsMax = 100000;
constexpr std::size_t kTextMax = 400;

const json& At(const json& object, const char* key) {
  static const json* const none = new json();
  if (!object.is_object()) return *none;
  const auto found = object.find(key);
  return found == object.end() ? *none : *found;
}

std::optional<double> Number(const json& object, const char* key) {
  const json& value = At(object, key);
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

double NumberOr0(const json& object, const char* key) { return Number(object, key).value_or(0); }

std::string Text(const json& object, const char* key) {
  const json& value = At(object, key);
  return value.is_string() ? ShortText(value.get<std::string>(), kTextMax) : std::string();
}

// Calls `take` for each element of an array, up to a bound.
template <typename Take>
void ForEach(const json& array, std::size_t max, Take take) {
  if (!array.is_array()) return;
  std::size_t taken = 0;
  for (const json& element : array) {
    if (taken++ == max) return;
    take(element);
  }
}

void Append(const std::optional<double>& figure, std::vector<double>* figures) {
  if (figure) figures->push_back(*figure);
}

void AddLatency(const json& latency, LatencyFigures* figures) {
  Append(Number(latency, "p50"), &figures->p50);
  Append(Number(latency, "p90"), &figures->p90);
  Append(Number(latency, "p99"), &figures->p99);
  Append(Number(latency, "p999"), &figures->p999);
  Append(Number(latency, "max"), &figures->max);
}

void AddBuckets(const json& array, std::vector<Bucket>* buckets) {
  std::map<double, double> sums;
  for (const Bucket& bucket : *buckets) sums[bucket.upper_ns] += bucket.count;
  ForEach(array, kIntervalsMax, [&sums](const json& pair) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number())
      return;
    const auto count = pair[1].get<double>();
    if (count > 0) sums[pair[0].get<double>()] += count;
  });
  buckets->clear();
  buckets->reserve(sums.size());
  for (const auto& [upper, count] : sums) buckets->push_back({.upper_ns = upper, .count = count});
}

// Repeats are drawn one after the other.
void AddSeries(const json& array, std::vector<Interval>* series) {
  double offset = series->empty() ? 0 : series->back().at_s + series->back().length_s;
  double repeat = 1;
  ForEach(array, kIntervalsMax, [&](const json& interval) {
    const double in_repeat = Number(interval, "repeat").value_or(1);
    if (in_repeat != repeat && !series->empty()) {
      offset = series->back().at_s + series->back().length_s;
    }
    repeat = in_repeat;
    series->push_back({.at_s = offset + NumberOr0(interval, "at_s"),
                       .length_s = NumberOr0(interval, "length_s"),
                       .operations = NumberOr0(interval, "operations"),
                       .p99_ns = Number(interval, "p99_ns")});
  });
}

constexpr std::array kPhases = {"name_resolution", "tcp_connect", "tls_handshake", "first_byte",
                                "whole"};

void SetPhases(const json& phases, OperationData* operation) {
  if (!operation->phases.empty()) return;
  for (const char* name : kPhases) {
    const json& latency = At(At(phases, name), "latency_ns");
    const auto p50 = Number(latency, "p50");
    const auto p99 = Number(latency, "p99");
    if (p50 && p99) operation->phases.push_back({.name = name, .p50_ns = *p50, .p99_ns = *p99});
  }
}

// Of `ktlsim report merge`: its repeats are parts of the whole, and were measured at once.
bool IsMerged(const json& result) { return At(result, "merged").is_array(); }

void AddOperation(const json& from, bool merged, OperationData* to) {
  to->count += NumberOr0(from, "count");
  to->errors += NumberOr0(from, "errors");
  to->unfinished += NumberOr0(from, "unfinished");
  // Its own repeats are the figures, where there are any.
  const json& repeats = At(from, "repeats");
  const auto take = [to](const json& figures) {
    Append(Number(figures, "rate_per_s"), &to->rates);
    Append(Number(figures, "server_cpu_ns_per_operation"), &to->server_cpu_ns);
    Append(Number(figures, "client_cpu_ns_per_operation"), &to->client_cpu_ns);
    AddLatency(At(figures, "latency_ns"), &to->latency);
  };
  if (repeats.is_array() && !repeats.empty() && !merged) {
    ForEach(repeats, kItemsMax, take);
  } else {
    take(from);
  }
  const json& buckets = At(from, "buckets");
  AddBuckets(buckets.is_array() ? buckets : At(At(At(from, "phases"), "whole"), "buckets"),
             &to->buckets);
  AddSeries(At(from, "time_series"), &to->series);
  SetPhases(At(from, "phases"), to);
}

void AddOperations(const json& result, RunData* run) {
  const bool merged = IsMerged(result);
  ForEach(At(result, "operations"), kItemsMax, [run, merged](const json& operation) {
    const std::string name = Text(operation, "operation");
    if (name.empty()) return;
    auto same = std::find_if(run->operations.begin(), run->operations.end(),
                             [&name](const OperationData& known) { return known.name == name; });
    if (same == run->operations.end()) {
      run->operations.push_back({});
      same = std::prev(run->operations.end());
      same->name = name;
    }
    AddOperation(operation, merged, &*same);
  });
}

// Of the first file: means of several would hide which is which.
void SetLanes(const json& result, RunData* run) {
  if (!run->lanes.empty()) return;
  ForEach(At(At(result, "calls"), "lanes"), kItemsMax, [run](const json& lane) {
    if (NumberOr0(lane, "completed") == 0) return;
    run->lanes.push_back({.role = Text(lane, "role"),
                          .lane = Text(lane, "lane"),
                          .completed = NumberOr0(lane, "completed"),
                          .queued_ns = Number(At(lane, "queued"), "mean_about_ns"),
                          .served_ns = Number(At(lane, "served"), "mean_about_ns"),
                          .notified_ns = Number(At(lane, "notified"), "mean_about_ns")});
  });
}

// Sums, as the counts of the operations are. A merged result has the rings of one part only.
void AddRings(const json& result, RunData* run) {
  if (IsMerged(result)) return;
  ForEach(At(At(result, "calls"), "rings"), kItemsMax, [run](const json& ring) {
    const std::string role = Text(ring, "role");
    auto same = std::find_if(run->rings.begin(), run->rings.end(),
                             [&role](const RingData& known) { return known.role == role; });
    if (same == run->rings.end()) {
      run->rings.push_back({});
      same = std::prev(run->rings.end());
      same->role = role;
    }
    same->submitted += NumberOr0(ring, "submitted");
    same->completed += NumberOr0(ring, "completed");
    same->enters += NumberOr0(ring, "enters");
    same->overflow += NumberOr0(ring, "completion_overflow");
  });
}

void AddPeer(const json& result, ScenarioData* scenario) {
  const std::string name = Text(result, "peer");
  auto same = std::find_if(scenario->peers.begin(), scenario->peers.end(),
                           [&name](const PeerData& known) { return known.name == name; });
  if (same == scenario->peers.end()) {
    scenario->peers.push_back({.name = name, .figures = {}});
    same = std::prev(scenario->peers.end());
  }
  ForEach(At(result, "runs"), kItemsMax,
          [&same](const json& one) { Append(Number(one, "figure"), &same->figures); });
}

void AddScenarios(const json& result, RunData* run) {
  ForEach(At(result, "scenarios"), kItemsMax, [run](const json& from) {
    const std::string name = Text(from, "name");
    auto same = std::find_if(run->scenarios.begin(), run->scenarios.end(),
                             [&name](const ScenarioData& known) { return known.name == name; });
    if (same == run->scenarios.end()) {
      run->scenarios.push_back(
          {.name = name, .text = Text(from, "text"), .figure = Text(from, "figure"), .peers = {}});
      same = std::prev(run->scenarios.end());
    }
    ForEach(At(from, "results"), kItemsMax, [&same](const json& peer) { AddPeer(peer, &*same); });
  });
}

// "load" of "ktlsim-load/2"; empty: it is none that a report knows.
std::string KindOf(const std::string& schema) {
  for (const char* known : {"ktlsim-load/1", "ktlsim-load/2", "ktlsim-run/1", "ktlsim-compare/1"}) {
    if (schema == known) return schema.substr(7, schema.find('/') - 7);
  }
  return {};
}

void SetOrigin(const json& result, RunData* run) {
  if (run->files++ == 0) {
    run->started = Text(result, "started");
    const json& host = At(result, "host");
    run->host = Text(host, "cpu_model") + ", " + Text(host, "kernel");
    run->group = Text(At(result, "labels"), "server");
    ForEach(At(result, "command_line"), kItemsMax, [run](const json& word) {
      if (!word.is_string() || run->command_line.size() > kTextMax) return;
      if (!run->command_line.empty()) run->command_line += ' ';
      run->command_line += ShortText(word.get<std::string>(), kTextMax);
    });
  }
  const json& valid = At(result, "valid");
  if (valid.is_boolean() && !valid.get<bool>()) run->valid = false;
  ForEach(At(result, "reasons"), kItemsMax,
          [run](const json& reason) { run->reasons.push_back(Text(reason, "text")); });
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at = text.find(separator); at != std::string::npos;
       at = text.find(separator, from)) {
    parts.push_back(text.substr(from, at - from));
    from = at + 1;
  }
  parts.push_back(text.substr(from));
  return parts;
}

// "a" of "folder/a.json".
std::string Stem(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(".json")) name.resize(name.size() - 5);
  return name;
}

// What people type is not always UTF-8, as a page has to be.
std::string Utf8(const std::string& text) {
  const std::string quoted =
      json(text).dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
  return json::parse(quoted).get<std::string>();
}

}  // namespace

std::string ShortText(const std::string& text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  // A byte 10xxxxxx goes on with the character before it (RFC 3629 3).
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

std::string AddResult(std::string_view text, RunData* run) {
  const json result = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object()) return "it is no JSON object";
  const std::string schema = Text(result, "schema");
  const std::string kind = KindOf(schema);
  if (kind.empty()) {
    return fmt::format(
        "its schema is \"{}\"; a report takes ktlsim-load/1 and /2, ktlsim-run/1 and "
        "ktlsim-compare/1",
        Printable(schema));
  }
  if (run->files != 0 && run->kind != kind) {
    return fmt::format(
        "it is of ktlsim {}, and the files before it of ktlsim {}: repeats are of one kind", kind,
        run->kind);
  }
  run->kind = kind;
  SetOrigin(result, run);
  AddOperations(result, run);
  SetLanes(result, run);
  AddRings(result, run);
  AddScenarios(result, run);
  return {};
}

std::string ReadRun(const std::string& argument, RunData* run) {
  std::string files = argument;
  std::vector<std::string> paths = {argument};
  if (access(argument.c_str(), F_OK) != 0) {
    const std::size_t equals = argument.find('=');
    if (equals != std::string::npos && equals != 0) {
      run->name = argument.substr(0, equals);
      files = argument.substr(equals + 1);
    }
    paths = access(files.c_str(), F_OK) == 0 ? std::vector{files} : Split(files, ',');
  }
  if (run->name.empty()) run->name = Stem(paths.front());
  run->name = ShortText(Utf8(run->name), kTextMax);
  for (const std::string& path : paths) {
    const Result<FileText> file = ReadFile(path.c_str(), kResultBytesMax);
    if (!file.ok()) return fmt::format("{}: {}", Printable(path), file.status().ToString());
    const std::string wrong = AddResult(file->text(), run);
    if (!wrong.empty()) return fmt::format("{}: {}", Printable(path), wrong);
  }
  return {};
}

}  // namespace ktlsim::command::report
