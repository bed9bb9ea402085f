// How long a connection waits: times in, verdicts out, without clock and timer.
#include "kernel_sim/transport/time_limits.h"

#include <gtest/gtest.h>

namespace ktlsim::transport {
namespace {

using Verdict = TimeLimits::Verdict;

constexpr std::uint64_t kStart = 1000 * kNsPerSecond;
constexpr std::uint64_t kSecond = kNsPerSecond;

TEST(TimeLimitsTest, ALegEndsAtItsLimit) {
  const Limits limits;
  TimeLimits times(limits, /*notes_slow_peers=*/false);
  EXPECT_EQ(times.wake_ns(), 0U);
  times.BeginHandshake(kStart);
  EXPECT_TRUE(times.BeginLeg(kStart));
  EXPECT_EQ(times.wake_ns(), kStart + limits.leg_ns);
  EXPECT_EQ(times.Look(times.wake_ns() - 1, /*call_in_flight=*/true), Verdict::kNothing);
  EXPECT_EQ(times.wake_ns(), kStart + limits.leg_ns);
  EXPECT_EQ(times.Look(times.wake_ns(), true), Verdict::kLegTimeout);
}

TEST(TimeLimitsTest, TheHandshakeLimitBoundsAllLegs) {
  const Limits limits{.leg_ns = 10 * kSecond, .handshake_ns = 15 * kSecond};
  TimeLimits times(limits, false);
  times.BeginHandshake(kStart);
  times.BeginHandshake(kStart + 5 * kSecond);  // it has begun already
  EXPECT_EQ(times.handshake_begun_ns(), kStart);
  times.BeginLeg(kStart + 9 * kSecond);
  EXPECT_EQ(times.wake_ns(), kStart + 15 * kSecond);
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kHandshakeTimeout);
}

TEST(TimeLimitsTest, WithoutLimitsNothingWakes) {
  const Limits limits{.leg_ns = 0, .handshake_ns = 0, .idle_ns = 0, .record_ns = 0, .close_ns = 0};
  TimeLimits times(limits, false);
  times.BeginHandshake(kStart);
  times.BeginLeg(kStart);
  EXPECT_EQ(times.wake_ns(), 0U);
  times.Establish(kStart);
  EXPECT_EQ(times.wake_ns(), 0U);
  EXPECT_FALSE(times.BeginRecord(kStart));
  EXPECT_TRUE(times.record_begun());
  times.BeginClose(kStart);
  EXPECT_EQ(times.wake_ns(), 0U);
}

TEST(TimeLimitsTest, ASlowPeerIsNotedOnceUntilItHasAnswered) {
  const Limits limits;
  TimeLimits times(limits, /*notes_slow_peers=*/true);
  times.BeginHandshake(kStart);
  times.BeginLeg(kStart);
  const std::uint64_t patience_ns = kStart + kPeerPatienceNs;
  ASSERT_EQ(times.wake_ns(), patience_ns);
  // While a call is in flight, the peer waits for us.
  EXPECT_EQ(times.Look(patience_ns, /*call_in_flight=*/true), Verdict::kNothing);
  EXPECT_EQ(times.wake_ns(), patience_ns + kPeerPatienceNs);
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kPeerIsSlow);
  EXPECT_TRUE(times.peer_is_slow());
  EXPECT_EQ(times.wake_ns(), kStart + limits.leg_ns);
  EXPECT_EQ(times.Look(times.wake_ns() - 1, false), Verdict::kNothing);
  EXPECT_TRUE(times.PeerHasAnswered(kStart + kSecond));
  EXPECT_FALSE(times.peer_is_slow());
  EXPECT_EQ(times.wake_ns(), kStart + kSecond + kPeerPatienceNs);
}

TEST(TimeLimitsTest, ActivityPutsOffTheIdleLimitWithoutMovingTheTimer) {
  const Limits limits;
  TimeLimits times(limits, true);
  times.Establish(kStart);
  const std::uint64_t first_ns = kStart + limits.idle_ns;
  ASSERT_EQ(times.wake_ns(), first_ns);
  times.Touch(kStart + kSecond);
  EXPECT_EQ(times.wake_ns(), first_ns);
  EXPECT_EQ(times.Look(first_ns, false), Verdict::kNothing);
  EXPECT_EQ(times.wake_ns(), first_ns + kSecond);
  EXPECT_EQ(times.Look(first_ns + kSecond, false), Verdict::kIdleTimeout);
}

TEST(TimeLimitsTest, ARecordHasItsOwnLimitWhileItIsNotWhole) {
  const Limits limits;
  TimeLimits times(limits, true);
  times.Establish(kStart);
  EXPECT_TRUE(times.BeginRecord(kStart + kSecond));
  EXPECT_EQ(times.wake_ns(), kStart + kSecond + limits.record_ns);
  times.EndRecord();
  EXPECT_FALSE(times.record_begun());
  // The timer finds nothing due, and is set for the idle limit again.
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kNothing);
  EXPECT_EQ(times.wake_ns(), kStart + limits.idle_ns);
  // A limit that ends after the timer's next look does not move the timer.
  EXPECT_FALSE(times.BeginRecord(kStart + limits.idle_ns - limits.record_ns + 1));
  times.Touch(kStart + limits.idle_ns - 1);
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kNothing);
  EXPECT_EQ(times.wake_ns(), kStart + limits.idle_ns + 1);
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kRecordTimeout);
}

TEST(TimeLimitsTest, OnceThePeersCloseIsAwaitedNothingElseCounts) {
  const Limits limits;
  TimeLimits times(limits, true);
  times.Establish(kStart);
  EXPECT_TRUE(times.BeginClose(kStart + kSecond));
  EXPECT_EQ(times.wake_ns(), kStart + kSecond + limits.close_ns);
  EXPECT_FALSE(times.BeginClose(kStart + 2 * kSecond));
  EXPECT_FALSE(times.BeginRecord(kStart + kSecond));
  EXPECT_EQ(times.wake_ns(), kStart + kSecond + limits.close_ns);
  EXPECT_EQ(times.Look(times.wake_ns(), false), Verdict::kCloseTimeout);
}

}  // namespace
}  // namespace ktlsim::transport
