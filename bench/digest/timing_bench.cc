// Does the time of a refused response say whether its user exists?
//
// BM_UnknownUserAgainstWrongPassword: 10,000 pairs, one of each kind in random order, and Welch's t
// of their times, without the slowest twentieth of all, which are interruptions. The counter `t` is
// its absolute value, the median over the repetitions of the loop; `beyond` is the share of them
// above 4.5, which chance exceeds once in 100,000. `unknown_ns` and `wrong_ns` are means.
//
// `dummy_hash:0` is the same with a verifier that ends at a name that it does not find, as it would
// without the hash that nobody's password has: what the test must be able to see.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel_sim/digest/accounts.h"
#include "kernel_sim/digest/calculation.h"

namespace ktlsim::digest {
namespace {

constexpr std::size_t kPairs = 10'000;
constexpr std::size_t kUsers = 1'000;
constexpr double kLeak = 4.5;
constexpr std::string_view kRealm = "realm";
constexpr NonceFacts kNonce = {
    .nonce = "a nonce", .nc = "00000001", .cnonce = "c", .qop = Qop::kAuth};
constexpr RequestFacts kRequest = {.method = "GET", .uri = "/", .entity_hash = {}};

// Names of the same length, of users that exist and of others.
std::string NameOf(bool exists, std::size_t number) {
  std::string name = exists ? "known" : "other";
  const std::string digits = std::to_string(number);
  return name.append(4 - digits.size(), '0').append(digits);
}

std::shared_ptr<const Accounts> MakeAccounts() {
  AccountFile file;
  Hasher hasher(HashId::kMd5);
  for (std::size_t i = 0; i < kUsers; ++i) {
    HashValue hash;
    const std::string user = NameOf(true, i);
    const bool good =
        ComputeAccountHash(hasher, user, kRealm, "secret", &hash) &&
        file.Set({.hash_id = HashId::kMd5, .user = user, .realm = kRealm, .hash = hash});
    if (!good) return nullptr;
  }
  return Accounts::Build(file, false);
}

// The times of one kind, in nanoseconds, as far as they are below a limit.
class Times {
 public:
  Times(const std::vector<double>& all, double limit) {
    for (const double ns : all) {
      if (ns > limit) continue;
      sum_ += ns;
      squares_ += ns * ns;
      count_ += 1;
    }
  }
  double mean() const { return sum_ / count_; }
  // Of the mean.
  double variance() const { return (squares_ - sum_ * sum_ / count_) / (count_ - 1) / count_; }

 private:
  double sum_ = 0;
  double squares_ = 0;
  double count_ = 0;
};

double WelchT(const Times& a, const Times& b) {
  return (a.mean() - b.mean()) / std::sqrt(a.variance() + b.variance());
}

using Verifier = AttemptVerdict (*)(const Accounts& accounts, const Attempt& attempt);

AttemptVerdict WithDummyHash(const Accounts& accounts, const Attempt& attempt) {
  HashValue session;
  return VerifyAttempt(accounts, attempt, &session);
}

AttemptVerdict WithoutDummyHash(const Accounts& accounts, const Attempt& attempt) {
  HashValue account_hash;
  Operations operations;
  if (!accounts.Find(attempt.name, &account_hash, &operations)) return AttemptVerdict::kWrong;
  HashValue session;
  HashValue expected;
  Hasher hasher(HashId::kMd5);
  if (!ComputeSessionHash(hasher, attempt.algorithm, account_hash, attempt.nonce.nonce,
                          attempt.nonce.cnonce, &session)) {
    return AttemptVerdict::kNoMemory;
  }
  return VerifyRequest(session, attempt.nonce, attempt.request, *attempt.response, hasher);
}

// What a client sends whose user exists, or not. The response is wrong either way.
struct Client {
  std::string name;
  HashValue response;
};

std::vector<Client> MakeClients(bool exist) {
  std::vector<Client> clients(kUsers);
  Hasher hasher(HashId::kMd5);
  for (std::size_t i = 0; i < kUsers; ++i) {
    clients[i].name = NameOf(exist, i);
    if (!hasher.Hash({"a wrong response ", clients[i].name}, &clients[i].response)) return {};
  }
  return clients;
}

class Trial {
 public:
  Trial(const Accounts& accounts, Verifier verifier) : accounts_(accounts), verifier_(verifier) {}

