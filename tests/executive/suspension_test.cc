// Suspension: a request that waits for something keeps its strand, not its processor; its wait has
// an end. And requests that move to another strand.
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
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

// ---- Limits, and the executive's stop

// Suspends with a limit, and ends with the cause of its last run as its status.
Body SuspendingFor(Kernel& kernel, std::uint64_t limit_ns, Counter& suspended, ResumeToken& token) {
  return [&kernel, limit_ns, &suspended, &token](Request& request) {
    if (request.cause() != CallRun::kFirst) {
      request.set_status(static_cast<std::int32_t>(request.cause()));
      return RunResult::kCompleted;
    }
    token = ResumeToken(request);
    kernel.executive().LimitSuspension(request, limit_ns);
    suspended.Add();
    return RunResult::kSuspended;
  };
}

constexpr auto kTimedOut = static_cast<std::int32_t>(CallRun::kTimedOut);
constexpr auto kResumed = static_cast<std::int32_t>(CallRun::kResumed);
constexpr auto kStopping = static_cast<std::int32_t>(CallRun::kStopping);
constexpr std::uint64_t kLong = 3600 * kNsPerSecond;

TEST_P(SuspensionTest, EndsAtItsLimit) {
  Caller caller(kernel_);
  Counter suspended;
  ResumeToken token;
  ASSERT_EQ(caller.Submit(SuspendingFor(kernel_, kNsPerMs, suspended, token)),
            Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), kTimedOut);
  token.Resume();
  // The next call of the same request is not limited by this one.
  ASSERT_EQ(caller.Resubmit(SuspendingFor(kernel_, kLong, suspended, token)), Admission::kAccepted);
  suspended.WaitFor(2);
  EXPECT_EQ(caller.status(), -1);
  token.Resume();
  caller.WaitForCallbacks(2);
  EXPECT_EQ(caller.status(), kResumed);
  kernel_.Stop();
  EXPECT_EQ(caller.callbacks(), 2U);
  EXPECT_EQ(kernel_.executive().Statistics().suspended, 0U);
}

// A queue limit of the call is over once it runs, and its suspension has one of its own.
TEST_P(SuspensionTest, QueueLimitDoesNotEndASuspension) {
  Caller caller(kernel_);
  ASSERT_EQ(kernel_.contexts().SetWaitLimit(caller.handle(), kLong), AsyncResult::kOk);
  Counter suspended;
  ResumeToken token;
  ASSERT_EQ(caller.Submit(SuspendingFor(kernel_, kNsPerMs, suspended, token)),
            Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), kTimedOut);
}

TEST_P(SuspensionTest, LimitIsCountedFromTheFirstSuspension) {
  Caller caller(kernel_);
  std::vector<std::uint64_t> deadlines;
  const Body body = [&](Request& request) {
    if (deadlines.size() == 3) return RunResult::kCompleted;
    kernel_.executive().LimitSuspension(request, kLong * (deadlines.size() + 1));
    deadlines.push_back(request.deadline().ns());
    ResumeToken(request).Resume();
    return RunResult::kSuspended;
  };
  ASSERT_EQ(caller.Submit(body), Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_NE(deadlines[0], 0U);
  EXPECT_EQ(deadlines, std::vector(3, deadlines[0]));
}

// Calls with limits in any order, some of which are resumed: the others end at their limits.
TEST_P(SuspensionTest, ManyLimitsInAnyOrder) {
  constexpr std::size_t kCalls = 300;
  std::vector<std::unique_ptr<Caller>> callers;
  Counter suspended[kCalls];
  ResumeToken tokens[kCalls];
  for (std::size_t i = 0; i < kCalls; ++i) {
    callers.push_back(std::make_unique<Caller>(
        kernel_, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor));
    const std::uint64_t limit = i % 3 == 0 ? kLong + i : (i * 7919) % 3000 * kNsPerUs + 1;
    ASSERT_EQ(callers[i]->Submit(SuspendingFor(kernel_, limit, suspended[i], tokens[i])),
              Admission::kAccepted);
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = kCalls; i-- > 0;) {
          if (i % 3 == 2 || i % 2 != t) continue;
          suspended[i].WaitFor(1);
          ResumeToken token = tokens[i];
          token.Resume();
        }
      });
    }
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  for (std::size_t i = 0; i < kCalls; ++i) {
    EXPECT_EQ(callers[i]->callbacks(), 1U);
    const std::int32_t status = callers[i]->status();
    EXPECT_TRUE(status == kResumed ? i % 3 != 2 : status == kTimedOut && i % 3 != 0) << i;
  }
}

