#include "kernel_sim/command/stress/paths.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

using A = StressActivity;
using transport::EndKind;

constexpr std::uint64_t kEndLimitNs = 20 * kNsPerSecond;
constexpr std::uint64_t kBulkBytes = 4 * 1024 * 1024;
// By a timetable, for each of --connections: honest requests must be present without crowding out
// everything else.
constexpr double kRequestsPerSecond = 8;
constexpr double kHandshakesPerSecond = 0.8;
constexpr double kBulkPerSecond = 0.15;

TlsVersions VersionsOf(A activity) {
  if (activity == A::kFullHandshake12 || activity == A::kResumedHandshake12) {
    return TlsVersions::k12;
  }
  const bool only_13 = activity == A::kFullHandshake13 || activity == A::kResumedHandshake13;
  return only_13 ? TlsVersions::k13 : TlsVersions::k12And13;
}

LoadKind KindOf(A activity) {
  if (activity == A::kFullHandshake12 || activity == A::kFullHandshake13) {
    return LoadKind::kFullHandshake;
  }
  const bool resumed = activity == A::kResumedHandshake12 || activity == A::kResumedHandshake13;
  return resumed ? LoadKind::kResumedHandshake : LoadKind::kExchange;
}

}  // namespace

std::string StressPaths::StartServer(transport::ServerPath& path, transport::ServerOptions options,
                                     bool closes, io::Address* bound) {
  options.tls.credential = round_.pairs[kBoth].server.handle();
  // Mixed: a server of each kind.
  options.notify_mode = round_.notify_mode.value_or(closes ? ULONG{KTLSIM_NOTIFY_POOL}
                                                           : ULONG{KTLSIM_NOTIFY_ON_PROCESSOR});
  const Result<io::Address> address = path.Start(
      options, [this, closes](transport::Connection& connection) -> transport::ConnectionHandler* {
        if (closes) return &closer_;
        return serve::MakeHttpResponder(http_, connection);
      });
  if (!address.ok()) return "the server path: " + address.status().ToString();
  *bound = address.value();
  return {};
}

std::string StressPaths::StartShifting() {
  transport::ServerOptions options;
  options.tls.limits.leg_ns = 400 * kNsPerMs;
  options.tls.limits.handshake_ns = 700 * kNsPerMs;
  options.tls.limits.idle_ns = 700 * kNsPerMs;
  options.drain_ns = 200 * kNsPerMs;
  options.max_connections = 64;
  options.max_handshakes_per_processor = 16;
  shifting_ = std::make_unique<transport::ServerPath>();
  io::Address address;
  std::string error = StartServer(*shifting_, std::move(options), /*closes=*/false, &address);
  if (error.empty()) round_.targets.SetShifting(address);
  return error;
}

std::string StressPaths::Start(const std::optional<io::Address>& foreign) {
  std::string error;
  if (foreign) {
    round_.targets.steady = *foreign;
  } else {
    error = StartServer(steady_, {}, /*closes=*/false, &round_.targets.steady);
    if (error.empty()) error = StartServer(closing_, {}, /*closes=*/true, &closing_address_);
    if (error.empty()) error = StartShifting();
    round_.targets.has_shifting = error.empty();
  }
  if (!error.empty()) return error;
  const Status status = client_.Start(
      {.role = "", .notify_mode = round_.notify_mode.value_or(ULONG{KTLSIM_NOTIFY_ON_PROCESSOR})});
  return status.ok() ? "" : "the client path: " + status.ToString();
}

std::string StressPaths::AddLoad(A activity, unsigned slots) {
  Load load;
  load.activity = activity;
  LoadPlan plan;
  plan.kind = KindOf(activity);
  plan.slots = slots;
  plan.check_body = true;
  const bool handshake = plan.kind != LoadKind::kExchange;
  const double each = activity == A::kBulk ? kBulkPerSecond
                      : handshake          ? kHandshakesPerSecond
                                           : kRequestsPerSecond;
  plan.rate = each * connections_;
  plan.server_closes = handshake && !round_.targets.foreign;
  plan.peers = {plan.server_closes ? closing_address_ : round_.targets.steady};
  plan.request = fmt::format("GET /bytes/{} HTTP/1.1\r\nHost: {}\r\n\r\n",
                             activity == A::kBulk ? kBulkBytes : 3000, kStressServerName);
  const unsigned profiles = plan.kind == LoadKind::kResumedHandshake ? slots : 1;
  for (unsigned i = 0; i < profiles; ++i) {
    Credential client;
    std::string error =
        round_.MakeClient(VersionsOf(activity), plan.kind != LoadKind::kFullHandshake, &client);
    if (!error.empty()) return error;
    transport::TlsOptions tls;
    tls.credential = client.handle();
    tls.target_name = kStressServerName;
    auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
    if (!profile.ok()) return profile.status().ToString();
    load.credentials.push_back(std::move(client));
    load.profiles.push_back(std::make_unique<transport::TlsProfile>(std::move(*profile)));
    plan.profiles.push_back(load.profiles.back().get());
  }
  load.phase = std::make_unique<LoadPhase>(client_, std::move(plan));
  loads_.push_back(std::move(load));
  return {};
}