  // False: a response was not refused.
  bool Run(const std::vector<Client>& unknown, const std::vector<Client>& wrong) {
    bool refused = true;
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      const bool unknown_first = (Draw() & 1U) != 0;
      const std::size_t i = Draw() % kUsers;
      for (const bool is_unknown : {unknown_first, !unknown_first}) {
        const double ns = Time(is_unknown ? unknown[i] : wrong[i], &refused);
        (is_unknown ? unknown_ : wrong_).push_back(ns);
      }
    }
    return refused;
  }
  // Above it is the slowest twentieth of both kinds together.
  double limit() const {
    std::vector<double> all = unknown_;
    all.insert(all.end(), wrong_.begin(), wrong_.end());
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(all.size() * 19 / 20);
    std::ranges::nth_element(all, at);
    return *at;
  }
  Times unknown() const { return {unknown_, limit()}; }
  Times wrong() const { return {wrong_, limit()}; }

 private:
  double Time(const Client& client, bool* refused) {
    const Attempt attempt = {.algorithm = Algorithm::kMd5,
                             .name = {.hash_id = HashId::kMd5,
                                      .username = client.name,
                                      .username_hashed = false,
                                      .realm = kRealm},
                             .nonce = kNonce,
                             .request = kRequest,
                             .response = &client.response,
                             .sasl = false,
                             .authzid = {}};
    const auto begin = std::chrono::steady_clock::now();
    const AttemptVerdict verdict = verifier_(accounts_, attempt);
    const auto end = std::chrono::steady_clock::now();
    *refused = *refused && verdict == AttemptVerdict::kWrong;
    return std::chrono::duration<double, std::nano>(end - begin).count();
  }
  // xorshift64: the order is unpredictable to the processor, and the same in each run.
  std::uint64_t Draw() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ >> 11;
  }

  const Accounts& accounts_;
  const Verifier verifier_;
  static inline std::uint64_t state_ = 0x9E3779B97F4A7C15;
  std::vector<double> unknown_;
  std::vector<double> wrong_;
};

void BM_UnknownUserAgainstWrongPassword(benchmark::State& state) {
  const Verifier verifier = state.range(0) != 0 ? &WithDummyHash : &WithoutDummyHash;
  const std::shared_ptr<const Accounts> accounts = MakeAccounts();
  const std::vector<Client> unknown = MakeClients(false);
  const std::vector<Client> wrong = MakeClients(true);
  if (accounts == nullptr || unknown.empty() || wrong.empty()) {
    return state.SkipWithError("no memory");
  }
  std::vector<double> values;
  double unknown_ns = 0;
  double wrong_ns = 0;
  for (auto iteration : state) {
    Trial trial(*accounts, verifier);
    if (!trial.Run(unknown, wrong)) return state.SkipWithError("a response was not refused");
    const Times of_unknown = trial.unknown();
    const Times of_wrong = trial.wrong();
    values.push_back(std::fabs(WelchT(of_unknown, of_wrong)));
    unknown_ns = of_unknown.mean();
    wrong_ns = of_wrong.mean();
  }
  std::ranges::sort(values);
  state.counters["t"] = values[values.size() / 2];
  state.counters["beyond"] =
      static_cast<double>(std::ranges::count_if(values, [](double t) { return t >= kLeak; })) /
      static_cast<double>(values.size());
  state.counters["unknown_ns"] = unknown_ns;
  state.counters["wrong_ns"] = wrong_ns;
}
BENCHMARK(BM_UnknownUserAgainstWrongPassword)
    ->ArgName("dummy_hash")
    ->Arg(1)
    ->Arg(0)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ktlsim::digest
