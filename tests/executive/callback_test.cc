// The callback: where it runs, what it may do, and what the submitter may do meanwhile.
#include <atomic>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;

class CallbackTest : public testing::TestWithParam<std::tuple<Shape, NotifyMode>> {
 protected:
  static Shape shape() { return std::get<0>(GetParam()); }
  static NotifyMode mode() { return std::get<1>(GetParam()); }
  // Enough to meet a race; the first combination runs all repetitions.
  static std::uint32_t Scaled(std::uint32_t count) {
    return shape().placement == Placement::kInline && shape().processors == 1 ? count : count / 20;
  }

  Kernel kernel_{MakeOptions(shape().placement, shape().processors)};
};
INSTANTIATE_TEST_SUITE_P(Shapes, CallbackTest,
                         testing::Combine(kEveryShape, testing::Values(NotifyMode::kPool,
                                                                       NotifyMode::kOnProcessor)),
                         [](const auto& how) {
                           return NameOf(std::get<0>(how.param)) + NameOf(std::get<1>(how.param));
                         });

// Goal: level and thread of a callback whose call was submitted on a processor.
TEST_P(CallbackTest, LevelAndThreadOfAProcessorsCall) {
  const std::size_t submitting = shape().processors - 1;
  bool in_job = false;  // plain: on-processor delivery is on the same thread
  std::thread::id submitter;
  std::atomic<bool> overlapped{false};
  Level level{};
  Processor* processor = nullptr;
  std::thread::id thread;
  Caller caller(kernel_, mode(), [&](AsyncHandle) {
    level = CurrentLevel();
    processor = Processor::Current();
    thread = std::this_thread::get_id();
    if (processor != nullptr && in_job) overlapped.store(true);
  });
  kernel_.RunOn(submitting, [&] {
    submitter = std::this_thread::get_id();
    in_job = true;
    ASSERT_EQ(caller.Submit(Completing(0)), Admission::kAccepted);
    in_job = false;
  });
  caller.WaitForCallbacks();
  EXPECT_FALSE(overlapped.load()) << "inside Submit or inside the job that submitted";
  if (mode() == NotifyMode::kPool) {
    EXPECT_EQ(level, Level::kPassive);
    EXPECT_EQ(processor, nullptr);
    EXPECT_NE(thread, submitter);
  } else {
    EXPECT_EQ(level, Level::kDispatch);
    EXPECT_EQ(processor, &kernel_.processor(submitting));
    EXPECT_EQ(thread, submitter);
  }
}

TEST_P(CallbackTest, LevelAndThreadOfAForeignCall) {
  Level level{};
  Processor* processor = nullptr;
  std::thread::id thread;
  Caller caller(kernel_, mode(), [&](AsyncHandle) {
    level = CurrentLevel();
    processor = Processor::Current();
    thread = std::this_thread::get_id();
  });
  ASSERT_EQ(caller.Submit(Completing(0)), Admission::kAccepted);
  caller.WaitForCallbacks();
  EXPECT_NE(thread, std::this_thread::get_id());
  EXPECT_EQ(level, mode() == NotifyMode::kPool ? Level::kPassive : Level::kDispatch);
  EXPECT_EQ(processor == nullptr, mode() == NotifyMode::kPool);
}

// The plain variable is written in Run and read by the thread that has seen the final status.
TEST_P(CallbackTest, OutputsAreVisibleWithTheStatus) {
  for (std::int32_t i = 1; i <= 300; ++i) {
    int output = 0;
    int output_in_callback = 0;
    Caller caller(kernel_, mode(), [&](AsyncHandle handle) {
      std::int32_t status = 0;
      EXPECT_EQ(kernel_.contexts().GetStatus(handle, &status), AsyncResult::kOk);
      EXPECT_EQ(status, i);
      output_in_callback = output;
    });
    ASSERT_EQ(caller.Submit(Completing(i, [&output, i] { output = i; })), Admission::kAccepted);
    YieldUntil([&] { return caller.status() != -1; });
    EXPECT_EQ(output, i);
    EXPECT_EQ(caller.status(), i);
    caller.WaitForCallbacks();
    EXPECT_EQ(output_in_callback, i);
  }
}

