// Order: first in, first out and one at a time on a strand, side by side on different ones, records
// before handshakes.
#include "kernel_sim/executive/strand.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;

TEST(StrandTest, OneIsInOthersWaitInOrder) {
  Strand strand;
  Request requests[4];
  EXPECT_EQ(strand.Enter(requests[0]), Strand::Entry::kFirst);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(strand.Enter(requests[i]), Strand::Entry::kWaits);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(strand.Leave(), &requests[i]);
  EXPECT_EQ(strand.Leave(), nullptr);
  EXPECT_EQ(strand.Enter(requests[2]), Strand::Entry::kFirst);
  EXPECT_EQ(strand.Leave(), nullptr);
}

using StrandOrderTest = ShapeTest;
INSTANTIATE_TEST_SUITE_P(Shapes, StrandOrderTest, kEveryShape, kShapeName);

TEST_P(StrandOrderTest, RunsAtDispatchLevelOnAProcessor) {
  Caller caller(kernel_);
  Level level = Level::kPassive;
  Processor* processor = nullptr;
  ASSERT_EQ(caller.Submit(Completing(0,
                                     [&] {
                                       level = CurrentLevel();
                                       processor = Processor::Current();
                                     })),
            Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_EQ(level, Level::kDispatch);
  ASSERT_NE(processor, nullptr);
  EXPECT_EQ(processor->role(), GetParam().placement == Placement::kPool ? "crypto" : "io");
}

// Goal: requests of two submitting threads on one strand never overlap, and those of each thread
// run in its order. The plain variables are the proof under the thread sanitizer.
TEST_P(StrandOrderTest, FirstInFirstOutWithTwoSubmitters) {
  constexpr int kThreads = 2;
  constexpr int kCalls = 1500;
  Strand strand;
  int next[kThreads] = {};
  bool inside = false;
  int run = 0;
  std::vector<std::unique_ptr<Caller>> callers;
  callers.reserve(kThreads * kCalls);
  for (int i = 0; i < kThreads * kCalls; ++i) {
    callers.push_back(std::make_unique<Caller>(kernel_, NotifyMode::kOnProcessor));
  }
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kCalls; ++i) {
          Body body = Completing(i, [&, t, i] {
            EXPECT_FALSE(inside);
            inside = true;
            EXPECT_EQ(next[t]++, i);
            ++run;
            inside = false;
          });
          const How how{.lane = i % 3 == 0 ? Lane::kHandshake : Lane::kRecord, .strand = &strand};
          ASSERT_EQ(callers[static_cast<std::size_t>(t * kCalls + i)]->Submit(body, how),
                    Admission::kAccepted);
        }
      });
    }
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  EXPECT_EQ(run, kThreads * kCalls);
  for (auto& caller : callers) EXPECT_EQ(caller->callbacks(), 1U);
}

