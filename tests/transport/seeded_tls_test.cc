// The server path and the client path with TLS inside, on seeded schedules with faults: 1.3 and
// 1.2, resumption, echoes small and large, close_notify, cuts. The message of a failure has the
// seed; KTLSIM_SEED=<n> runs it alone and prints everything that happened, KTLSIM_SEEDS=<n> runs
// more.

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"
#include "tests/transport/paths_world.h"

namespace ktlsim::test {
namespace {

// Owns the credentials that the handles name.
struct TlsCredentials : PathsCredentials {
  explicit TlsCredentials(SeededMachine& machine) {
    own_server.SetTickets(static_cast<ULONG>(machine.random().Below(3)));
    server = *own_server.get();
    clients = {*tls13.get(), *tls12.get()};
  }
  TestCredential own_server = TestCredential::ServerWith(DeterministicCertificate());
  TestCredential tls13 = TestCredential::Client();
  TestCredential tls12 = TestCredential::Client(SP_PROT_TLS1_3_CLIENT);
};

std::shared_ptr<PathsCredentials> AcquireTls(SeededMachine& machine) {
  return std::make_shared<TlsCredentials>(machine);
}

constexpr std::uint64_t kSeeds = Repetitions(320);
constexpr std::uint64_t kParts = 4;

class SeededTlsTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SeededTlsTest, EndsWhateverHappens) {
  const Seeds seeds = SeedsToRun(kSeeds, GetParam(), kParts);
  std::uint64_t completed = 0;
  std::uint64_t resumed = 0;
  std::uint64_t cut = 0;
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    PathsWorld world(seed, &AcquireTls, seeds.one);
    world.Run();
    const transport::TransportStatistics& client = world.client_statistics();
    completed += client.ended_by_kind(transport::EndKind::kCompleted);
    cut += client.ended_by_kind(transport::EndKind::kResetByPeer);
    resumed += client.resumed;
    if (seeds.one) {
      std::printf("seed %llu: trace %016llx\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(world.machine().TraceHash()));
    }
    ASSERT_FALSE(HasFailure()) << "KTLSIM_SEED=" << seed << " replays this\n"
                               << (seeds.one ? world.machine().TraceText() : std::string());
  }
  if (seeds.one || seeds.last - seeds.first < 40) return;
  EXPECT_GT(completed, 0U);
  EXPECT_GT(resumed, 0U);
  EXPECT_GT(cut, 0U) << "the faults are too tame";
}

INSTANTIATE_TEST_SUITE_P(, SeededTlsTest, testing::Range(std::uint64_t{0}, kParts));

// Everything of a run that is compared.
struct Recording {
  std::vector<std::vector<std::byte>> wire;
  std::string trace;
  std::uint64_t hash = 0;
};

Recording Record(std::uint64_t seed) {
  PathsWorld world(seed, &AcquireTls, /*keep=*/true);
  world.Run();
  return {world.machine().Wire(), world.machine().TraceText(), world.machine().TraceHash()};
}

TEST(SeededTlsReplayTest, PutsTheSameBytesOnTheWire) {
  std::size_t bytes = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Recording first = Record(seed);
    const Recording second = Record(seed);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    EXPECT_TRUE(first.wire == second.wire) << "seed " << seed;
    EXPECT_TRUE(first.trace == second.trace) << "seed " << seed;
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_NE(Record(seed + 1000).hash, first.hash) << "another seed, another run";
    for (const auto& direction : first.wire) bytes += direction.size();
  }
  EXPECT_GT(bytes, 100000U) << "nothing was compared";
}

}  // namespace
}  // namespace ktlsim::test