// How a handshake loop is driven: each callback reinitialises and submits the next leg.
TEST_P(CallbackTest, ChainOfResubmissionsFromTheCallback) {
  const std::uint32_t legs = Scaled(100000);
  Strand strand;
  std::uint32_t callbacks = 0;
  std::uint32_t runs = 0;
  Gate ended;
  std::function<void(AsyncHandle)> next = [&](AsyncHandle handle) {
    if (++callbacks == legs) return ended.Open();
    ASSERT_EQ(kernel_.contexts().Reinit(handle), AsyncResult::kOk);
    ASSERT_EQ(SubmitOn(kernel_, handle, Completing(1, [&runs] { ++runs; }), {.strand = &strand}),
              Admission::kAccepted);
  };
  Caller caller(kernel_, mode(), next);
  ASSERT_EQ(caller.Submit(Completing(1, [&runs] { ++runs; }), {.strand = &strand}),
            Admission::kAccepted);
  ended.Pass();
  kernel_.Stop();
  EXPECT_EQ(callbacks, legs);
  EXPECT_EQ(runs, legs);
  EXPECT_EQ(caller.callbacks(), legs);
}

// A callback submits the next context's call, a chain of 1,000: the stack does not grow with it.
TEST_P(CallbackTest, ChainThroughDifferentContexts) {
  constexpr std::size_t kDepth = 1000;
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t i = 0; i < kDepth; ++i) {
    callers.push_back(std::make_unique<Caller>(kernel_, mode(), [&, i](AsyncHandle) {
      if (i + 1 == kDepth) return;
      ASSERT_EQ(callers[i + 1]->Submit(Completing(0)), Admission::kAccepted);
    }));
  }
  ASSERT_EQ(callers[0]->Submit(Completing(0)), Admission::kAccepted);
  callers.back()->WaitForCallbacks();
  kernel_.Stop();
  for (auto& caller : callers) EXPECT_EQ(caller->callbacks(), 1U);
}

// The documented sample: the callback frees the context that its submitter polls. Polling reads a
// freed slot, which must still return the final status.
TEST_P(CallbackTest, FreeInCallbackWhileTheSubmitterPolls) {
  constexpr int kSubmitters = 2;
  const int rounds = static_cast<int>(Scaled(6000));
  AsyncContextTable& contexts = kernel_.contexts();
  struct Freeing {
    AsyncContextTable* contexts;
    std::atomic<std::uint32_t> calls = 0;
  } freeing{.contexts = &contexts};
  const NotifyCallback callback = [](_SspiAsyncContext* context, void* data) {
    auto* what = static_cast<Freeing*>(data);
    what->contexts->Free(reinterpret_cast<AsyncHandle>(context));
    what->calls.fetch_add(1);
  };
  std::atomic<std::uint64_t> polls{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kSubmitters; ++t) {
      threads.emplace_back([&] {
        std::uint64_t polled = 0;
        for (std::int32_t i = 1; i <= rounds; ++i) {
          const AsyncHandle handle = contexts.Create();
          contexts.SetMode(handle, mode());
          contexts.SetCallback(handle, callback, &freeing);
          ASSERT_EQ(SubmitOn(kernel_, handle, Completing(i)), Admission::kAccepted);
          std::int32_t status = 0;
          AsyncResult result;
          while ((result = contexts.GetStatus(handle, &status)) == AsyncResult::kInUse) ++polled;
          ASSERT_EQ(result, AsyncResult::kOk);
          ASSERT_EQ(status, i);
          for (int more = 0; more < 20; ++more) {
            ASSERT_EQ(contexts.GetStatus(handle, &status), AsyncResult::kOk);
            ASSERT_EQ(status, i);
          }
          polled += 20;
        }
        polls.fetch_add(polled);
      });
    }
  }
  kernel_.Stop();
  EXPECT_EQ(freeing.calls.load(), static_cast<std::uint32_t>(kSubmitters * rounds));
  EXPECT_GE(polls.load(), static_cast<std::uint64_t>(20 * kSubmitters * rounds));
  EXPECT_EQ(contexts.live(), 0U);
}