TEST_P(StrandOrderTest, ManyStrandsKeepTheirOrderApart) {
  constexpr int kStrands = 8;
  constexpr int kCalls = 200;
  Strand strands[kStrands];
  std::vector<int> ran[kStrands];
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < kCalls; ++i) {
    for (int s = 0; s < kStrands; ++s) {
      callers.push_back(std::make_unique<Caller>(kernel_));
      ASSERT_EQ(callers.back()->Submit(Completing(0, [&ran, s, i] { ran[s].push_back(i); }),
                                       {.strand = &strands[s]}),
                Admission::kAccepted);
    }
  }
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel_.Stop();
  for (const std::vector<int>& order : ran) {
    ASSERT_EQ(order.size(), static_cast<std::size_t>(kCalls));
    for (int i = 0; i < kCalls; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
}

// Two requests that wait for each other: this ends only if they run at the same time.
TEST(StrandConcurrencyTest, DifferentStrandsRunAtOnce) {
  for (const Placement placement : {Placement::kInline, Placement::kPool}) {
    Kernel kernel(MakeOptions(placement, 2));
    Strand strands[2];
    std::latch both(2);
    Caller first(kernel);
    Caller second(kernel);
    const Body body = Completing(0, [&] { both.arrive_and_wait(); });
    ASSERT_EQ(first.Submit(body, {.strand = &strands[0]}), Admission::kAccepted);
    ASSERT_EQ(second.Submit(body, {.strand = &strands[1]}), Admission::kAccepted);
    first.WaitForCallbacks();
    second.WaitForCallbacks();
    kernel.Stop();
  }
}

// A strand stays where its first request ran, whichever thread submits.
TEST(StrandHomeTest, StaysWhereItStarted) {
  Kernel kernel(MakeOptions(Placement::kInline, 2));
  Strand strand;
  std::vector<unsigned> where;
  Caller caller(kernel);
  const Body body = Completing(0, [&] { where.push_back(Processor::Current()->index()); });
  kernel.RunOn(1,
               [&] { EXPECT_EQ(caller.Submit(body, {.strand = &strand}), Admission::kAccepted); });
  caller.WaitForCallbacks(1);
  for (std::uint32_t i = 0; i < 4; ++i) {
    ASSERT_EQ(caller.Resubmit(body, {.strand = &strand}), Admission::kAccepted);
    caller.WaitForCallbacks(2 + i);
  }
  kernel.RunOn(
      0, [&] { EXPECT_EQ(caller.Resubmit(body, {.strand = &strand}), Admission::kAccepted); });
  caller.WaitForCallbacks(6);
  kernel.Stop();
  EXPECT_EQ(where, std::vector<unsigned>(6, 1));
}

// Under kPool a context handshakes on a crypto processor and then lives with its submitter.
TEST(StrandHomeTest, MovesOnceWhenTheHandshakeEnds) {
  Kernel kernel(MakeOptions(Placement::kPool, 2));
  Strand strand;
  std::vector<std::string> roles;
  std::vector<unsigned> where;
  Caller caller(kernel);
  const auto body = [&](bool last) -> Body {
    return [&, last](Request& request) {
      roles.push_back(Processor::Current()->role());
      where.push_back(Processor::Current()->index());
      if (last) kernel.executive().MoveHome(request);
      return RunResult::kCompleted;
    };
  };
  kernel.RunOn(1, [&] { caller.Submit(body(false), {.strand = &strand}); });
  caller.WaitForCallbacks(1);
  kernel.RunOn(1, [&] { caller.Resubmit(body(true), {.strand = &strand}); });
  caller.WaitForCallbacks(2);
  for (std::uint32_t i = 0; i < 3; ++i) {
    caller.Resubmit(body(true), {.lane = Lane::kRecord, .strand = &strand});
    caller.WaitForCallbacks(3 + i);
  }
  kernel.Stop();
  EXPECT_EQ(roles, (std::vector<std::string>{"crypto", "crypto", "io", "io", "io"}));
  EXPECT_EQ(where[0], where[1]);
  EXPECT_EQ(where[2], 1U) << "the processor that submitted the last leg";
}

// A handshake that a thread outside the library drives from on-processor callbacks. They run on the
// crypto processor, since no processor has submitted the first leg. The records must not stay
// there.
TEST(StrandHomeTest, LeavesTheCryptoProcessorAlsoWhenDrivenFromThere) {
  Kernel kernel(MakeOptions(Placement::kPool, 1));
  Strand strand;
  std::string role;
  AsyncContextTable& contexts = kernel.contexts();
  int leg = 0;
  Caller caller(kernel, NotifyMode::kOnProcessor, [&](AsyncHandle handle) {
    ++leg;
    if (leg == 3) return;
    ASSERT_EQ(contexts.Reinit(handle), AsyncResult::kOk);
    if (leg == 1) {
      SubmitOn(kernel, handle,
               [&](Request& request) {
                 kernel.executive().MoveHome(request);
                 return RunResult::kCompleted;
               },
               {.strand = &strand});
    } else {
      SubmitOn(kernel, handle, Completing(0, [&] { role = Processor::Current()->role(); }),
               {.lane = Lane::kRecord, .strand = &strand});
    }
  });
  ASSERT_EQ(caller.Submit(Completing(0), {.strand = &strand}), Admission::kAccepted);
  caller.WaitForCallbacks(3);
  kernel.Stop();
  EXPECT_EQ(role, "io");
}

// The order in which calls run that were queued in the order of `queued`: a gate holds the
// processor until all are in its queue.
std::vector<Lane> RunInOrder(const std::vector<Lane>& queued) {
  Kernel kernel(MakeOptions(Placement::kInline, 1));
  Gate gate;
  std::vector<Lane> order;
  Caller holder(kernel);
  EXPECT_EQ(holder.Submit(Completing(0, [&] { gate.Pass(); })), Admission::kAccepted);
  std::vector<std::unique_ptr<Caller>> callers;
  for (const Lane lane : queued) {
    callers.push_back(std::make_unique<Caller>(kernel));
    EXPECT_EQ(callers.back()->Submit(Completing(0, [&order, lane] { order.push_back(lane); }),
                                     {.lane = lane}),
              Admission::kAccepted);
  }
  gate.Open();
  for (auto& caller : callers) caller->WaitForCallbacks();
  kernel.Stop();
  EXPECT_EQ(order.size(), queued.size());
  return order;
}

// A record that comes last is served before many handshakes that wait.
TEST(LaneTest, RecordOvertakesQueuedHandshakes) {
  std::vector<Lane> queued(200, Lane::kHandshake);
  queued.push_back(Lane::kRecord);
  EXPECT_EQ(RunInOrder(queued).front(), Lane::kRecord);
}

// Conversely, records do not starve a handshake.
TEST(LaneTest, HandshakeAdvancesBesideRecords) {
  std::vector<Lane> queued(2000, Lane::kRecord);
  queued.push_back(Lane::kHandshake);
  const std::vector<Lane> order = RunInOrder(queued);
  const auto handshake = std::ranges::find(order, Lane::kHandshake);
  EXPECT_LT(handshake - order.begin(), 200);
}

}  // namespace
}  // namespace ktlsim::executive