std::string StressPaths::StartLoad(unsigned connections) {
  connections_ = connections;
  const unsigned share = std::max(1U, connections / 16);
  const std::vector<std::pair<A, unsigned>> kinds = {{A::kFullHandshake12, share},
                                                     {A::kResumedHandshake12, share},
                                                     {A::kFullHandshake13, share},
                                                     {A::kResumedHandshake13, share},
                                                     {A::kRequest, std::max(1U, connections / 4)},
                                                     {A::kBulk, 1}};
  for (const auto& [activity, slots] : kinds) {
    std::string error = AddLoad(activity, slots);
    if (!error.empty()) return error;
  }
  for (Load& load : loads_) {
    load.phase->Start();
    load.phase->BeginMeasuring();
  }
  return {};
}

void StressPaths::Restart() {
  if (shifting_ == nullptr) return;
  StopServer(*shifting_, "restarted server");
  const std::string error = StartShifting();
  if (!error.empty()) round_.evidence.Add("restart: " + error);
  round_.tally.Add(A::kRestart, StressOutcome::kRight);
}

void StressPaths::EndLoad() {
  for (Load& load : loads_) load.phase->EndMeasuring();
  for (Load& load : loads_) {
    load.phase->End(kEndLimitNs);
    round_.tally.Add(load.activity, StressOutcome::kRight, load.phase->operations());
    ResultRow row;
    load.phase->Tell(&row);
    row.errors += load.phase->warm_up_errors();
    for (const std::string& text : load.phase->warm_up_error_texts()) {
      row.error_texts.push_back(text);
    }
    for (const std::string& text : row.error_texts) {
      round_.evidence.Add(fmt::format("{}: {}", StressActivityName(load.activity), text));
    }
    for (std::uint64_t i = row.error_texts.size(); i < row.errors; ++i) {
      round_.evidence.Add(fmt::format("{}: one more", StressActivityName(load.activity)));
    }
    for (std::uint64_t i = 0; i < row.unfinished; ++i) {
      round_.evidence.Add(fmt::format("{}: it never came back", StressActivityName(load.activity)));
    }
  }
}

void StressPaths::Check(const transport::TransportStatistics& end, const char* name) {
  const std::uint64_t reasons =
      std::accumulate(end.ended_by.begin(), end.ended_by.end(), std::uint64_t{0});
  if (end.opened != end.ended || end.ended != reasons) {
    round_.evidence.Add(fmt::format("{}: {} connections, {} ends, {} reasons", name, end.opened,
                                    end.ended, reasons));
  }
  const std::uint64_t left =
      end.connections + end.handshakes + end.async_contexts + end.security_contexts + end.buffers;
  if (left != 0) {
    round_.evidence.Add(fmt::format(
        "{}: left behind {} connections, {} handshakes, {} async contexts, {} security contexts, "
        "{} buffers",
        name, end.connections, end.handshakes, end.async_contexts, end.security_contexts,
        end.buffers));
  }
  const std::uint64_t faults = end.ended_by_kind(EndKind::kNoMemory) +
                               end.failed_by_class(transport::FailureClass::kInternal);
  if (faults != 0) round_.evidence.Add(fmt::format("{}: {} failures of our own", name, faults));
}

void StressPaths::StopServer(transport::ServerPath& path, const char* name) {
  path.Stop();
  const transport::TransportStatistics end = path.Statistics();
  Check(end, name);
  server_statistics_ += end;
}

void StressPaths::Stop() {
  client_.Stop();
  Check(client_.Statistics(), "client path");
  if (shifting_ != nullptr) StopServer(*shifting_, "restarted server");
  StopServer(closing_, "closing server");
  StopServer(steady_, "steady server");
  for (Load& load : loads_) load.credentials.clear();
}

}  // namespace ktlsim::command
