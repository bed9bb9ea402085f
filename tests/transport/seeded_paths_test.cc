// The server path and the client path on seeded schedules with a package that does no cryptography:
// many seeds, legs that suspend, tokens that must be completed at passive level. A seed replays
// byte for byte. KTLSIM_SEED and KTLSIM_SEEDS as in seeded_tls_test.cc.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/runtime.h"
#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"
#include "tests/transport/framed_package.h"
#include "tests/transport/paths_world.h"

namespace ktlsim::test {
namespace {

struct FramedCredentials : PathsCredentials {
  explicit FramedCredentials(SeededMachine& machine) {
    sspi::Runtime::Instance().RegisterPackage(FramedPackage::Instance());
    const auto suspends = static_cast<unsigned>(machine.random().Below(500));
    const auto completions = static_cast<unsigned>(machine.random().Below(300));
    script.suspends = [&machine, suspends] { return machine.random().Chance(suspends); };
    script.needs_completion = [&machine, completions] {
      return machine.random().Chance(completions);
    };
    script.suspended = [&machine](executive::ResumeToken token) {
      machine.scheduler().AddActor("resumer", [token]() mutable {
        token.Resume();
        token.Resume();  // the second one has no effect
        return false;
      });
    };
    clients.resize(1);
    Acquire(SECPKG_CRED_INBOUND, &server);
    Acquire(SECPKG_CRED_OUTBOUND, &clients[0]);
  }
  ~FramedCredentials() {
    EXPECT_EQ(FreeCredentialsHandle(&server), SEC_E_OK);
    EXPECT_EQ(FreeCredentialsHandle(&clients[0]), SEC_E_OK);
  }
  FramedCredentials(const FramedCredentials&) = delete;
  FramedCredentials& operator=(const FramedCredentials&) = delete;

  void Acquire(ULONG use, CredHandle* handle) {
    std::string name = FramedPackage::kName;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name.data(), use, nullptr, &script, nullptr,
                                        nullptr, handle, nullptr),
              SEC_E_OK);
  }

  FramedScript script;
};

std::shared_ptr<PathsCredentials> AcquireFramed(SeededMachine& machine) {
  return std::make_shared<FramedCredentials>(machine);
}

constexpr std::uint64_t kSeeds = Repetitions(400);
constexpr std::uint64_t kParts = 4;

class SeededPathsTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SeededPathsTest, EndsWhateverHappens) {
  const Seeds seeds = SeedsToRun(kSeeds, GetParam(), kParts);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    PathsWorld world(seed, &AcquireFramed, seeds.one);
    world.Run();
    ASSERT_FALSE(HasFailure()) << "KTLSIM_SEED=" << seed << " replays this\n"
                               << (seeds.one ? world.machine().TraceText() : std::string());
  }
}

INSTANTIATE_TEST_SUITE_P(, SeededPathsTest, testing::Range(std::uint64_t{0}, kParts));

TEST(SeededPathsReplayTest, ReplaysASeedByteForByte) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    std::string traces[2];
    std::vector<std::vector<std::byte>> wires[2];
    for (int run = 0; run < 2; ++run) {
      PathsWorld world(seed, &AcquireFramed, /*keep=*/true);
      world.Run();
      traces[run] = world.machine().TraceText();
      wires[run] = world.machine().Wire();
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
    }
    EXPECT_TRUE(traces[0] == traces[1]) << "seed " << seed;
    EXPECT_TRUE(wires[0] == wires[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ktlsim::test
