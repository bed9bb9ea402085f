// Admission, start and stop: what is accepted completes exactly once, what is refused never.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;
using Bound = Executive::Bound;

class AdmissionTest : public testing::TestWithParam<Shape> {
 protected:
  static ExecutiveOptions Options(std::uint32_t depth) {
    ExecutiveOptions options = MakeOptions(GetParam().placement, GetParam().processors);
    options.queue_depth = depth;
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, AdmissionTest, kEveryShape, kShapeName);

TEST_P(AdmissionTest, EveryCallIsRefusedOrCompletesOnce) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 2500;
  Kernel kernel(Options(8));
  std::atomic<std::uint32_t> accepted{0};
  std::atomic<std::uint32_t> refused{0};
  std::atomic<std::uint32_t> run{0};
  std::vector<std::unique_ptr<Caller>> callers[kThreads];
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kCalls; ++i) {
          auto caller = std::make_unique<Caller>(
              kernel, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
          const Admission admission = caller->Submit(Completing(1, [&run] { run.fetch_add(1); }));
          if (admission == Admission::kAccepted) {
            accepted.fetch_add(1);
            callers[t].push_back(std::move(caller));
          } else {
            EXPECT_EQ(admission, Admission::kQueueFull);
            refused.fetch_add(1);
            EXPECT_EQ(caller->callbacks(), 0U);
          }
        }
      });
    }
  }
  kernel.Stop();
  EXPECT_EQ(accepted.load() + refused.load(), static_cast<std::uint32_t>(kThreads * kCalls));
  EXPECT_EQ(run.load(), accepted.load());
  for (const auto& mine : callers) {
    for (const auto& caller : mine) {
      EXPECT_EQ(caller->callbacks(), 1U);
      EXPECT_EQ(caller->status(), 1);
    }
  }
  const ExecutiveStatistics statistics = kernel.executive().Statistics();
  EXPECT_EQ(statistics.accepted, accepted.load());
  EXPECT_EQ(statistics.refused, refused.load());
  EXPECT_EQ(statistics.completed, accepted.load());
  EXPECT_EQ(statistics.in_flight, 0U);
}

// Method: one request holds a strand, so that exactly `depth` fit.
TEST_P(AdmissionTest, DepthIsExactAndAlwaysIsNeverRefused) {
  constexpr std::size_t kDepth = 8;
  Kernel kernel(Options(kDepth));
  Strand strand;
  Suspender suspender;
  std::vector<std::unique_ptr<Caller>> callers;
  const auto submit = [&](Body body, Bound bound) {
    callers.push_back(std::make_unique<Caller>(kernel));
    return callers.back()->Submit(std::move(body), {.strand = &strand, .bound = bound});
  };
  ASSERT_EQ(submit(suspender.Suspending(0), Bound::kBounded), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  for (std::size_t i = 1; i < kDepth; ++i) {
    ASSERT_EQ(submit(Completing(0), Bound::kBounded), Admission::kAccepted);
  }
  EXPECT_EQ(submit(Completing(0), Bound::kBounded), Admission::kQueueFull);
  callers.pop_back();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(submit(Completing(0), Bound::kAlways), Admission::kAccepted);
  }
  EXPECT_EQ(submit(Completing(0), Bound::kBounded), Admission::kQueueFull);
  callers.pop_back();
  token.Resume();
  for (auto& caller : callers) caller->WaitForCallbacks();
  EXPECT_EQ(submit(Completing(0), Bound::kBounded), Admission::kAccepted);
  kernel.Stop();
  EXPECT_EQ(kernel.executive().Statistics().refused, 2U);
}

