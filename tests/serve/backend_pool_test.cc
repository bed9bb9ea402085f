#include "kernel_sim/serve/backend_pool.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

ForwardOptions Options(std::size_t backends, Balance balance = Balance::kRoundRobin,
                       std::uint32_t limit = 0) {
  ForwardOptions options;
  options.balance = balance;
  options.connections_per_backend_max = limit;
  for (std::size_t i = 0; i < backends; ++i) {
    options.backends.push_back(io::Address::Loopback(static_cast<std::uint16_t>(1000 + i)));
  }
  return options;
}

TEST(BackendPoolTest, TakesTurns) {
  BackendPool pool(Options(3));
  for (const std::size_t expected : {0U, 1U, 2U, 0U, 1U, 2U}) {
    EXPECT_EQ(pool.Choose(1, 0), expected);
  }
  EXPECT_EQ(pool.in_use(0), 2U);
}

TEST(BackendPoolTest, PrefersTheLeastUsed) {
  BackendPool pool(Options(3, Balance::kLeastConnections));
  for (int i = 0; i < 6; ++i) pool.Choose(1, 0);
  EXPECT_EQ(pool.in_use(0), 2U);
  EXPECT_EQ(pool.in_use(2), 2U);
  pool.Release(1);
  EXPECT_EQ(pool.Choose(1, 0), 1U);
}

TEST(BackendPoolTest, HoldsTheLimit) {
  BackendPool pool(Options(2, Balance::kRoundRobin, 1));
  EXPECT_EQ(pool.Choose(1, 0), 0U);
  EXPECT_EQ(pool.Choose(1, 0), 1U);
  EXPECT_EQ(pool.Choose(1, 0), BackendPool::kNone);
  pool.Release(0);
  EXPECT_EQ(pool.Choose(1, 0), 0U);
}

TEST(BackendPoolTest, LeavesOutWhatFailsForAWhileThatDoubles) {
  BackendPool pool(Options(2));
  std::uint64_t now = kNsPerSecond;
  std::uint64_t out_for = kBackendOutMinNs;
  EXPECT_TRUE(pool.Failed(0, now));
  for (int failures = 1; failures < 8; ++failures) {
    EXPECT_EQ(pool.Choose(now + out_for - 1, 0), 1U);
    EXPECT_EQ(pool.Choose(now + out_for - 1, 0), 1U);
    now += out_for;
    // One connection at a time may try it.
    std::vector<std::size_t> chosen = {pool.Choose(now, 0), pool.Choose(now, 0),
                                       pool.Choose(now, 0)};
    EXPECT_EQ(std::count(chosen.begin(), chosen.end(), 0U), 1) << failures;
    EXPECT_FALSE(pool.Failed(0, now));
    out_for = std::min(out_for * 2, kBackendOutMaxNs);
  }
  EXPECT_TRUE(pool.Succeeded(0));
  EXPECT_FALSE(pool.Succeeded(0));
  std::vector<std::size_t> chosen = {pool.Choose(now, 0), pool.Choose(now, 0)};
  EXPECT_EQ(std::count(chosen.begin(), chosen.end(), 0U), 1);
}

TEST(BackendPoolTest, TriesTheFirstToComeBackWhenAllAreOut) {
  BackendPool pool(Options(2));
  pool.Failed(0, 100);
  pool.Failed(0, 100);
  pool.Failed(1, 100);
  EXPECT_EQ(pool.Choose(101, 0), 1U);
  EXPECT_EQ(pool.Choose(101, 2), 0U);
  EXPECT_EQ(pool.Choose(101, 3), BackendPool::kNone);
}

}  // namespace
}  // namespace ktlsim::serve
