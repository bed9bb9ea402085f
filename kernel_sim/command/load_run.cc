#include "kernel_sim/command/load_run.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/failure_hints.h"
#include "kernel_sim/command/first_authentication.h"
#include "kernel_sim/command/load_request.h"
#include "kernel_sim/command/one_exchange.h"
#include "kernel_sim/command/password_input.h"
#include "kernel_sim/command/socket_name.h"
#include "ktlsim/processor.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kCloseLimitNs = kNsPerSecond;
// A server that could not be reached until the end of the warm-up, and for this long, will not
// come.
constexpr std::uint64_t kNobodyThereNs = 2 * kNsPerSecond;
// So many first authentications are measured, one after the other.
constexpr std::size_t kFirstAuthentications = 100;

std::uint32_t RandomSeed() {
  std::uint32_t seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed)) return seed;
  return static_cast<std::uint32_t>(MonotonicClock::Now());
}

double UnixSeconds() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

void Keep(const std::vector<std::string>& texts, std::vector<std::string>* all) {
  for (const std::string& text : texts) {
    if (std::find(all->begin(), all->end(), text) == all->end()) all->push_back(text);
  }
}

}  // namespace

std::vector<unsigned> SlotsFor(const std::vector<LoadShare>& shares, unsigned slots) {
  double weights = 0;
  for (const LoadShare& share : shares) weights += share.weight;
  std::vector<unsigned> result;
  std::vector<double> wanted;
  for (const LoadShare& share : shares) {
    wanted.push_back(share.weight / weights * slots);
    result.push_back(std::max(1U, static_cast<unsigned>(wanted.back())));
  }
  // What is left goes to whom most is missing; what is too much is taken from whom most is left.
  const auto missing = [&](std::size_t i) { return wanted[i] - result[i]; };
  for (unsigned sum = std::accumulate(result.begin(), result.end(), 0U); sum != slots;) {
    std::size_t best = result.size();
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (sum > slots && result[i] == 1) continue;
      const bool better = best == result.size() ||
                          (sum < slots ? missing(i) > missing(best) : missing(i) < missing(best));
      if (better) best = i;
    }
    if (best == result.size()) break;  // fewer slots than shares
    const bool more = sum < slots;
    result[best] += more ? 1 : -1U;
    sum += more ? 1 : -1U;
  }
  return result;
}

LoadRun::LoadRun(const LoadOptions& options, const Envelope& envelope,
                 const std::atomic<bool>& interrupted)
    : options_(options), envelope_(envelope), interrupted_(interrupted), seed_(RandomSeed()) {}

std::string LoadRun::AddProfile(bool resumption) {
  ClientCredentialOptions wanted;
  wanted.versions = options_.versions;
  wanted.resumption = resumption;
  wanted.cipher_suites = options_.suites;
  wanted.groups = options_.groups;
  wanted.trust_file = options_.ca;
  wanted.verify = !options_.insecure;
  wanted.certificate = client_certificate_.get();
  std::string error;
  std::optional<Credential> credential = MakeClientCredential(wanted, &error);
  if (!credential) return error;
  transport::TlsOptions tls;
  tls.credential = credential->handle();
  tls.target_name = LoadServerName(options_);
  tls.alpn = options_.alpn;
  tls.limits.close_ns = kCloseLimitNs;
  // Only the limit of the whole operation counts; a connection may be idle between two operations.
  tls.limits.leg_ns = 0;
  tls.limits.handshake_ns = 0;
  tls.limits.idle_ns = 0;
  auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
  if (!profile.ok()) return profile.status().ToString();
  credentials_.push_back(std::move(*credential));
  profiles_.push_back(std::make_unique<transport::TlsProfile>(std::move(*profile)));
  return {};
}

std::string LoadRun::AddProfiles(const LoadShare& share, LoadPlan* plan) {
  // Sessions belong to a credential, and a ticket is used once.
  const unsigned profiles = share.resume ? plan->slots : 1;
  for (unsigned i = 0; i < profiles; ++i) {
    std::string error = AddProfile(share.resume);
    if (!error.empty()) return error;
    plan->profiles.push_back(profiles_.back().get());
  }
  return {};
}

std::string LoadRun::PlanFor(const LoadShare& share, unsigned slots, LoadPlan* plan) {
  plan->peers = peers_;
  plan->slots = slots;
  plan->timeout_ns = options_.timeout_ns;
  plan->target = LoadTarget(options_, share);
  plan->success = options_.success;
  plan->hint = &ClientHint;
  plan->kind = share.mode == LoadMode::kChurn ? LoadKind::kChurn
               : !share.handshake()           ? LoadKind::kExchange
               : share.resume                 ? LoadKind::kResumedHandshake
                                              : LoadKind::kFullHandshake;
  plan->no_body = LoadMethod(options_, share) == "HEAD";
  plan->count_sent = share.mode == LoadMode::kUpload;
  plan->arrivals = options_.arrivals;
  plan->measured_ns = options_.duration_ns;
  std::string body;
  std::string wrong = LoadBody(options_, share, &body);
  if (!wrong.empty()) return wrong;
  plan->request = LoadRequestHead(options_, share, body.size());
  if (options_.digest_user.empty()) plan->request.append("\r\n").append(body);
  return AddProfiles(share, plan);
}