// A refused submission leaves the context idle: the same call can be made again.
TEST_P(AdmissionTest, RefusedContextCanSubmitAgain) {
  Kernel kernel(Options(1));
  Strand strand;
  Suspender suspender;
  Caller holder(kernel);
  ASSERT_EQ(holder.Submit(suspender.Suspending(0), {.strand = &strand}), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  Caller caller(kernel);
  auto held = std::make_shared<int>(0);
  EXPECT_EQ(caller.Submit(Completing(3, [held] {}), {.strand = &strand}), Admission::kQueueFull);
  EXPECT_EQ(held.use_count(), 1) << "the refused call has released what it had captured";
  std::int32_t status = 0;
  EXPECT_EQ(kernel.contexts().GetStatus(caller.handle(), &status), AsyncResult::kNeverSubmitted);
  token.Resume();
  holder.WaitForCallbacks();
  EXPECT_EQ(caller.Submit(Completing(3), {.strand = &strand}), Admission::kAccepted);
  caller.WaitForCallbacks();
  kernel.Stop();
  EXPECT_EQ(caller.status(), 3);
  EXPECT_EQ(caller.callbacks(), 1U);
}

TEST_P(AdmissionTest, StopDrainsAndStartWorksAgain) {
  Kernel kernel(Options(4096));
  for (int round = 0; round < 3; ++round) {
    constexpr std::size_t kCalls = 500;
    Strand strand;
    std::vector<std::unique_ptr<Caller>> callers;
    for (std::size_t i = 0; i < kCalls; ++i) {
      callers.push_back(std::make_unique<Caller>(
          kernel, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor));
      const How how{.lane = i % 3 == 0 ? Lane::kRecord : Lane::kHandshake,
                    .strand = i % 5 == 0 ? &strand : nullptr};
      ASSERT_EQ(callers.back()->Submit(Completing(4), how), Admission::kAccepted);
    }
    kernel.Stop();
    for (auto& caller : callers) {
      EXPECT_EQ(caller->callbacks(), 1U) << "no callback is owed when Stop returns";
      EXPECT_EQ(caller->status(), 4);
    }
    Caller late(kernel);
    EXPECT_EQ(late.Submit(Completing(0)), Admission::kStopping);
    EXPECT_EQ(late.Submit(Completing(0), {.bound = Bound::kAlways}), Admission::kStopping);
    EXPECT_EQ(late.callbacks(), 0U);
    kernel.Start(Options(4096));
  }
}

// Stop waits for suspended calls, and for callbacks that have not returned.
TEST_P(AdmissionTest, StopWaitsForSuspendedCallsAndRunningCallbacks) {
  Kernel kernel(Options(4096));
  Suspender suspender;
  Gate release;
  Gate entered;
  std::atomic<bool> stopped{false};
  std::atomic<int> ended{0};
  Caller suspended(kernel, NotifyMode::kPool, [&](AsyncHandle) {
    EXPECT_FALSE(stopped.load());
    ended.fetch_add(1);
  });
  Caller blocked(kernel, NotifyMode::kPool, [&](AsyncHandle) {
    entered.Open();
    release.Pass();
    EXPECT_FALSE(stopped.load());
    ended.fetch_add(1);
  });
  ASSERT_EQ(suspended.Submit(suspender.Suspending(0)), Admission::kAccepted);
  ASSERT_EQ(blocked.Submit(Completing(0)), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  entered.Pass();
  std::jthread stopper([&] {
    kernel.Stop();
    stopped.store(true);
  });
  // Stop has begun when a submission is refused.
  Caller probe(kernel);
  std::uint32_t accepted = 0;
  for (; probe.Submit(Completing(0)) == Admission::kAccepted; ++accepted) {
    probe.WaitForCallbacks(accepted + 1);
    ASSERT_EQ(kernel.contexts().Reinit(probe.handle()), AsyncResult::kOk);
  }
  EXPECT_FALSE(stopped.load());
  token.Resume();
  release.Open();
  stopper.join();
  EXPECT_EQ(ended.load(), 2);
  EXPECT_EQ(probe.callbacks(), accepted);
}

// Goal: no call is lost or reported twice when Stop comes while several threads submit.
TEST_P(AdmissionTest, StopWhileThreadsSubmit) {
  constexpr std::size_t kThreads = 3;
  for (int round = 0; round < 20; ++round) {
    Kernel kernel(Options(64));
    std::vector<std::unique_ptr<Caller>> accepted[kThreads];
    Counter warm;
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint32_t i = 0;; ++i) {
          auto caller = std::make_unique<Caller>(
              kernel, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
          const Admission admission = caller->Submit(Completing(1));
          if (admission == Admission::kStopping) return;
          if (admission == Admission::kAccepted) accepted[t].push_back(std::move(caller));
          if (i == 20) warm.Add();
        }
      });
    }
    warm.WaitFor(kThreads);
    kernel.Stop();
    threads.clear();
    for (const auto& mine : accepted) {
      for (const auto& caller : mine) EXPECT_EQ(caller->callbacks(), 1U);
    }
  }
}

