// What do the keys of one direction cost, which every connection derives twice (RFC 8446 7.3)?
//
// Its floor is BM_BareHmac: the two HMACs that this takes, by OpenSSL's own function.
#include <array>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tls/record/key_schedule.h"
#include "tls/record/secret.h"
#include "tls/types.h"

namespace ktlsim::tls {
namespace {

void BM_TrafficKeys(benchmark::State& state) {
  const SuiteInfo* const suite = FindSuite(static_cast<std::uint16_t>(0x1301 + state.range(0)));
  const Secret secret(std::vector<std::uint8_t>(HashBytes(suite->hash), 7));
  TrafficKeys keys;
  for (auto _ : state) {
    if (!DeriveTrafficKeys(*suite, secret, keys)) return state.SkipWithError("no keys");
    benchmark::DoNotOptimize(keys);
  }
}
BENCHMARK(BM_TrafficKeys)->ArgName("aead")->Arg(0)->Arg(1);

void BM_BareHmac(benchmark::State& state) {
  const EVP_MD* const hash = state.range(0) == 0 ? EVP_sha256() : EVP_sha384();
  const std::vector<std::uint8_t> secret(static_cast<std::size_t>(EVP_MD_get_size(hash)), 7);
  const std::array<std::uint8_t, 14> info{};
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> out{};
  unsigned bytes = 0;
  for (auto _ : state) {
    for (int i = 0; i < 2; ++i) {
      if (HMAC(hash, secret.data(), static_cast<int>(secret.size()), info.data(), info.size(),
               out.data(), &bytes) == nullptr) {
        return state.SkipWithError("no HMAC");
      }
    }
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(BM_BareHmac)->ArgName("aead")->Arg(0)->Arg(1);

}  // namespace
}  // namespace ktlsim::tls
