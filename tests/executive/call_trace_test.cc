// The records of traced calls: every stage with its time, whoever runs and notifies; none lost,
// none kept.
#include "kernel_sim/base/call_trace.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

std::vector<CallRecord> Finished(CallTrace& trace) {
  std::vector<CallRecord> records;
  CallTrace::Taken taken(trace);
  trace.TakeFinished(&taken);
  taken.ForEach([&records](const CallRecord& record) { records.push_back(record); });
  return records;
}

class Tracing {
 public:
  explicit Tracing(std::uint32_t sample) : trace_(sample, 2) { CallTrace::Use(&trace_); }
  ~Tracing() { CallTrace::Use(nullptr); }
  CallTrace& trace() { return trace_; }

 private:
  CallTrace trace_;
};

TEST(CallTraceTest, ARecordHasTheStagesOfItsCallInOrder) {
  for (const Shape& shape : kShapes) {
    for (const NotifyMode mode : {NotifyMode::kPool, NotifyMode::kOnProcessor}) {
      Tracing tracing(1);
      Kernel kernel(MakeOptions(shape.placement, shape.processors));
      Strand strand;
      Caller caller(kernel, mode);
      caller.Submit(Completing(7), {.lane = Lane::kRecord, .strand = &strand});
      caller.WaitForCallbacks();
      kernel.Stop();
      const std::vector<CallRecord> records = Finished(tracing.trace());
      ASSERT_EQ(records.size(), 1U) << NameOf(shape);
      const CallRecord& record = records[0];
      EXPECT_GT(record.accepted_ns, 0U);
      EXPECT_GE(record.started_ns, record.accepted_ns);
      EXPECT_GE(record.published_ns, record.started_ns);
      EXPECT_GE(record.callback_ns, record.published_ns);
      EXPECT_GE(record.ended_ns, record.callback_ns);
      EXPECT_EQ(record.async_context, caller.handle());
      EXPECT_EQ(record.order, &strand);
      EXPECT_STREQ(record.lane, "record");
      EXPECT_EQ(record.status, 7);
      EXPECT_EQ(record.submitter, CallRecord::kForeign);
      EXPECT_EQ(record.on_processor, mode == NotifyMode::kOnProcessor) << NameOf(shape);
    }
  }
}

TEST(CallTraceTest, ACancelledCallHasNoService) {
  Tracing tracing(1);
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Strand strand;
  Suspender suspender;
  Caller first(kernel);
  Caller second(kernel);
  first.Submit(suspender.Suspending(1), {.strand = &strand});
  ResumeToken token = suspender.WaitForToken();
  second.Submit(Completing(2), {.strand = &strand});
  Request* request = nullptr;
  ASSERT_EQ(kernel.contexts().Recall(second.handle(), &request), AsyncResult::kOk);
  kernel.executive().EndRecall(*request);
  second.WaitForCallbacks();
  token.Resume();
  first.WaitForCallbacks();
  kernel.Stop();
  const std::vector<CallRecord> records = Finished(tracing.trace());
  ASSERT_EQ(records.size(), 2U);
  for (const CallRecord& record : records) {
    const bool cancelled = record.async_context == second.handle();
    EXPECT_EQ(record.started_ns == 0, cancelled);
    EXPECT_EQ(record.status, cancelled ? kCancelledStatus : 1);
    EXPECT_GE(record.ended_ns, record.published_ns);
  }
}

TEST(CallTraceTest, OneCallInSoManyOfAThreadIsRecorded) {
  Tracing tracing(10);
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Caller caller(kernel);
  for (std::uint32_t i = 0; i < 110; ++i) {
    if (i == 0) {
      caller.Submit(Completing(1));
    } else {
      caller.Resubmit(Completing(1));
    }
    caller.WaitForCallbacks(i + 1);
  }
  kernel.Stop();
  EXPECT_EQ(Finished(tracing.trace()).size(), 11U);
  EXPECT_EQ(tracing.trace().dropped(), 0U);
}

TEST(CallTraceTest, WithoutAFreeRecordACallIsCountedAndGoesOn) {
  constexpr std::uint32_t kCalls = CallTrace::kRecordsOfShelf + 100;
  CallTrace trace(1, 1);
  CallTrace::Use(&trace);
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Caller caller(kernel);
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    if (i == 0) {
      caller.Submit(Completing(1));
    } else {
      caller.Resubmit(Completing(1));
    }
    caller.WaitForCallbacks(i + 1);
  }
  kernel.Stop();
  CallTrace::Use(nullptr);
  EXPECT_EQ(trace.dropped(), 100U);
  EXPECT_EQ(Finished(trace).size(), CallTrace::kRecordsOfShelf);
  EXPECT_EQ(Finished(trace).size(), 0U) << "they are taken once";
  CallRecord* const free_again = trace.Take(0);
  ASSERT_NE(free_again, nullptr);
  trace.Finish(*free_again);
  EXPECT_EQ(Finished(trace).size(), 1U);
}

TEST(CallTraceTest, NothingIsRecordedAfterTheEndOfSamplingAndWithoutATrace) {
  Tracing tracing(1);
  tracing.trace().StopSampling();
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Caller caller(kernel);
  caller.Submit(Completing(1));
  caller.WaitForCallbacks();
  kernel.Stop();
  EXPECT_EQ(Finished(tracing.trace()).size(), 0U);
  CallTrace::Use(nullptr);
  kernel.Start(MakeOptions(Placement::kInline, 1));
  caller.Resubmit(Completing(1));
  caller.WaitForCallbacks(2);
  kernel.Stop();
  EXPECT_EQ(Finished(tracing.trace()).size(), 0U);
}

}  // namespace
}  // namespace ktlsim::executive
