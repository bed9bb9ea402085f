#include "kernel_sim/accounts/password_pace.h"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::accounts {
namespace {

constexpr std::uint64_t kSecond = kNsPerSecond;

// An attempt from its admission to its end, all at `now`.
void Attempt(PasswordPace& pace, const std::string& name, AttemptEnd end, std::uint64_t now) {
  ASSERT_TRUE(pace.Admit(name));
  pace.Begin(name);
  pace.Finish(name, end, now);
}

std::uint64_t DueOf(const PasswordPace& pace, const std::string& name) {
  std::uint64_t due = 0;
  static_cast<void>(pace.MayBegin(name, 0, &due));
  return due;
}

TEST(PasswordPaceTest, DelaysGrowToTheirLimit) {
  const PasswordPace pace(
      {.free_failures = 3, .first_delay_ns = kSecond, .longest_delay_ns = 6 * kSecond});
  EXPECT_EQ(pace.DelayNs(0), 0U);
  EXPECT_EQ(pace.DelayNs(2), 0U);
  EXPECT_EQ(pace.DelayNs(3), kSecond);
  EXPECT_EQ(pace.DelayNs(4), 2 * kSecond);
  EXPECT_EQ(pace.DelayNs(5), 4 * kSecond);
  EXPECT_EQ(pace.DelayNs(6), 6 * kSecond);
  EXPECT_EQ(pace.DelayNs(1'000'000'000), 6 * kSecond);
}

TEST(PasswordPaceTest, AWrongPasswordDelaysTheNextOfTheSameName) {
  PasswordPace pace({.free_failures = 2});
  Attempt(pace, "a", AttemptEnd::kWrong, 100);
  EXPECT_EQ(DueOf(pace, "a"), 100U);
  Attempt(pace, "a", AttemptEnd::kWrong, 100);
  EXPECT_EQ(DueOf(pace, "a"), 100U + kSecond);
  EXPECT_EQ(DueOf(pace, "b"), 0U);
  std::uint64_t due = 0;
  ASSERT_TRUE(pace.Admit("a"));
  EXPECT_FALSE(pace.MayBegin("a", 99 + kSecond, &due));
  EXPECT_TRUE(pace.MayBegin("a", 100 + kSecond, &due));
  pace.Begin("a");
  pace.Finish("a", AttemptEnd::kRight, 100 + kSecond);
  EXPECT_EQ(pace.size(), 0U);  // a right one makes it all good
}

// No memory, for example: it is neither right nor wrong.
TEST(PasswordPaceTest, AnAttemptThatNobodyJudgedKeepsFailuresAndDelay) {
  PasswordPace pace({.free_failures = 2});
  Attempt(pace, "a", AttemptEnd::kUnjudged, 100);
  EXPECT_EQ(pace.size(), 0U);
  for (int i = 0; i < 3; ++i) Attempt(pace, "a", AttemptEnd::kWrong, 100);
  Attempt(pace, "a", AttemptEnd::kUnjudged, 200);
  EXPECT_EQ(DueOf(pace, "a"), 200U + 2 * kSecond);
  Attempt(pace, "a", AttemptEnd::kWrong, 300);
  EXPECT_EQ(DueOf(pace, "a"), 300U + 4 * kSecond);
}

TEST(PasswordPaceTest, OneAttemptOfANameRunsAtATime) {
  PasswordPace pace({});
  std::uint64_t due = 0;
  ASSERT_TRUE(pace.Admit("a"));
  ASSERT_TRUE(pace.Admit("a"));
  pace.Begin("a");
  EXPECT_FALSE(pace.MayBegin("a", 0, &due));
  EXPECT_EQ(due, std::numeric_limits<std::uint64_t>::max());
  pace.Finish("a", AttemptEnd::kRight, 0);
  EXPECT_TRUE(pace.MayBegin("a", 0, &due));
}

TEST(PasswordPaceTest, WaitingForANameIsBounded) {
  PasswordPace pace({.waiting_max = 2});
  EXPECT_TRUE(pace.Admit("a"));
  EXPECT_TRUE(pace.Admit("a"));
  EXPECT_FALSE(pace.Admit("a"));
  EXPECT_TRUE(pace.Admit("b"));
  pace.Withdraw("a");
  EXPECT_TRUE(pace.Admit("a"));
}

TEST(PasswordPaceTest, FailuresOfLongAgoAreForgotten) {
  PasswordPace pace({.free_failures = 2, .forgotten_after_ns = 10 * kSecond});
  Attempt(pace, "a", AttemptEnd::kWrong, 0);
  Attempt(pace, "a", AttemptEnd::kWrong, 11 * kSecond);
  EXPECT_EQ(DueOf(pace, "a"), 11 * kSecond);
}

TEST(PasswordPaceTest, TheNameWithTheFewestFailuresIsForgottenFirst) {
  PasswordPace pace({.free_failures = 2, .names_max = 3});
  for (int i = 0; i < 3; ++i) Attempt(pace, "victim", AttemptEnd::kWrong, 1);
  for (int i = 0; i < 100; ++i) Attempt(pace, std::to_string(i), AttemptEnd::kWrong, 2);
  EXPECT_EQ(pace.size(), 3U);
  EXPECT_GT(DueOf(pace, "victim"), kSecond);
}

}  // namespace
}  // namespace ktlsim::accounts
