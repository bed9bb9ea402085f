#include "kernel_sim/digest/nonce_counts.h"

#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

TEST(NonceCountsTest, InOrder) {
  NonceCounts counts(kCountWindowStrict);
  EXPECT_EQ(counts.Use(0), CountVerdict::kOutOfSequence);
  EXPECT_EQ(counts.Use(2), CountVerdict::kOutOfSequence) << "the first is 1";
  EXPECT_EQ(counts.Use(1), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(1), CountVerdict::kReplayed);
  EXPECT_EQ(counts.Use(3), CountVerdict::kOutOfSequence);
  EXPECT_EQ(counts.Use(2), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(1), CountVerdict::kReplayed);
  EXPECT_EQ(counts.Use(3), CountVerdict::kNew);
}

TEST(NonceCountsTest, LookingUsesNothing) {
  NonceCounts counts(kCountWindowDefault);
  EXPECT_EQ(counts.Look(5), CountVerdict::kNew);
  EXPECT_EQ(counts.Look(5), CountVerdict::kNew);
  EXPECT_EQ(counts.state(), CountState());
  EXPECT_EQ(counts.Use(5), CountVerdict::kNew);
  EXPECT_EQ(counts.Look(5), CountVerdict::kReplayed);
}

TEST(NonceCountsTest, TheEdgesOfTheWindow) {
  NonceCounts counts(64);
  EXPECT_EQ(counts.Use(100), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(35), CountVerdict::kOutOfSequence);
  EXPECT_EQ(counts.Use(36), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(36), CountVerdict::kReplayed);
  EXPECT_EQ(counts.Use(99), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(164), CountVerdict::kNew) << "64 further";
  EXPECT_EQ(counts.Use(100), CountVerdict::kReplayed) << "the last that is still known";
  EXPECT_EQ(counts.Use(99), CountVerdict::kOutOfSequence);
  EXPECT_EQ(counts.Use(229), CountVerdict::kNew) << "65 further: nothing before is known";
  EXPECT_EQ(counts.Use(165), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(164), CountVerdict::kOutOfSequence);
}

TEST(NonceCountsTest, TheEndOfANonce) {
  NonceCounts counts(64);
  EXPECT_EQ(counts.Use(kNonceCountEnd - 1), CountVerdict::kNew);
  EXPECT_EQ(counts.Use(kNonceCountEnd), CountVerdict::kExhausted);
  EXPECT_EQ(counts.Use(0xffffffff), CountVerdict::kExhausted);
  EXPECT_EQ(counts.Use(kNonceCountEnd - 2), CountVerdict::kNew);
}

// Against a set of what was used, for every window.
TEST(NonceCountsTest, AgreesWithASet) {
  for (unsigned window = 1; window <= kCountWindowMax; ++window) {
    std::mt19937 random(window);
    NonceCounts counts(window);
    std::set<std::uint32_t> used;
    std::uint32_t highest = 0;
    for (int step = 0; step < 2000; ++step) {
      const std::uint32_t start = highest > 80 ? highest - 80 : 0;
      const std::uint32_t count = start + static_cast<std::uint32_t>(random() % 90);
      CountVerdict expected = CountVerdict::kNew;
      if (count == 0 || (count <= highest && highest - count > window)) {
        expected = CountVerdict::kOutOfSequence;
      } else if (used.contains(count)) {
        expected = CountVerdict::kReplayed;
      }
      ASSERT_EQ(counts.Use(count), expected) << "window " << window << ", step " << step;
      if (expected != CountVerdict::kNew) continue;
      used.insert(count);
      highest = std::max(highest, count);
    }
  }
}

// Eight threads with the same counts: each counts once.
TEST(NonceCountsTest, OfTwoThreadsOneWins) {
  constexpr std::uint32_t kCounts = 2000;
  for (const unsigned window : {kCountWindowStrict, kCountWindowDefault}) {
    NonceCounts counts(window);
    std::vector<std::atomic<int>> taken(kCounts + 1);
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (std::uint32_t count = 1; count <= kCounts; ++count) {
          if (counts.Use(count) == CountVerdict::kNew) ++taken[count];
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::uint32_t count = 1; count <= kCounts; ++count) {
      EXPECT_LE(taken[count], 1) << count;
    }
    EXPECT_GE(taken[1], 1);
  }
}

}  // namespace
}  // namespace ktlsim::digest