TEST_P(AdmissionTest, SynchronousCallIsRefusedWhenStoppedAndLeavesNothingBehind) {
  struct Held : Object {
    explicit Held(std::atomic<bool>& flag) : destroyed(flag) {}
    ~Held() override { destroyed.store(true); }
    std::atomic<bool>& destroyed;
  };
  Kernel kernel(Options(8));
  kernel.Stop();
  ObjectTable objects;
  std::atomic<bool> destroyed{false};
  std::unique_ptr<Object> object = std::make_unique<Held>(destroyed);
  const ObjectTable::Handle handle = objects.Insert(object);
  Request* request = kernel.contexts().TakeRequest();
  request->Prepare(Lane::kRecord, &RunBody, nullptr, Reference<Object>(objects.Lookup(handle)));
  request->EmplacePayload<Body>(Completing(0));
  EXPECT_FALSE(kernel.executive().SubmitAndWait(*request));
  request->DestroyPayload();
  kernel.contexts().GiveBackRequest(*request);
  Object* closed = nullptr;
  ASSERT_TRUE(objects.Close(handle, &closed));
  closed->Release();
  EXPECT_TRUE(destroyed.load()) << "a request in the free list keeps it alive";
  // If it does, the next user of the request drops that reference, so that the table can be
  // destroyed.
  request = kernel.contexts().TakeRequest();
  request->Prepare(Lane::kRecord, &RunBody, nullptr, {});
  kernel.contexts().GiveBackRequest(*request);
}

// A call holds the owner of its strand until the call is over, and not longer.
TEST_P(AdmissionTest, KeepAliveEndsWithTheCall) {
  struct Connection : Object {
    explicit Connection(Counter& counter) : destroyed(counter) {}
    ~Connection() override { destroyed.Add(); }
    Strand strand;
    Counter& destroyed;
  };
  constexpr std::uint32_t kRounds = 300;
  Kernel kernel(Options(4096));
  ObjectTable objects;
  Counter destroyed;
  for (std::uint32_t i = 1; i <= kRounds; ++i) {
    std::unique_ptr<Object> object = std::make_unique<Connection>(destroyed);
    Strand* strand = &static_cast<Connection*>(object.get())->strand;
    const ObjectTable::Handle handle = objects.Insert(object);
    Caller caller(kernel, i % 2 == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor);
    Request* request = nullptr;
    ASSERT_EQ(kernel.contexts().BeginSubmit(caller.handle(), true, &request), AsyncResult::kOk);
    Object* closed = nullptr;
    ASSERT_TRUE(objects.Close(handle, &closed));
    request->Prepare(Lane::kHandshake, &RunBody, strand, Reference<Object>(closed));
    request->EmplacePayload<Body>(Completing(0));
    ASSERT_EQ(kernel.executive().Submit(*request), Admission::kAccepted);
    caller.WaitForCallbacks();
    destroyed.WaitFor(i);
  }
  kernel.Stop();  // a processor may still be returning the last object's slot
  EXPECT_EQ(objects.live(), 0U);
}

// Nothing is left running when a ring cannot be made, whether it is the first or the last.
TEST(ExecutiveStartTest, FailedRingUndoesTheStart) {
  for (int good = 0; good < 4; ++good) {
    MonotonicClock clock;
    AsyncContextTable contexts(clock);
    Executive executive(contexts);
    ExecutiveOptions options = MakeOptions(Placement::kPool, 2);
    std::atomic<int> made{0};
    options.ring_factory = [&]() -> Result<std::unique_ptr<io::Ring>> {
      if (made.fetch_add(1) == good) return ResourceError("a ring of the test");
      return MakeTestRing();
    };
    const Status status = executive.Start(options);
    EXPECT_FALSE(status.ok());
    EXPECT_STREQ(status.what(), "a ring of the test");
    EXPECT_TRUE(executive.processors().empty());
    // The same executive starts once rings can be made again.
    ASSERT_TRUE(executive.Start(MakeOptions(Placement::kPool, 2)).ok());
    EXPECT_EQ(executive.processors().size(), 4U);
    executive.Stop();
  }
}

TEST(ExecutiveStartTest, ProcessorsGetRolesInTurn) {
  ExecutiveOptions options = MakeOptions(Placement::kPool, 3);
  options.roles = {"server", "client"};
  options.crypto_processors = 1;
  options.pin = true;
  Kernel kernel(options);
  std::vector<std::string> roles;
  for (const auto& processor : kernel.executive().processors()) roles.push_back(processor->role());
  EXPECT_EQ(roles, (std::vector<std::string>{"server", "client", "server", "crypto"}));
  EXPECT_EQ(Processor::Current(), nullptr);
  kernel.RunOn(1, [&] { EXPECT_EQ(Processor::Current(), &kernel.processor(1)); });
}

}  // namespace
}  // namespace ktlsim::executive