// A blocking loop: the callback wakes the submitter as its last act, and the submitter
// reinitialises and submits the next leg while the callback is still returning.
TEST_P(CallbackTest, WokenWaiterResubmitsWhileTheCallbackUnwinds) {
  const std::uint32_t legs = Scaled(10000);
  Caller caller(kernel_, mode());
  for (std::uint32_t leg = 1; leg <= legs; ++leg) {
    const Body body = Completing(static_cast<std::int32_t>(leg));
    ASSERT_EQ(leg == 1 ? caller.Submit(body) : caller.Resubmit(body), Admission::kAccepted);
    caller.WaitForCallbacks(leg);  // blocks right after submitting
    ASSERT_EQ(caller.status(), static_cast<std::int32_t>(leg));
  }
  kernel_.Stop();
  EXPECT_EQ(caller.callbacks(), legs);
}

// The same, but the woken submitter frees the context: nothing of it may be touched afterwards.
TEST_P(CallbackTest, WokenWaiterFreesWhileTheCallbackUnwinds) {
  const std::uint32_t rounds = Scaled(10000);
  for (std::uint32_t i = 0; i < rounds; ++i) {
    Caller caller(kernel_, mode());
    ASSERT_EQ(caller.Submit(Completing(1)), Admission::kAccepted);
    caller.WaitForCallbacks();
  }
  kernel_.Stop();
  EXPECT_EQ(kernel_.contexts().live(), 0U);
}

// Freed in flight, which is misuse: exactly one callback comes all the same.
TEST_P(CallbackTest, OrphansAreToldOnce) {
  constexpr std::uint32_t kRounds = 500;
  struct Told {
    AsyncContextTable* contexts;
    Counter calls = {};
  } told{.contexts = &kernel_.contexts()};
  for (std::uint32_t i = 0; i < kRounds; ++i) {
    const AsyncHandle handle = kernel_.contexts().Create();
    kernel_.contexts().SetMode(handle, mode());
    kernel_.contexts().SetCallback(
        handle,
        [](_SspiAsyncContext* context, void* data) {
          auto* what = static_cast<Told*>(data);
          std::int32_t status = 0;
          const auto mine = reinterpret_cast<AsyncHandle>(context);
          EXPECT_EQ(what->contexts->GetStatus(mine, &status), AsyncResult::kOk);
          EXPECT_EQ(status, 77);
          what->contexts->Free(mine);
          what->calls.Add();
        },
        &told);
    ASSERT_EQ(SubmitOn(kernel_, handle, Completing(77)), Admission::kAccepted);
    kernel_.contexts().Free(handle);
  }
  told.calls.WaitFor(kRounds);
  kernel_.Stop();
  EXPECT_EQ(told.calls.value(), kRounds);
  EXPECT_EQ(kernel_.contexts().live(), 0U);
}

// The documented Delete: no callback, freed right after the submission.
TEST_P(CallbackTest, DeletePatternWithoutCallback) {
  constexpr int kRounds = 2000;
  int runs = 0;
  Strand strand;
  for (int i = 0; i < kRounds; ++i) {
    const AsyncHandle handle = kernel_.contexts().Create();
    ASSERT_EQ(SubmitOn(kernel_, handle, Completing(0, [&runs] { ++runs; }),
                       {.strand = &strand, .bound = Executive::Bound::kAlways}),
              Admission::kAccepted);
    kernel_.contexts().Free(handle);
  }
  kernel_.Stop();
  EXPECT_EQ(runs, kRounds);
  EXPECT_EQ(kernel_.contexts().live(), 0U);
}

}  // namespace
}  // namespace ktlsim::executive
