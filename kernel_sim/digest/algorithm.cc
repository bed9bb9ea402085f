#include "kernel_sim/digest/algorithm.h"

#include "kernel_sim/base/characters.h"

namespace ktlsim::digest {
namespace {

struct AlgorithmFacts {
  std::string_view name;
  HashId hash;
  bool session;
};

constexpr std::array<AlgorithmFacts, kAlgorithms.size()> kFacts = {{
    {"MD5", HashId::kMd5, false},
    {"MD5-sess", HashId::kMd5, true},
    {"SHA-256", HashId::kSha256, false},
    {"SHA-256-sess", HashId::kSha256, true},
    {"SHA-512-256", HashId::kSha512256, false},
    {"SHA-512-256-sess", HashId::kSha512256, true},
}};

const AlgorithmFacts& FactsOf(Algorithm algorithm) {
  return kFacts.at(static_cast<std::size_t>(algorithm));
}

constexpr std::array<std::string_view, 3> kQops = {"auth", "auth-int", "auth-conf"};

}  // namespace

std::string_view NameOf(Algorithm algorithm) { return FactsOf(algorithm).name; }
HashId HashOf(Algorithm algorithm) { return FactsOf(algorithm).hash; }
bool IsSession(Algorithm algorithm) { return FactsOf(algorithm).session; }

bool ParseAlgorithm(std::string_view name, Algorithm* out) {
  for (const Algorithm algorithm : kAlgorithms) {
    if (!EqualsIgnoringCase(name, NameOf(algorithm))) continue;
    *out = algorithm;
    return true;
  }
  return false;
}

std::string_view NameOf(Qop qop) { return kQops.at(static_cast<std::size_t>(qop)); }

bool ParseQop(std::string_view name, Qop* out) {
  for (std::size_t i = 0; i < kQops.size(); ++i) {
    if (name != kQops.at(i)) continue;
    *out = static_cast<Qop>(i);
    return true;
  }
  return false;
}

}  // namespace ktlsim::digest