// With and without a limit, asynchronous and synchronous.
TEST_P(SuspensionTest, StopEndsEverySuspension) {
  Strand strand;
  Suspender suspender;
  Counter suspended;
  ResumeToken tokens[2];
  Caller limited(kernel_);
  Caller unlimited(kernel_, NotifyMode::kOnProcessor);
  Caller after(kernel_);
  ASSERT_EQ(
      limited.Submit(SuspendingFor(kernel_, kLong, suspended, tokens[0]), {.strand = &strand}),
      Admission::kAccepted);
  ASSERT_EQ(after.Submit(Completing(7), {.strand = &strand}), Admission::kAccepted);
  ASSERT_EQ(unlimited.Submit(suspender.Suspending(9)), Admission::kAccepted);
  std::int32_t waited = 0;
  std::jthread synchronous([&] {
    Request* const request = kernel_.contexts().TakeRequest();
    request->Prepare(Lane::kHandshake, &RunBody, nullptr, {});
    request->EmplacePayload<Body>(SuspendingFor(kernel_, kLong, suspended, tokens[1]));
    EXPECT_TRUE(kernel_.executive().SubmitAndWait(*request));
    waited = request->status();
    kernel_.contexts().GiveBackRequest(*request);
  });
  suspended.WaitFor(2);
  ResumeToken late = suspender.WaitForToken();
  kernel_.Stop();
  synchronous.join();
  EXPECT_EQ(limited.status(), kStopping);
  EXPECT_EQ(waited, kStopping);
  EXPECT_EQ(unlimited.status(), 9);
  EXPECT_EQ(after.status(), 7);
  for (ResumeToken& token : tokens) token.Resume();
  late.Resume();
  EXPECT_EQ(limited.callbacks(), 1U);
  EXPECT_EQ(kernel_.executive().Statistics().suspended, 0U);
  // The next start suspends as ever.
  kernel_.Start(MakeOptions(GetParam().placement, GetParam().processors));
  ASSERT_EQ(limited.Resubmit(SuspendingFor(kernel_, kLong, suspended, tokens[0])),
            Admission::kAccepted);
  suspended.WaitFor(3);
  EXPECT_EQ(limited.status(), -1);
  tokens[0].Resume();
  limited.WaitForCallbacks(2);
  EXPECT_EQ(limited.status(), kResumed);
}

// The run is under way when the stop begins, and suspends then, again and again.
TEST_P(SuspensionTest, StopEndsWhatIsSuspendedLater) {
  Caller caller(kernel_);
  Gate gate;
  Counter running;
  std::vector<CallRun> causes;
  const Body body = [&](Request& request) {
    causes.push_back(request.cause());
    if (causes.size() == 1) {
      running.Add();
      gate.Pass();
    }
    if (causes.size() == 4) return RunResult::kCompleted;
    return RunResult::kSuspended;  // nobody has a token
  };
  ASSERT_EQ(caller.Submit(body), Admission::kAccepted);
  running.WaitFor(1);
  std::jthread stopper([&] { kernel_.Stop(); });
  YieldUntil([&] { return !Executive::Visit(kernel_.executive()); });  // it has begun
  gate.Open();
  stopper.join();
  EXPECT_EQ(caller.callbacks(), 1U);
  EXPECT_EQ(causes, (std::vector{CallRun::kFirst, CallRun::kStopping, CallRun::kStopping,
                                 CallRun::kStopping}));
}

// ---- Moves

// Moves to `to` in its first run, and then goes on with `rest`.
Body MovingTo(Strand& to, Body rest) {
  return [&to, moved = false, rest = std::move(rest)](Request& request) mutable {
    if (std::exchange(moved, true)) return rest(request);
    EXPECT_FALSE(request.MoveTo(to, {}));
    return RunResult::kMoved;
  };
}

TEST_P(SuspensionTest, MovedCallTakesItsTurnOnItsNewStrand) {
  Strand from;
  Strand to;
  Suspender suspender;
  std::vector<int> order;
  Caller first(kernel_);
  Caller moved(kernel_);
  Caller stays(kernel_);
  ASSERT_EQ(first.Submit(suspender.Suspending(1), {.strand = &to}), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  ASSERT_EQ(
      moved.Submit(MovingTo(to, Completing(2, [&] { order.push_back(2); })), {.strand = &from}),
      Admission::kAccepted);
  // It has given up its old strand: the next call there runs.
  ASSERT_EQ(stays.Submit(Completing(3, [&] { order.push_back(3); }), {.strand = &from}),
            Admission::kAccepted);
  stays.WaitForCallbacks();
  EXPECT_EQ(moved.status(), -1);
  EXPECT_EQ(kernel_.contexts().Recall(moved.handle(), nullptr), AsyncResult::kTooLate);
  token.Resume();
  moved.WaitForCallbacks();
  first.WaitForCallbacks();
  kernel_.Stop();
  EXPECT_EQ(order, (std::vector<int>{3, 2}));
  EXPECT_EQ(moved.status(), 2);
  EXPECT_EQ(moved.callbacks(), 1U);
}

TEST_P(SuspensionTest, MovedCallIsSuspendedAndLimitedLikeAnother) {
  Strand from;
  Strand to;
  Caller caller(kernel_);
  Caller after(kernel_);
  Counter suspended;
  ResumeToken token;
  ASSERT_EQ(caller.Submit(MovingTo(to, SuspendingFor(kernel_, kNsPerMs, suspended, token)),
                          {.strand = &from}),
            Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), kTimedOut);
  ASSERT_EQ(after.Submit(Completing(4), {.strand = &to}), Admission::kAccepted);
  after.WaitForCallbacks();
}

// Calls move from each of two strands to the other one, at once.
TEST_P(SuspensionTest, MovesCrossWithoutADeadlock) {
  constexpr int kCalls = 500;
  Strand strands[2];
  bool inside[2] = {};  // plain: the strand orders its runs
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < kCalls; ++i) {
    callers.push_back(std::make_unique<Caller>(kernel_));
    const std::size_t to = static_cast<std::size_t>(i % 2);
    const Body rest = Completing(i, [&inside, to] {
      EXPECT_FALSE(std::exchange(inside[to], true));
      inside[to] = false;
    });
    ASSERT_EQ(callers.back()->Submit(MovingTo(strands[to], rest), {.strand = &strands[1 - to]}),
              Admission::kAccepted);
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(callers[static_cast<std::size_t>(i)]->status(), i);
    EXPECT_EQ(callers[static_cast<std::size_t>(i)]->callbacks(), 1U);
  }
}

}  // namespace
}  // namespace ktlsim::executive