std::string LoadRun::PrepareKinds() {
  const std::vector<LoadShare> shares = options_.Shares();
  const std::vector<unsigned> slots = SlotsFor(shares, options_.connections);
  double weights = 0;
  for (const LoadShare& share : shares) weights += share.weight;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    Kind kind;
    kind.share = shares[i];
    kind.plan.rate = options_.rate * shares[i].weight / weights;
    std::string error = PlanFor(shares[i], slots[i], &kind.plan);
    if (!error.empty()) return error;
    kinds_.push_back(std::move(kind));
  }
  return {};
}

std::string LoadRun::LookUpServer(LoadReport* report) {
  SocketName server;
  std::string error = ParseSocketName(options_.url.Place(), SocketUse::kConnect, &server);
  if (!error.empty()) return error;
  const std::uint64_t begin = MonotonicClock::Now();
  error = LookUp(server, &peers_);
  const bool name = options_.url.unix_socket.empty() && !options_.url.IsAddress();
  if (name) report->look_up_ns = MonotonicClock::Now() - begin;
  return error;
}

// The contexts that all further requests are signed with, and what it took to get them.
std::string LoadRun::LogIn(LoadReport* report) {
  Password password;
  std::string wrong = !options_.digest_password_file.empty()
                          ? ReadPasswordFile(options_.digest_password_file, &password)
                      : !options_.digest_password.empty()
                          ? password.Set(options_.digest_password)
                          : ReadPassword(options_.digest_user, Asked::kOnce, &password);
  if (!wrong.empty()) return "--digest: " + wrong;
  const std::size_t contexts = (options_.connections + DigestLogin::kConnectionsPerContext - 1) /
                               DigestLogin::kConnectionsPerContext;
  report->digest.contexts = contexts;
  login_ = DigestLogin::Make(options_.digest_user, password, contexts, &wrong);
  if (login_ == nullptr) return wrong;
  const LoadShare share = options_.Shares().front();
  OneExchange exchange(client_, peers_, *profiles_.front());
  FirstAuthentication authentication(exchange, *login_,
                                     {.target = LoadTarget(options_, share),
                                      .head = LoadRequestHead(options_, share, 0),
                                      .user = options_.digest_user});
  wrong = exchange.Connect();
  ResultRow row;
  row.operation = "first authentication";
  const std::uint64_t begin = MonotonicClock::Now();
  const std::size_t times = std::max(kFirstAuthentications, contexts);
  for (std::size_t i = 0; i < times && wrong.empty(); ++i) {
    if (Interrupted()) return "interrupted";
    wrong = authentication.Make(i % contexts, &row);
  }
  row.seconds = static_cast<double>(MonotonicClock::Now() - begin) / 1e9;
  report->digest.first_authentications = std::move(row);
  return wrong;
}

std::string LoadRun::Prepare(LoadReport* report) {
  std::string error = LookUpServer(report);
  if (!error.empty()) return error;
  if (!options_.cert.empty()) {
    std::optional<Certificate> loaded = LoadCertificate(options_.cert, options_.key, &error);
    if (!loaded) return error;
    client_certificate_ = std::move(*loaded);
  }
  error = PrepareKinds();
  if (!error.empty()) return error;
  if (const Status status =
          client_.Start({.role = "", .notify_mode = envelope_.library().notify_mode});
      !status.ok()) {
    return "the client path: " + status.ToString();
  }
  if (options_.digest_user.empty()) return {};
  error = LogIn(report);
  for (Kind& kind : kinds_) kind.plan.login = login_.get();
  return error;
}

std::uint64_t LoadRun::Operations() const {
  std::uint64_t sum = 0;
  for (const Kind& kind : kinds_) sum += kind.phase->operations();
  return sum;
}

void LoadRun::Watch(std::uint64_t duration_ns) {
  const std::uint64_t end = MonotonicClock::Now() + duration_ns;
  for (std::uint64_t now = MonotonicClock::Now(); now < end; now = MonotonicClock::Now()) {
    if (Interrupted() || NobodyThere()) return;
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(end - now, kNsPerSecond / 10)));
    for (const Kind& kind : kinds_) kind.phase->TendLogin();
    progress_.Update(AllNames(), Operations(),
                     static_cast<double>(end - std::min(end, MonotonicClock::Now())) / 1e9);
  }
}

bool LoadRun::NobodyThere() const {
  const std::uint64_t patience = std::max(options_.warm_up_ns, kNobodyThereNs);
  if (MonotonicClock::Now() - began_ns_ <= patience) return false;
  return std::all_of(kinds_.begin(), kinds_.end(),
                     [](const Kind& kind) { return kind.phase->nobody_there(); });
}

