#include "kernel_sim/serve/request_clock.h"

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

using transport::EndKind;
using Phase = HttpRequestReader::Phase;

constexpr std::uint64_t kBegin = 1000 * kNsPerSecond;

class RequestClockTest : public testing::Test {
 protected:
  RequestTimes times_{
      .head_ns = 10 * kNsPerSecond, .request_ns = 60 * kNsPerSecond, .body_rate_min = 100};
  RequestClock clock_{times_};
};

TEST_F(RequestClockTest, BetweenRequestsThereIsNoHurry) {
  EXPECT_EQ(clock_.deadline_ns(), 0U);
  EXPECT_EQ(clock_.Judge(kBegin), EndKind::kCompleted);
  clock_.Advance(Phase::kHead, 5, kBegin);
  clock_.Finish();
  EXPECT_EQ(clock_.deadline_ns(), 0U);
  EXPECT_EQ(clock_.Judge(kBegin + times_.request_ns), EndKind::kCompleted);
}

TEST_F(RequestClockTest, TheHeadIsMeasuredFromItsFirstByte) {
  clock_.Advance(Phase::kHead, 2, kBegin);
  clock_.Advance(Phase::kHead, 2, kBegin + 9 * kNsPerSecond);
  EXPECT_EQ(clock_.deadline_ns(), kBegin + times_.head_ns);
  EXPECT_EQ(clock_.Judge(kBegin + times_.head_ns - 1), EndKind::kCompleted);
  EXPECT_EQ(clock_.Judge(kBegin + times_.head_ns), EndKind::kHeadTimeout);
}

TEST_F(RequestClockTest, TheNextRequestBeginsAnew) {
  clock_.Advance(Phase::kHead, 2, kBegin);
  clock_.Finish();
  clock_.Advance(Phase::kHead, 2, kBegin + 9 * kNsPerSecond);
  EXPECT_EQ(clock_.deadline_ns(), kBegin + 19 * kNsPerSecond);
}

TEST_F(RequestClockTest, ABodyHasARateInEveryWindow) {
  clock_.Advance(Phase::kHead, 2, kBegin);
  std::uint64_t now_ns = kBegin + kNsPerSecond;
  clock_.Advance(Phase::kBody, 100'000, now_ns);  // with the head: does not count later
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(clock_.deadline_ns(), now_ns + kBodyWindowNs);
    clock_.Advance(Phase::kBody, i == 0 ? 1'000'000 : 500, now_ns + kNsPerSecond);
    now_ns += kBodyWindowNs;
    EXPECT_EQ(clock_.Judge(now_ns - 1), EndKind::kCompleted);
    EXPECT_EQ(clock_.Judge(now_ns), EndKind::kCompleted) << i;
  }
  clock_.Advance(Phase::kBody, 499, now_ns + kNsPerSecond);
  EXPECT_EQ(clock_.Judge(now_ns + kBodyWindowNs), EndKind::kBodyTooSlow);
}

TEST_F(RequestClockTest, TheWholeRequestHasALimit) {
  clock_.Advance(Phase::kHead, 2, kBegin);
  clock_.Advance(Phase::kBody, 0, kBegin + 5 * kNsPerSecond);
  for (std::uint64_t s = 10; s < 60; s += 5) {
    clock_.Advance(Phase::kBody, 500, kBegin + (s - 1) * kNsPerSecond);
    EXPECT_EQ(clock_.Judge(kBegin + s * kNsPerSecond), EndKind::kCompleted) << s;
  }
  EXPECT_EQ(clock_.deadline_ns(), kBegin + times_.request_ns);
  EXPECT_EQ(clock_.Judge(kBegin + times_.request_ns), EndKind::kRequestTimeout);
}

TEST_F(RequestClockTest, ZeroIsNoLimit) {
  times_ = {.head_ns = 0, .request_ns = 0, .body_rate_min = 0};
  clock_.Advance(Phase::kHead, 1, kBegin);
  EXPECT_EQ(clock_.deadline_ns(), 0U);
  clock_.Advance(Phase::kBody, 1, kBegin + 100 * kNsPerSecond);
  EXPECT_EQ(clock_.deadline_ns(), 0U);
  EXPECT_EQ(clock_.Judge(kBegin + 100'000 * kNsPerSecond), EndKind::kCompleted);
}

}  // namespace
}  // namespace ktlsim::serve
