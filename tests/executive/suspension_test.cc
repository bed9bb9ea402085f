// Suspension: a request that waits for something keeps its strand, not its processor.
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;

using SuspensionTest = ShapeTest;
INSTANTIATE_TEST_SUITE_P(Shapes, SuspensionTest, kEveryShape, kShapeName);

TEST_P(SuspensionTest, ResumedFromAnotherThread) {
  Caller caller(kernel_);
  Suspender suspender;
  ASSERT_EQ(caller.Submit(suspender.Suspending(21)), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  EXPECT_EQ(caller.status(), -1);
  EXPECT_EQ(kernel_.executive().Statistics().in_flight, 1U);
  std::jthread([token]() mutable { token.Resume(); }).join();
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), 21);
  kernel_.Stop();
  EXPECT_EQ(caller.callbacks(), 1U);
}

TEST_P(SuspensionTest, ResumedBeforeRunHasReturned) {
  Caller caller(kernel_);
  int runs = 0;
  const Body body = [&runs](Request& request) {
    ++runs;
    if (request.resumed()) {
      request.set_status(22);
      return RunResult::kCompleted;
    }
    ResumeToken(request).Resume();
    return RunResult::kSuspended;
  };
  ASSERT_EQ(caller.Submit(body), Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), 22);
  EXPECT_EQ(runs, 2);
}

TEST_P(SuspensionTest, SecondResumeDoesNothing) {
  Caller caller(kernel_);
  int runs = 0;
  Suspender suspender;
  const Body inner = suspender.Suspending(23);
  ASSERT_EQ(caller.Submit([&](Request& request) {
    ++runs;
    return inner(request);
  }),
            Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([token]() mutable {
        token.Resume();
        token.Resume();
      });
    }
  }
  caller.WaitForCallbacks();
  ResumeToken late = token;
  late.Resume();
  kernel_.Stop();
  late.Resume();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(caller.callbacks(), 1U);
  EXPECT_EQ(caller.status(), 23);
}

TEST_P(SuspensionTest, EmptyTokenDoesNothing) {
  ResumeToken token;
  token.Resume();
}

TEST_P(SuspensionTest, OldTokenDoesNotResumeTheNextCallOfItsRequest) {
  Caller caller(kernel_);
  Suspender first;
  ASSERT_EQ(caller.Submit(first.Suspending(1)), Admission::kAccepted);
  ResumeToken old = first.WaitForToken();
  old.Resume();
  caller.WaitForCallbacks(1);
  Suspender second;
  ASSERT_EQ(caller.Resubmit(second.Suspending(2)), Admission::kAccepted);
  ResumeToken current = second.WaitForToken();
  old.Resume();
  // A call that is over before it could suspend leaves a token without effect, too.
  Caller other(kernel_);
  ASSERT_EQ(other.Submit(Completing(0)), Admission::kAccepted);
  other.WaitForCallbacks(1);
  EXPECT_EQ(caller.status(), -1) << "resumed by a token of the call before";
  current.Resume();
  caller.WaitForCallbacks(2);
  EXPECT_EQ(caller.status(), 2);
}

TEST_P(SuspensionTest, TokenOfACompletedRunIsVoid) {
  Caller caller(kernel_);
  ResumeToken token;
  ASSERT_EQ(caller.Submit([&token](Request& request) {
    token = ResumeToken(request);
    request.set_status(5);
    return RunResult::kCompleted;
  }),
            Admission::kAccepted);
  caller.WaitForCallbacks(1);
  token.Resume();
  int runs = 0;
  ASSERT_EQ(caller.Resubmit(Completing(6, [&runs] { ++runs; })), Admission::kAccepted);
  caller.WaitForCallbacks(2);
  kernel_.Stop();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(caller.status(), 6);
}

// Goal: a request that is not resumed delays its own strand and nothing else.
TEST_P(SuspensionTest, StrandStaysTakenWhileOthersAdvance) {
  Strand strand;
  Strand other_strand;
  Suspender suspender;
  std::vector<int> order;
  Caller first(kernel_);
  Caller second(kernel_);
  Caller third(kernel_);
  ASSERT_EQ(first.Submit(suspender.Suspending(31), {.strand = &strand}), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  ASSERT_EQ(second.Submit(Completing(32, [&] { order.push_back(2); }), {.strand = &strand}),
            Admission::kAccepted);
  ASSERT_EQ(third.Submit(Completing(33, [&] { order.push_back(3); }),
                         {.lane = Lane::kRecord, .strand = &strand}),
            Admission::kAccepted);
  Caller other(kernel_);
  for (std::uint32_t i = 1; i <= 200; ++i) {
    const Body body = Completing(static_cast<std::int32_t>(i));
    const How how{.strand = &other_strand};
    ASSERT_EQ(i == 1 ? other.Submit(body, how) : other.Resubmit(body, how), Admission::kAccepted);
    other.WaitForCallbacks(i);
  }
  EXPECT_EQ(first.status(), -1);
  EXPECT_EQ(second.status(), -1);
  EXPECT_EQ(third.status(), -1);
  EXPECT_EQ(kernel_.executive().Statistics().suspended, 1U);
  token.Resume();
  for (Caller* caller : {&first, &second, &third}) caller->WaitForCallbacks();
  kernel_.Stop();
  EXPECT_EQ(order, (std::vector<int>{2, 3}));
  EXPECT_EQ(first.status(), 31);
  EXPECT_EQ(second.status(), 32);
  EXPECT_EQ(third.status(), 33);
}

TEST_P(SuspensionTest, SuspendsAndResumesManyTimes) {
  constexpr int kTimes = 1000;
  Caller caller(kernel_);
  Counter suspended;
  ResumeToken token;
  int runs = 0;  // plain: the token carries it to the next run
  const Body body = [&](Request& request) {
    EXPECT_EQ(request.resumed(), runs != 0);
    if (++runs > kTimes) {
      request.set_status(runs);
      return RunResult::kCompleted;
    }
    token = ResumeToken(request);
    suspended.Add();
    return RunResult::kSuspended;
  };
  ASSERT_EQ(caller.Submit(body), Admission::kAccepted);
  for (std::uint32_t i = 1; i <= kTimes; ++i) {
    suspended.WaitFor(i);  // Run may not have returned yet
    ResumeToken now = token;
    now.Resume();
  }
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), kTimes + 1);
}

// Goal: many suspended at once, resumed in another order by several threads.
TEST_P(SuspensionTest, ManySuspendedAtOnce) {
  constexpr std::size_t kCalls = 300;
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<std::unique_ptr<Suspender>> suspenders;
  for (std::size_t i = 0; i < kCalls; ++i) {
    callers.push_back(std::make_unique<Caller>(
        kernel_, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor));
    suspenders.push_back(std::make_unique<Suspender>());
    ASSERT_EQ(callers[i]->Submit(suspenders[i]->Suspending(static_cast<std::int32_t>(i))),
              Admission::kAccepted);
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = kCalls; i-- > 0;) {
          if (i % 3 == t) suspenders[i]->WaitForToken().Resume();
        }
      });
    }
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  for (std::size_t i = 0; i < kCalls; ++i) {
    EXPECT_EQ(callers[i]->status(), static_cast<std::int32_t>(i));
    EXPECT_EQ(callers[i]->callbacks(), 1U);
  }
}

}  // namespace
}  // namespace ktlsim::executive
