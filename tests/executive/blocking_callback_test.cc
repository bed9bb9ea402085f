// Callbacks that block, even without end, and callbacks that make synchronous calls.
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;

using BlockingCallbackTest = ShapeTest;
INSTANTIATE_TEST_SUITE_P(Shapes, BlockingCallbackTest, kEveryShape, kShapeName);

// More callbacks block than the pool has threads at the start; other callbacks come meanwhile.
TEST_P(BlockingCallbackTest, BlockedOnesStallNobody) {
  constexpr std::size_t kBlocked = 12;
  constexpr std::size_t kOthers = 200;
  Gate release;
  Counter entered;
  std::vector<std::unique_ptr<Caller>> blocked;
  for (std::size_t i = 0; i < kBlocked; ++i) {
    blocked.push_back(std::make_unique<Caller>(kernel_, NotifyMode::kPool, [&](AsyncHandle) {
      entered.Add();
      release.Pass();
    }));
    ASSERT_EQ(blocked.back()->Submit(Completing(0)), Admission::kAccepted);
  }
  entered.WaitFor(kBlocked);
  std::vector<std::unique_ptr<Caller>> others;
  for (std::size_t i = 0; i < kOthers; ++i) {
    others.push_back(std::make_unique<Caller>(
        kernel_, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor));
    ASSERT_EQ(others.back()->Submit(Completing(0)), Admission::kAccepted);
  }
  for (auto& caller : others) caller->WaitForCallbacks();
  const ExecutiveStatistics statistics = kernel_.executive().Statistics();
  EXPECT_GE(statistics.notify_threads, kBlocked + 1);
  EXPECT_GE(statistics.in_flight, kBlocked);
  for (auto& caller : blocked) EXPECT_EQ(caller->callbacks(), 0U);
  release.Open();
  for (auto& caller : blocked) caller->WaitForCallbacks();
}

// The context of a call is its owner's again once its callback is entered: the callbacks of two
// successive calls may overlap. Each waits here for the next one, so they have to.
TEST_P(BlockingCallbackTest, CallbacksOfSuccessiveCallsOverlap) {
  constexpr std::uint32_t kLegs = 10;
  Counter entered;
  Caller caller(kernel_, NotifyMode::kPool, [&](AsyncHandle) {
    entered.Add();
    entered.WaitFor(kLegs);
  });
  for (std::uint32_t leg = 1; leg <= kLegs; ++leg) {
    const Body body = Completing(static_cast<std::int32_t>(leg));
    ASSERT_EQ(leg == 1 ? caller.Submit(body) : caller.Resubmit(body), Admission::kAccepted);
    entered.WaitFor(leg);
  }
  caller.WaitForCallbacks(kLegs);
  kernel_.Stop();
  EXPECT_EQ(caller.callbacks(), kLegs);
}

TEST_P(BlockingCallbackTest, SynchronousCallFromACallback) {
  constexpr std::size_t kCalls = 50;
  Strand strands[kCalls];
  std::vector<std::unique_ptr<Caller>> callers;
  std::atomic<int> ran{0};
  for (std::size_t i = 0; i < kCalls; ++i) {
    callers.push_back(std::make_unique<Caller>(kernel_, NotifyMode::kPool, [&, i](AsyncHandle) {
      EXPECT_TRUE(NotificationPool::InCallback());
      Request* request = kernel_.contexts().TakeRequest();
      ASSERT_NE(request, nullptr);
      request->Prepare(Lane::kHandshake, &RunBody, &strands[i], {});
      request->EmplacePayload<Body>(Completing(41, [&ran] { ran.fetch_add(1); }));
      EXPECT_TRUE(kernel_.executive().SubmitAndWait(*request));
      EXPECT_EQ(request->status(), 41);
      kernel_.contexts().GiveBackRequest(*request);
    }));
  }
  for (std::size_t i = 0; i < kCalls; ++i) {
    ASSERT_EQ(callers[i]->Submit(Completing(0), {.strand = &strands[i]}), Admission::kAccepted);
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  EXPECT_EQ(ran.load(), static_cast<int>(kCalls));
  EXPECT_FALSE(NotificationPool::InCallback());
}

TEST_P(BlockingCallbackTest, SynchronousCallsFromManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 300;
  Strand strand;
  int sum = 0;  // plain: the strand orders it
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kCalls; ++i) {
          Request* request = kernel_.contexts().TakeRequest();
          int mine = 0;
          request->Prepare(Lane::kRecord, &RunBody, &strand, {});
          request->EmplacePayload<Body>(Completing(i, [&] { mine = ++sum; }));
          ASSERT_TRUE(kernel_.executive().SubmitAndWait(*request));
          EXPECT_EQ(request->status(), i);
          EXPECT_GT(mine, 0);
          kernel_.contexts().GiveBackRequest(*request);
        }
      });
    }
  }
  kernel_.Stop();
  EXPECT_EQ(sum, kThreads * kCalls);
}

TEST_P(BlockingCallbackTest, SynchronousCallSuspends) {
  Request* request = kernel_.contexts().TakeRequest();
  Suspender suspender;
  request->Prepare(Lane::kHandshake, &RunBody, nullptr, {});
  request->EmplacePayload<Body>(suspender.Suspending(51));
  std::jthread resumer([&] { suspender.WaitForToken().Resume(); });
  EXPECT_TRUE(kernel_.executive().SubmitAndWait(*request));
  EXPECT_EQ(request->status(), 51);
  kernel_.contexts().GiveBackRequest(*request);
}

// The pool stops growing at its cap. A call that waits there has its final status already; its
// callback comes when a thread is free.
TEST(BlockingCallbackCapTest, PoolStopsAtItsCap) {
  ExecutiveOptions options = MakeOptions(Placement::kInline, 1);
  options.notify_threads_max = 4;
  Kernel kernel(options);
  Gate release[5];
  Counter entered;
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t i = 0; i < 5; ++i) {
    callers.push_back(std::make_unique<Caller>(kernel, NotifyMode::kPool, [&, i](AsyncHandle) {
      entered.Add();
      release[i].Pass();
    }));
    ASSERT_EQ(callers[i]->Submit(Completing(61)), Admission::kAccepted);
    if (i < 4) entered.WaitFor(static_cast<std::uint32_t>(i + 1));
  }
  YieldUntil([&] { return callers[4]->status() == 61; });
  EXPECT_EQ(entered.value(), 4U);
  EXPECT_EQ(kernel.contexts().Reinit(callers[4]->handle()), AsyncResult::kInUse);
  EXPECT_EQ(kernel.executive().Statistics().notify_threads_peak, 4U);
  release[2].Open();
  entered.WaitFor(5);
  EXPECT_EQ(kernel.executive().Statistics().notify_threads_peak, 4U);
  for (Gate& gate : release) gate.Open();
  for (auto& caller : callers) caller->WaitForCallbacks();
}

// On a processor, a callback whose processor is busy is published and not entered.
TEST(BlockingCallbackCapTest, CallbackWaitsForItsProcessor) {
  Kernel kernel(MakeOptions(Placement::kPool, 1));  // 0: io, submits; 1: crypto, runs
  Caller caller(kernel, NotifyMode::kOnProcessor);
  kernel.RunOn(0, [&] {
    ASSERT_EQ(caller.Submit(Completing(62)), Admission::kAccepted);
    YieldUntil([&] { return caller.status() == 62; });
    EXPECT_EQ(caller.callbacks(), 0U);
    EXPECT_EQ(kernel.contexts().Reinit(caller.handle()), AsyncResult::kInUse);
  });
  caller.WaitForCallbacks();
}

}  // namespace
}  // namespace ktlsim::executive
