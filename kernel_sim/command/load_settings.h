// The settings of `ktlsim load`, in one table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/load_timetable.h"
#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/server_url.h"
#include "kernel_sim/command/status_set.h"

namespace ktlsim::command {

enum class LoadMode : std::uint8_t { kHandshake, kRequest, kBulk, kUpload, kChurn };

// One kind of operation, and its share of the connections and of the rate.
struct LoadShare {
  LoadMode mode = LoadMode::kRequest;
  bool resume = false;
  double weight = 1;
  std::string path = {};  // empty: that of all

  bool handshake() const { return mode == LoadMode::kHandshake; }
  // "full", "resumed", "request", "bulk", "upload", "churn".
  const char* word() const;
};

// What is sent instead of a plain GET.
struct LoadRequestOptions {
  std::string method;                // empty: GET, or POST for uploads and where there is a body
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // as it was written: a text, or @FILE
  std::uint64_t body_bytes = 0;      // of a made-up body; 0: none
};

// Where the result goes, and what is in it.
struct LoadOutputOptions {
  std::string json;
  std::string hgrm;
  std::string hlog;
  std::vector<double> percentiles;  // that were asked for
  std::vector<std::string> labels;  // "name=value"
};

struct LoadOptions {
  std::string server;  // as it was written; empty: none was given
  ServerUrl url;
  std::optional<LoadMode> mode;  // none: requests, or the mix
  bool resume = false;
  std::vector<LoadShare> mix;
  LoadRequestOptions request;
  LoadOutputOptions output;
  unsigned repeats = 1;
  std::uint64_t duration_ns = 5 * kNsPerSecond;
  std::uint64_t warm_up_ns = kNsPerSecond / 2;
  std::uint64_t drain_ns = 10 * kNsPerSecond;
  std::uint64_t timeout_ns = 10 * kNsPerSecond;  // of one operation; 0: none
  unsigned connections = 64;
  double rate = 0;  // operations per second; 0: closed loop
  Arrivals arrivals = Arrivals::kConstant;
  StatusSet success = StatusSet::Default();
  std::string path;  // empty: that of the URL, or "/"
  TlsVersions versions = TlsVersions::k12And13;
  std::string suites;
  std::string groups;
  std::vector<std::string> alpn;
  std::string sni;
  std::string ca;
  bool insecure = false;
  std::string cert;
  std::string key;
  std::string digest_user;      // empty: nobody authenticates
  std::string digest_password;  // as it was written; empty: it is asked for
  std::string digest_password_file;

  // The mix, or the one kind of operation that was chosen.
  std::vector<LoadShare> Shares() const;
  bool open_loop() const { return rate > 0; }
};

// "handshake", "request", "bulk", "upload", "churn".
const char* LoadModeName(LoadMode mode);
// "constant", "poisson".
const char* ArrivalsName(Arrivals arrivals);

std::span<const CommandSetting<LoadOptions>> LoadSettings();

// Checks the settings against each other. Empty: all is well; else what is wrong and what would be
// right.
std::string CheckLoadOptions(const LoadOptions& options);

}  // namespace ktlsim::command
