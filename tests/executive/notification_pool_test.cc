// The pool alone: the test publishes, so that it can choose the pool's times.
#include "kernel_sim/executive/notification_pool.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

class NotificationPoolTest : public testing::Test {
 protected:
  struct Told {
    std::function<void()> what;
  };

  static void Notify(_SspiAsyncContext*, void* data) { static_cast<Told*>(data)->what(); }

  // A published call of a new context that owes `what` as its callback.
  Request& Publish(std::function<void()> what) {
    told_.push_back(std::make_unique<Told>(Told{std::move(what)}));
    const AsyncHandle handle = contexts_.Create();
    handles_.push_back(handle);
    EXPECT_EQ(contexts_.SetCallback(handle, &NotificationPoolTest::Notify, told_.back().get()),
              AsyncResult::kOk);
    Request* request = nullptr;
    EXPECT_EQ(contexts_.BeginSubmit(handle, true, &request), AsyncResult::kOk);
    contexts_.Accept(SlotOf(*request), false);
    EXPECT_TRUE(contexts_.Publish(SlotOf(*request), 0));
    return *request;
  }
  void TearDown() override {
    for (const AsyncHandle handle : handles_) contexts_.Free(handle);
    EXPECT_EQ(contexts_.live(), 0U);
  }
  NotificationPool::Owner CountingOwner() {
    return {[](void*, Request&) {}, [](void* context) { static_cast<Counter*>(context)->Add(); },
            &ended_};
  }

  MonotonicClock clock_;
  AsyncContextTable contexts_{clock_};
  std::vector<std::unique_ptr<Told>> told_;
  std::vector<AsyncHandle> handles_;
  Counter ended_;
};

TEST_F(NotificationPoolTest, StartsWithItsMinimumAndEndsEmpty) {
  NotificationPool pool(contexts_, {.threads_min = 3}, CountingOwner());
  ASSERT_TRUE(pool.Start());
  EXPECT_EQ(pool.threads(), 3U);
  pool.Stop();
  EXPECT_EQ(pool.threads(), 0U);
  EXPECT_EQ(pool.delivered(), 0U);
}

TEST_F(NotificationPoolTest, DeliversOnceAtPassiveLevelAndThenSaysSo) {
  NotificationPool pool(contexts_, {}, CountingOwner());
  ASSERT_TRUE(pool.Start());
  std::atomic<std::uint32_t> delivered{0};
  EXPECT_FALSE(NotificationPool::InCallback());
  for (std::uint32_t i = 1; i <= 500; ++i) {
    pool.Enqueue(Publish([&] {
      EXPECT_EQ(CurrentLevel(), Level::kPassive);
      EXPECT_TRUE(NotificationPool::InCallback());
      delivered.fetch_add(1);
    }));
  }
  ended_.WaitFor(500);
  EXPECT_EQ(delivered.load(), 500U);
  EXPECT_EQ(pool.delivered(), 500U);
  pool.Stop();
  EXPECT_EQ(ended_.value(), 500U);
}

TEST_F(NotificationPoolTest, StopDeliversWhatIsQueued) {
  NotificationPool pool(contexts_, {.threads_min = 1, .threads_max = 1}, CountingOwner());
  ASSERT_TRUE(pool.Start());
  Gate release;
  pool.Enqueue(Publish([&] { release.Pass(); }));
  for (int i = 0; i < 50; ++i) pool.Enqueue(Publish([] {}));
  release.Open();
  pool.Stop();
  EXPECT_EQ(ended_.value(), 51U);
}

TEST_F(NotificationPoolTest, GrowsForBlockedCallbacksAndShrinksWhenIdle) {
  NotificationPool pool(contexts_, {.threads_min = 1, .threads_max = 8, .idle_ns = kNsPerMs},
                        CountingOwner());
  ASSERT_TRUE(pool.Start());
  Gate release;
  Counter entered;
  for (std::uint32_t i = 1; i <= 8; ++i) {
    pool.Enqueue(Publish([&] {
      entered.Add();
      release.Pass();
    }));
  }
  entered.WaitFor(8);
  EXPECT_EQ(pool.threads(), 8U);
  pool.Enqueue(Publish([&] { entered.Add(); }));
  release.Open();
  ended_.WaitFor(9);
  EXPECT_EQ(pool.threads_peak(), 8U);
  YieldUntil([&] { return pool.threads() == 1; });
  // And grows again.
  Gate again;
  for (std::uint32_t i = 1; i <= 4; ++i) {
    pool.Enqueue(Publish([&] {
      entered.Add();
      again.Pass();
    }));
  }
  entered.WaitFor(13);
  again.Open();
  pool.Stop();
  EXPECT_EQ(ended_.value(), 13U);
}

// Threads that come and go all the time while work arrives: nothing is forgotten.
TEST_F(NotificationPoolTest, LosesNothingWhileThreadsEnd) {
  NotificationPool pool(contexts_,
                        {.threads_min = 1, .threads_max = 6, .patience_ns = 1, .idle_ns = 1},
                        CountingOwner());
  ASSERT_TRUE(pool.Start());
  for (std::uint32_t i = 1; i <= 3000; ++i) {
    pool.Enqueue(Publish([] {}));
    if (i % 7 == 0) ended_.WaitFor(i);
  }
  ended_.WaitFor(3000);
  pool.Stop();
  EXPECT_LE(pool.threads_peak(), 6U);
}

TEST_F(NotificationPoolTest, StartsAgainAfterStop) {
  NotificationPool pool(contexts_, {}, CountingOwner());
  for (std::uint32_t round = 1; round <= 3; ++round) {
    ASSERT_TRUE(pool.Start());
    pool.Enqueue(Publish([] {}));
    ended_.WaitFor(round);
    pool.Stop();
    EXPECT_EQ(pool.threads(), 0U);
  }
}

}  // namespace
}  // namespace ktlsim::executive
