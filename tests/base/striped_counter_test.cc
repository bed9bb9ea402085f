#include "kernel_sim/base/striped_counter.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(StripedCounterTest, LosesNothingWithMoreThreadsThanLines) {
  constexpr int kThreads = 40;
  constexpr std::uint64_t kEach = 20'000;
  StripedCounter ones;
  StripedCounter threes;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < kEach; ++n) {
        ones.Add();
        threes.Add(3);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(ones.Sum(), kThreads * kEach);
  EXPECT_EQ(threes.Sum(), 3 * kThreads * kEach);
}

}  // namespace
}  // namespace ktlsim
