// Calls that end without having run: cancelled, or because they waited too long.
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/trace.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

AsyncResult Cancel(Kernel& kernel, AsyncHandle handle) {
  Request* request = nullptr;
  const AsyncResult result = kernel.contexts().Recall(handle, &request);
  if (result == AsyncResult::kOk) kernel.executive().EndRecall(*request);
  return result;
}

Body MustNotRun() {
  return Completing(0, [] { ADD_FAILURE() << "a recalled call ran"; });
}

class RecallTest : public ShapeTest {};
INSTANTIATE_TEST_SUITE_P(Shapes, RecallTest, kEveryShape, kShapeName);

TEST_P(RecallTest, CallBehindASuspendedOneEndsAtOnce) {
  Strand strand;
  Suspender suspender;
  Caller first(kernel_);
  Caller second(kernel_);
  Caller third(kernel_);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  second.Submit(MustNotRun(), {.strand = &strand});
  third.Submit(Completing(3), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  EXPECT_EQ(Cancel(kernel_, first.handle()), AsyncResult::kTooLate) << "suspended: it has begun";
  EXPECT_EQ(Cancel(kernel_, second.handle()), AsyncResult::kOk);
  second.WaitForCallbacks();
  EXPECT_EQ(second.status(), kCancelledStatus);
  EXPECT_EQ(Cancel(kernel_, second.handle()), AsyncResult::kTooLate) << "it has ended";
  EXPECT_EQ(third.callbacks(), 0U);
  token.Resume();
  first.WaitForCallbacks();
  third.WaitForCallbacks();
  EXPECT_EQ(first.status(), 1);
  EXPECT_EQ(third.status(), 3);
  kernel_.Stop();
  EXPECT_EQ(second.callbacks(), 1U);
}

// Goal: a call that is cancelled between its acceptance and its place in the strand, where a
// suspended call is before it, waits for no other call either. Method: the submitting thread itself
// cancels, at the trace event of the acceptance.
TEST_P(RecallTest, CallOnItsWayToTheStrandEndsAtOnce) {
  Strand strand;
  Suspender suspender;
  Caller first(kernel_);
  Caller second(kernel_);
  Caller third(kernel_);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  struct Interruption {
    Kernel& kernel;
    AsyncHandle handle;
    bool recalled = false;
  } interruption{kernel_, second.handle()};
  SetTraceObserver(
      [](void* context, const char* event, std::uint64_t id) {
        auto& self = *static_cast<Interruption*>(context);
        if (std::string_view(event) != "async_accept" || id != self.handle) return;
        self.recalled = Cancel(self.kernel, id) == AsyncResult::kOk;
      },
      &interruption);
  second.Submit(MustNotRun(), {.strand = &strand});
  SetTraceObserver(nullptr, nullptr);
  third.Submit(Completing(3), {.strand = &strand});
  EXPECT_TRUE(interruption.recalled);
  second.WaitForCallbacks();
  EXPECT_EQ(second.status(), kCancelledStatus);
  EXPECT_EQ(third.callbacks(), 0U);
  token.Resume();
  third.WaitForCallbacks();
  EXPECT_EQ(third.status(), 3);
  kernel_.Stop();
  EXPECT_EQ(second.callbacks(), 1U);
}

TEST_P(RecallTest, OnlyAQueuedCallCanBeRecalled) {
  Caller caller(kernel_);
  EXPECT_EQ(Cancel(kernel_, 0), AsyncResult::kInvalidHandle);
  EXPECT_EQ(Cancel(kernel_, caller.handle() + (std::uint64_t{1} << 40)),
            AsyncResult::kInvalidHandle);
  EXPECT_EQ(Cancel(kernel_, caller.handle()), AsyncResult::kNeverSubmitted);
  Suspender suspender;
  caller.Submit(suspender.Suspending(4), {.bound = Executive::Bound::kAlways});
  suspender.WaitForToken();
  EXPECT_EQ(Cancel(kernel_, caller.handle()), AsyncResult::kTooLate);
  suspender.WaitForToken().Resume();
  caller.WaitForCallbacks();
  EXPECT_EQ(caller.status(), 4);
}

TEST_P(RecallTest, TeardownIsBeyondRecallAlsoWhileItWaits) {
  Strand strand;
  Suspender suspender;
  Caller first(kernel_);
  Caller teardown(kernel_);
  ASSERT_EQ(kernel_.contexts().SetWaitLimit(teardown.handle(), 1), AsyncResult::kOk);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  teardown.Submit(Completing(2), {.strand = &strand, .bound = Executive::Bound::kAlways});
  EXPECT_EQ(Cancel(kernel_, teardown.handle()), AsyncResult::kTooLate);
  token.Resume();
  teardown.WaitForCallbacks();
  EXPECT_EQ(teardown.status(), 2);
  kernel_.Stop();  // the last call to complete has left the strand then
}

TEST_P(RecallTest, WaitsNoLongerThanItsLimit) {
  Strand strand;
  Suspender suspender;
  Caller first(kernel_);
  Caller limited(kernel_);
  Caller patient(kernel_);
  ASSERT_EQ(kernel_.contexts().SetWaitLimit(limited.handle(), 2 * kNsPerMs), AsyncResult::kOk);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  limited.Submit(MustNotRun(), {.strand = &strand});
  patient.Submit(Completing(3), {.strand = &strand});
  limited.WaitForCallbacks();
  EXPECT_EQ(limited.status(), kQueueTimeoutStatus);
  EXPECT_EQ(patient.callbacks(), 0U);
  token.Resume();
  patient.WaitForCallbacks();
  EXPECT_EQ(patient.status(), 3);
  kernel_.Stop();
  EXPECT_EQ(limited.callbacks(), 1U);
}

TEST(WaitLimitTest, DefaultHoldsForAllAndAContextCanOptOut) {
  ExecutiveOptions options = MakeOptions(Placement::kInline, 1);
  options.wait_limit_ns = 2 * kNsPerMs;
  options.sample_mask = 0;
  Kernel kernel(options);
  Strand strand;
  Suspender suspender;
  Caller first(kernel);
  Caller limited(kernel);
  Caller patient(kernel);
  // On a busy machine even the first call may wait longer than the limit.
  ASSERT_EQ(kernel.contexts().SetWaitLimit(first.handle(), kNoWaitLimit), AsyncResult::kOk);
  ASSERT_EQ(kernel.contexts().SetWaitLimit(patient.handle(), kNoWaitLimit), AsyncResult::kOk);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  patient.Submit(Completing(3), {.strand = &strand});
  limited.Submit(MustNotRun(), {.strand = &strand});
  limited.WaitForCallbacks();
  EXPECT_EQ(limited.status(), kQueueTimeoutStatus);
  token.Resume();
  patient.WaitForCallbacks();
  EXPECT_EQ(patient.status(), 3);
  const ProcessorStatistics statistics = kernel.processor(0).Statistics();
  const LaneStatistics& lane = statistics.lanes[static_cast<std::size_t>(Lane::kHandshake)];
  EXPECT_EQ(lane.completed, 3U);
  EXPECT_EQ(lane.timed_out, 1U);
  const auto sum = [](const TimeHistogram::Counts& times) {
    const auto& counts = times.calls;
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts) total += count;
    return total;
  };
  EXPECT_EQ(sum(lane.queued_ns), 3U);
  EXPECT_EQ(sum(lane.served_ns), 2U) << "what did not run was not served";
  EXPECT_EQ(sum(lane.notified_ns), 3U);
  kernel.Stop();  // the last call to complete has left the strand then
}

