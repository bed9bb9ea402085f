// The settings of `ktlsim load`, in one table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/option_table.h"
#include "kernel_sim/command/server_url.h"
#include "kernel_sim/command/status_set.h"

namespace ktlsim::command {

enum class LoadMode : std::uint8_t { kHandshake, kRequest, kBulk };

struct LoadOptions {
  std::string server;  // as it was written; empty: none was given
  ServerUrl url;
  LoadMode mode = LoadMode::kRequest;
  bool resume = false;
  std::uint64_t duration_ns = 5 * kNsPerSecond;
  std::uint64_t warm_up_ns = kNsPerSecond / 2;
  std::uint64_t drain_ns = 10 * kNsPerSecond;
  std::uint64_t timeout_ns = 10 * kNsPerSecond;  // of one operation; 0: none
  unsigned connections = 64;
  double rate = 0;  // operations per second; 0: closed loop
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
  std::string json;

  bool handshake() const { return mode == LoadMode::kHandshake; }
};

// "handshake", "request", "bulk".
const char* LoadModeName(LoadMode mode);

std::span<const CommandSetting<LoadOptions>> LoadSettings();

// Checks the settings against each other. Empty: all is well; else what is wrong and what would be
// right.
std::string CheckLoadOptions(const LoadOptions& options);

}  // namespace ktlsim::command
