// The access check against a second one that was written from the published rules (brute_force.h),
// on random descriptors and tokens. A seed is a hundred cases: KTLSIM_SEEDS=10000 tries a million,
// KTLSIM_SEED=<n> runs one seed alone.
#include <gtest/gtest.h>

#include "tests/security/brute_force.h"
#include "tests/security/random_access.h"
#include "tests/support/seeds.h"

namespace ktlsim::security::test {
namespace {

constexpr std::uint64_t kCasesOfASeed = 100;

// A sanitizer makes each case take four times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 400;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::uint64_t kSeeds = 400;
#else
constexpr std::uint64_t kSeeds = 2000;
#endif
#else
constexpr std::uint64_t kSeeds = 2000;
#endif

// How often something happened, so that no rule stays untried.
struct Tally {
  std::size_t allowed = 0;
  std::size_t refused = 0;
  std::size_t restricted = 0;
  std::size_t types = 0;
  std::size_t types_that_differ = 0;
};

bool Agree(const std::vector<PlainResult>& a, const std::vector<PlainResult>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].allowed != b[i].allowed || a[i].granted != b[i].granted) return false;
  }
  return true;
}

std::string Describe(const std::vector<PlainResult>& results) {
  std::string text;
  for (const PlainResult& one : results) {
    text += (one.allowed ? " +" : " -") + std::to_string(one.granted);
  }
  return text;
}

void Count(const PlainCase& what, const std::vector<PlainResult>& results, Tally* tally) {
  ++(results[0].allowed ? tally->allowed : tally->refused);
  if (what.restricting && results[0].allowed) ++tally->restricted;
  if (results.size() > 1) ++tally->types;
  for (const PlainResult& one : results) {
    if (one.allowed != results[0].allowed) {
      ++tally->types_that_differ;
      return;
    }
  }
}

TEST(SeededAccessTest, AgreesWithBruteForce) {
  const ktlsim::test::Seeds seeds = ktlsim::test::SeedsToRun(kSeeds);
  Tally tally;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    for (std::uint64_t i = 0; i < kCasesOfASeed; ++i) {
      const PlainCase what = RandomCase(seed * kCasesOfASeed + i, {});
      const std::vector<PlainResult> wanted = BruteForce(what);
      const std::vector<PlainResult> found = BuiltCase(what).Check();
      ASSERT_TRUE(Agree(wanted, found)) << "KTLSIM_SEED=" << seed << ", case " << i << "\n"
                                        << Describe(what) << "\nbrute force:" << Describe(wanted)
                                        << "\naccess check:" << Describe(found);
      Count(what, found, &tally);
    }
  }
  if (seeds.one) return;
  const std::size_t few = (seeds.last - seeds.first + 1) * kCasesOfASeed / 100;
  EXPECT_GT(tally.allowed, few * 10);
  EXPECT_GT(tally.refused, few * 10);
  EXPECT_GT(tally.restricted, few);
  EXPECT_GT(tally.types, few);
  EXPECT_GT(tally.types_that_differ, few / 4);
}

}  // namespace
}  // namespace ktlsim::security::test
