#include "kernel_sim/base/count_window.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(CountWindowTest, InOrder) {
  CountWindow counts;
  EXPECT_FALSE(counts.Use(0, 0));
  EXPECT_FALSE(counts.Use(2, 0)) << "the first is 1";
  EXPECT_TRUE(counts.Use(1, 0));
  EXPECT_FALSE(counts.Use(1, 0));
  EXPECT_FALSE(counts.Use(3, 0));
  EXPECT_TRUE(counts.Use(2, 0));
  EXPECT_FALSE(counts.Use(1, 0));
  EXPECT_TRUE(counts.Use(3, 0));
}

TEST(CountWindowTest, TheEdgesOfTheWindow) {
  CountWindow counts;
  EXPECT_TRUE(counts.Use(100, 64));
  EXPECT_FALSE(counts.Use(35, 64));
  EXPECT_TRUE(counts.Use(36, 64));
  EXPECT_FALSE(counts.Use(36, 64));
  EXPECT_TRUE(counts.Use(99, 64));
  EXPECT_TRUE(counts.Use(164, 64)) << "64 further";
  EXPECT_FALSE(counts.Use(100, 64)) << "the last that is still known";
  EXPECT_FALSE(counts.Use(99, 64));
  EXPECT_TRUE(counts.Use(229, 64)) << "65 further: nothing before is known";
  EXPECT_TRUE(counts.Use(165, 64));
  EXPECT_FALSE(counts.Use(164, 64));
  EXPECT_FALSE(counts.Use(164, 4000)) << "no window is wider than 64";
}

TEST(CountWindowTest, ARefusedNumberChangesNothing) {
  CountWindow counts;
  ASSERT_TRUE(counts.Use(5, 64));
  const CountWindow before = counts;
  for (const std::uint32_t count : {0U, 5U, 7U}) {
    EXPECT_FALSE(counts.Use(count, 0)) << count;
    EXPECT_EQ(counts, before);
  }
}

TEST(CountWindowTest, TheLastNumberThereIs) {
  CountWindow counts;
  EXPECT_TRUE(counts.Use(0xFFFFFFFF, 64));
  EXPECT_FALSE(counts.Use(0xFFFFFFFF, 64));
  EXPECT_FALSE(counts.Use(0, 0)) << "the next one would be 2^32";
  EXPECT_TRUE(counts.Use(0xFFFFFFFE, 64));
}

// Against a set of what was used, for every window.
TEST(CountWindowTest, AgreesWithASet) {
  for (std::uint32_t window = 1; window <= CountWindow::kBelowMax; ++window) {
    std::mt19937 random(window);
    CountWindow counts;
    std::set<std::uint32_t> used;
    std::uint32_t highest = 0;
    for (int step = 0; step < 2000; ++step) {
      const std::uint32_t start = highest > 80 ? highest - 80 : 0;
      const std::uint32_t count = start + static_cast<std::uint32_t>(random() % 90);
      const bool too_low = count == 0 || (count <= highest && highest - count > window);
      const bool good = !too_low && !used.contains(count);
      ASSERT_EQ(counts.Use(count, window), good) << "window " << window << ", step " << step;
      if (!good) continue;
      used.insert(count);
      highest = std::max(highest, count);
    }
  }
}

}  // namespace
}  // namespace ktlsim
