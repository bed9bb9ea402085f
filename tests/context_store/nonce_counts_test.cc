#include "kernel_sim/context_store/nonce_counts.h"

#include <gtest/gtest.h>

#include "tests/context_store/store_test_support.h"

namespace ktlsim::context_store {
namespace {

constexpr std::uint64_t kPreviousNs = 5 * kNsPerSecond;

NonceUse Use(std::uint64_t nonce, std::uint32_t count, std::uint32_t window) {
  return {.epoch = 1, .nonce = nonce, .count = count, .window = window};
}

class NonceCountsTest : public ::testing::Test {
 protected:
  NonceCountsTest() { EXPECT_EQ(counts.Put(Use(7, 1, 64), kPreviousNs, 0), StoreResult::kOk); }
  StoreResult Advance(std::uint64_t nonce, std::uint32_t count, std::uint32_t window,
                      std::uint64_t now_ns = 0) {
    return counts.Advance(Use(nonce, count, window), now_ns);
  }
  NonceCounts counts;
};

TEST_F(NonceCountsTest, StrictTakesOnlyTheNextOne) {
  EXPECT_EQ(Advance(7, 1, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 3, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 0, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 2, 0), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 2, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 3, 0), StoreResult::kOk);
}

TEST_F(NonceCountsTest, AWindowTakesEachOnce) {
  EXPECT_EQ(Advance(7, 10, 64), StoreResult::kOk);
  for (std::uint32_t count = 2; count < 10; ++count) {
    EXPECT_EQ(Advance(7, count, 64), StoreResult::kOk) << count;
    EXPECT_EQ(Advance(7, count, 64), StoreResult::kOutOfSequence) << count;
  }
  EXPECT_EQ(Advance(7, 1, 64), StoreResult::kOutOfSequence) << "used by the first response";
  EXPECT_EQ(Advance(7, 10, 64), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 0, 64), StoreResult::kOutOfSequence);
}

TEST_F(NonceCountsTest, BelowTheWindowIsTooLate) {
  EXPECT_EQ(Advance(7, 100, 64), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 36, 64), StoreResult::kOk) << "the 64th below it";
  EXPECT_EQ(Advance(7, 35, 64), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 96, 4), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 95, 4), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 35, 4000), StoreResult::kOutOfSequence) << "no window is wider than 64";
}

TEST_F(NonceCountsTest, ALeapForgetsWhatIsFarBelow) {
  EXPECT_EQ(Advance(7, 0xFFFFFFFF, 64), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 0xFFFFFFFF, 64), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 0xFFFFFFFF, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 0, 0), StoreResult::kOutOfSequence) << "the next one would be 2^32";
  EXPECT_EQ(Advance(7, 0xFFFFFFFE, 64), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 1, 64), StoreResult::kOutOfSequence);
}

TEST_F(NonceCountsTest, OneThatIsNotKnownIsStale) {
  EXPECT_EQ(Advance(6, 1, 64), StoreResult::kStale);
  EXPECT_EQ(Advance(8, 1, 64), StoreResult::kStale);
  EXPECT_EQ(Advance(0, 1, 64), StoreResult::kStale);
  EXPECT_EQ(counts.Put(Use(6, 1, 64), kPreviousNs, 0), StoreResult::kStale)
      << "an older one does not come back";
}

TEST_F(NonceCountsTest, ThePreviousOneIsGoodForAWhileWithACountOfItsOwn) {
  EXPECT_EQ(counts.Put(Use(9, 1, 64), kPreviousNs, 100), StoreResult::kOk);
  EXPECT_EQ(counts.Put(Use(9, 1, 64), kPreviousNs, 100), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(7, 2, 64, 100 + kPreviousNs - 1), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 2, 64, 100 + kPreviousNs - 1), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(9, 2, 64, 100), StoreResult::kOk);
  EXPECT_EQ(Advance(7, 3, 64, 100 + kPreviousNs), StoreResult::kStale);
}

TEST_F(NonceCountsTest, ARefusedFirstUseLeavesTheOldNonce) {
  EXPECT_EQ(counts.Put(Use(9, 2, 0), kPreviousNs, 0), StoreResult::kOutOfSequence);
  EXPECT_EQ(Advance(9, 1, 64), StoreResult::kStale);
  EXPECT_EQ(Advance(7, 2, 0), StoreResult::kOk);
}

}  // namespace
}  // namespace ktlsim::context_store