// An interruption ends this wait, too.
void LoadRun::Drain() {
  for (const Kind& kind : kinds_) kind.phase->BeginEnding();
  const std::uint64_t limit = MonotonicClock::Now() + options_.drain_ns;
  for (const Kind& kind : kinds_) {
    const std::uint64_t now = MonotonicClock::Now();
    kind.phase->End(limit > now ? limit - now : 0, [this, &kind](std::size_t connections,
                                                                 std::uint64_t left_ns) {
      kind.phase->TendLogin();
      progress_.Wait(OperationName(kind.share), connections, static_cast<double>(left_ns) / 1e9);
      return !Interrupted();
    });
  }
}

std::string LoadRun::OperationName(const LoadShare& share) const {
  if (share.handshake()) return share.resume ? "resumed handshake" : "full handshake";
  if (login_ != nullptr) return fmt::format("signed {}", LoadModeName(share.mode));
  return share.resume ? "resumed churn" : LoadModeName(share.mode);
}

std::string LoadRun::AllNames() const {
  return kinds_.size() == 1 ? OperationName(kinds_.front().share) : "operations";
}

LoadRepeat LoadRun::Measure(unsigned number) {
  progress_.Begin(AllNames(), static_cast<double>(options_.duration_ns) / kNsPerSecond);
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    Kind& kind = kinds_[i];
    // Another one for each process, repeat, kind and loop: timetables that are the same would send
    // bursts.
    kind.plan.seed = (std::uint64_t{seed_} << 32U) + (std::uint64_t{number} << 16U) + (i << 10U);
    kind.plan.offset = static_cast<double>(i) / static_cast<double>(kinds_.size());
    kind.phase = std::make_unique<LoadPhase>(client_, kind.plan);
  }
  began_ns_ = MonotonicClock::Now();
  for (Kind& kind : kinds_) kind.phase->Start();
  Watch(options_.warm_up_ns);
  LoadRepeat repeat;
  repeat.measured_from_unix_s = UnixSeconds();
  const std::uint64_t cpu_before = KtlsimProcessorCpuNs(nullptr);
  repeat.measured_from_ns = MonotonicClock::Now();
  for (Kind& kind : kinds_) kind.phase->BeginMeasuring();
  Watch(options_.duration_ns);
  for (Kind& kind : kinds_) kind.phase->EndMeasuring();
  repeat.measured_until_ns = MonotonicClock::Now();
  repeat.cpu_ns = KtlsimProcessorCpuNs(nullptr) - cpu_before;
  Drain();
  progress_.End();
  Tell(&repeat);
  return repeat;
}

void LoadRun::Tell(LoadRepeat* repeat) const {
  const double seconds =
      static_cast<double>(repeat->measured_until_ns - repeat->measured_from_ns) / 1e9;
  for (const Kind& kind : kinds_) {
    ResultRow row;
    row.operation = OperationName(kind.share);
    row.seconds = seconds;
    row.bulk = kind.share.mode == LoadMode::kBulk || kind.share.mode == LoadMode::kUpload;
    // The processors work for all kinds.
    if (kinds_.size() == 1) row.cpu_ns = repeat->cpu_ns;
    kind.phase->Tell(&row);
    if (kind.share.handshake() && kind.share.resume && row.errors == 0) {
      row.hint = "not one session was resumed: does the server send tickets?";
    }
    repeat->rows.push_back(std::move(row));
  }
}

void LoadRun::TellCommon(LoadReport* report) const {
  for (const Kind& kind : kinds_) {
    if (!report->server_certificate) {
      report->server_certificate = kind.phase->server_certificate();
    }
    report->warm_up_errors += kind.phase->warm_up_errors();
    Keep(kind.phase->warm_up_error_texts(), &report->warm_up_error_texts);
    Keep(kind.phase->passed_over(), &report->passed_over);
  }
}

void LoadRun::Stop(LoadReport* report) {
  client_.Stop();
  kinds_.clear();
  credentials_.clear();
  if (login_ != nullptr) {
    report->digest.renewals = login_->renewals();
    report->digest.proofs = login_->proofs().right();
  }
  login_.reset();
  static_cast<void>(KtlsimStop());
  client_certificate_ = {};
}

std::string LoadRun::Run(LoadReport* report) {
  report->seed = seed_;
  std::string error = Prepare(report);
  for (unsigned i = 0; error.empty() && i < options_.repeats; ++i) {
    if (i != 0 && Interrupted()) {
      report->interrupted = true;
      break;
    }
    report->repeats.push_back(Measure(i + 1));
    const LoadRepeat& last = report->repeats.back();
    const std::uint64_t measured_ns = last.measured_until_ns - last.measured_from_ns;
    if (Interrupted() && measured_ns < options_.duration_ns) report->interrupted = true;
    TellCommon(report);
  }
  report->client_certificate = DescribeCertificate(client_certificate_.get());
  Stop(report);
  report->rundown = CheckRundown();
  report->lanes = ReadLanes();
  return error;
}

}  // namespace ktlsim::command