// A call whose limit has passed when its turn comes does not run, however late the timer is.
TEST(WaitLimitTest, LateTimerDoesNotExtendTheLimit) {
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Caller slow(kernel);
  Caller limited(kernel);
  ASSERT_EQ(kernel.contexts().SetWaitLimit(limited.handle(), 1), AsyncResult::kOk);
  Gate entered;
  Gate go_on;
  slow.Submit(Completing(0, [&] {
    entered.Open();
    go_on.Pass();
  }));
  entered.Pass();
  limited.Submit(MustNotRun());
  go_on.Open();
  limited.WaitForCallbacks();
  EXPECT_EQ(limited.status(), kQueueTimeoutStatus);
}

// Goal: one callback for every call, and the request untouched afterwards, whichever comes first:
// the call's turn, the canceller or the timer. Method: all three at once, on strands and without.
TEST_P(RecallTest, RaceOfTurnCancelAndTimer) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 2000;
  Strand strands[2];
  std::atomic<std::uint32_t> ran{0};
  std::atomic<std::uint32_t> ended{0};
  const auto submitter = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      Caller caller(kernel_, round % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
      if (round % 3 == 0) kernel_.contexts().SetWaitLimit(caller.handle(), 1000);
      ASSERT_EQ(caller.Submit(Completing(1, [&ran] { ran.fetch_add(1); }),
                              {.strand = round % 5 == 0 ? nullptr : &strands[thread % 2]}),
                Executive::Admission::kAccepted);
      if (round % 4 != 0) {
        const AsyncResult result = Cancel(kernel_, caller.handle());
        ASSERT_TRUE(result == AsyncResult::kOk || result == AsyncResult::kTooLate);
      }
      caller.WaitForCallbacks();
      const std::int32_t status = caller.status();
      ASSERT_TRUE(status == 1 || status == kCancelledStatus || status == kQueueTimeoutStatus);
      if (status == 1) ended.fetch_add(1);
      ASSERT_EQ(caller.callbacks(), 1U);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(submitter, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran.load(), ended.load());
  kernel_.Stop();
}

}  // namespace
}  // namespace ktlsim::executive
