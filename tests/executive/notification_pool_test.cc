// The pool alone: the test itself publishes calls, so that it chooses the times that the pool sees.
#include "kernel_sim/executive/notification_pool.h"

#include <memory>
#include <new>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
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

  // A published call of a new context, whose callback is `what`.
  Request& Publish(std::function<void()> what) {
    told_.push_back(std::make_unique<Told>(Told{std::move(what)}));
    const AsyncHandle handle = contexts_.Create();
    handles_.push_back(handle);
    EXPECT_EQ(contexts_.SetCallback(handle, &NotificationPoolTest::Notify, told_.back().get()),
              AsyncResult::kOk);
    Request* request = nullptr;
    EXPECT_EQ(contexts_.BeginSubmit(handle, true, &request), AsyncResult::kOk);
    contexts_.Accept(*request->context(), false);
    EXPECT_TRUE(contexts_.Publish(*request->context(), 0));
    return *request;
  }
  void TearDown() override {
    for (const AsyncHandle handle : handles_) contexts_.Free(handle);
    EXPECT_EQ(contexts_.live(), 0U);
  }
  struct Counting final : NotificationPool::Owner {
    CallRecord* OnCallbackDue(Request&) override { return nullptr; }
    void OnCallbackEnded(CallRecord*) override { ended.Add(); }
    Counter ended;
  };
  NotificationPool::Owner& CountingOwner() { return owner_; }

  MonotonicClock clock_;
  AsyncContextTable contexts_{clock_};
  std::vector<std::unique_ptr<Told>> told_;
  std::vector<AsyncHandle> handles_;
  Counting owner_;
  Counter& ended_ = owner_.ended;
};

TEST_F(NotificationPoolTest, StartsWithItsMinimumAndEndsEmpty) {
  NotificationPool pool(contexts_, {.threads_min = 3}, CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  EXPECT_EQ(pool.threads(), 3U);
  pool.Stop();
  EXPECT_EQ(pool.threads(), 0U);
  EXPECT_EQ(pool.delivered(), 0U);
}

TEST_F(NotificationPoolTest, DeliversOnceAtPassiveLevelAndThenSaysSo) {
  NotificationPool pool(contexts_, {}, CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
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
  ASSERT_TRUE(pool.Start().ok());
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
  ASSERT_TRUE(pool.Start().ok());
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

// Growth in steps: the test is the keeper, and the clock is its own. However many callbacks block,
// one look brings a thread to each that has waited too long, and to none that has not.
class NotificationPoolGrowthTest : public NotificationPoolTest {
 protected:
  // Starts a thread of the pool, or fails with the error that the test has chosen.
  void Spawn(std::function<void()> body) {
    if (out_of_threads_ != 0) {
      --out_of_threads_;
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    if (out_of_memory_ != 0) {
      --out_of_memory_;
      throw std::bad_alloc();
    }
    std::thread(std::move(body)).detach();
  }
  NotificationPool::Options Stepped(unsigned threads_min, unsigned threads_max) {
    return {.threads_min = threads_min,
            .threads_max = threads_max,
            .keeper = false,
            .clock = &time_,
            .spawn = [this](std::function<void()> body) { Spawn(std::move(body)); }};
  }
  // A callback that blocks until the test opens `release_`.
  Request& PublishBlocking() {
    return Publish([this] {
      entered_.Add();
      release_.Pass();
    });
  }
  void EndWith(NotificationPool& pool, std::uint32_t callbacks) {
    release_.Open();
    pool.Stop();
    EXPECT_EQ(ended_.value(), callbacks);
  }

  FakeClock time_;
  int out_of_threads_ = 0;
  int out_of_memory_ = 0;
  Gate release_;
  Counter entered_;
};

TEST_F(NotificationPoolGrowthTest, OneLookServesAllThatHaveWaitedTooLong) {
  NotificationPool pool(contexts_, Stepped(2, 256), CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  for (int i = 0; i < 200; ++i) pool.Enqueue(PublishBlocking());
  entered_.WaitFor(2);
  const std::uint64_t began = time_.NowNs();
  EXPECT_EQ(pool.Grow(), began + kNsPerMs);  // they have not waited for long
  EXPECT_EQ(pool.threads(), 2U);

  time_.Advance(kNsPerMs / 2);
  Counter told;
  pool.Enqueue(Publish([&] { told.Add(); }));
  EXPECT_EQ(pool.Grow(), began + kNsPerMs);

  // When they have waited for long enough, all 198 get a thread at once; the one that came later
  // gets none yet.
  time_.Advance(kNsPerMs / 2);
  EXPECT_EQ(pool.Grow(), began + kNsPerMs + kNsPerMs / 2);
  EXPECT_EQ(pool.threads(), 200U);
  entered_.WaitFor(200);
  EXPECT_EQ(told.value(), 0U);

  time_.Advance(kNsPerMs / 2);
  EXPECT_EQ(pool.Grow(), NotificationPool::kNever);
  told.WaitFor(1);
  EXPECT_EQ(pool.threads_peak(), 201U);
  EXPECT_EQ(pool.refused_threads(), 0U);
  EndWith(pool, 201);
}

TEST_F(NotificationPoolGrowthTest, GrowsToItsCapAndNoFurther) {
  NotificationPool pool(contexts_, Stepped(1, 20), CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  for (int i = 0; i < 50; ++i) pool.Enqueue(PublishBlocking());
  time_.Advance(kNsPerSecond);
  EXPECT_EQ(pool.Grow(), NotificationPool::kNever);
  EXPECT_EQ(pool.threads(), 20U);
  entered_.WaitFor(20);
  EXPECT_EQ(pool.Grow(), NotificationPool::kNever);
  EXPECT_EQ(pool.threads_peak(), 20U);
  EXPECT_EQ(entered_.value(), 20U);
  EXPECT_EQ(pool.waiting(), 30U);
  EndWith(pool, 50);
}

// An idle thread is woken, and counts as on its way: the pool does not grow for the callback that
// it will take.
TEST_F(NotificationPoolGrowthTest, ThreadsOnTheirWayCount) {
  NotificationPool pool(contexts_, Stepped(3, 8), CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  YieldUntil([&] { return pool.resting() == 3; });
  for (int i = 0; i < 4; ++i) pool.Enqueue(PublishBlocking());
  time_.Advance(kNsPerMs);
  EXPECT_EQ(pool.Grow(), NotificationPool::kNever);
  EXPECT_EQ(pool.threads(), 4U);
  entered_.WaitFor(4);
  EndWith(pool, 4);
}

// The system has no thread, or no memory: the failure is counted, nothing is lost, and the pool
// tries again.
TEST_F(NotificationPoolGrowthTest, ThreadThatCannotBeMadeIsTriedAgain) {
  NotificationPool pool(contexts_, Stepped(1, 8), CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  for (int i = 0; i < 5; ++i) pool.Enqueue(PublishBlocking());
  entered_.WaitFor(1);
  time_.Advance(kNsPerMs);
  out_of_threads_ = 1;
  EXPECT_EQ(pool.Grow(), time_.NowNs() + 10 * kNsPerMs);
  EXPECT_EQ(pool.threads(), 1U);
  EXPECT_EQ(pool.refused_threads(), 1U);
  out_of_memory_ = 1;
  EXPECT_EQ(pool.Grow(), time_.NowNs() + 10 * kNsPerMs);
  EXPECT_EQ(pool.threads(), 1U);
  EXPECT_EQ(pool.refused_threads(), 2U);
  EXPECT_EQ(pool.waiting(), 4U);
  EXPECT_EQ(pool.Grow(), NotificationPool::kNever);
  entered_.WaitFor(5);
  EXPECT_EQ(pool.threads(), 5U);
  EndWith(pool, 5);
}

TEST_F(NotificationPoolGrowthTest, StartNeedsOneThread) {
  NotificationPool pool(contexts_, Stepped(2, 8), CountingOwner());
  out_of_threads_ = 1;
  EXPECT_EQ(pool.Start().ToString(),
            "start the notification threads: Resource temporarily unavailable");
  EXPECT_EQ(pool.threads(), 0U);
  pool.Stop();
  out_of_memory_ = 1;
  EXPECT_EQ(pool.Start().ToString(), "start the notification threads: Cannot allocate memory");
  pool.Stop();
  // The second may be missing: it is made when a callback waits for it.
  unsigned made = 0;
  NotificationPool::Options options = Stepped(2, 8);
  options.spawn = [&](std::function<void()> body) {
    if (++made == 2) throw std::bad_alloc();
    Spawn(std::move(body));
  };
  NotificationPool half(contexts_, options, CountingOwner());
  ASSERT_TRUE(half.Start().ok());
  EXPECT_EQ(half.threads(), 1U);
  for (int i = 0; i < 2; ++i) half.Enqueue(PublishBlocking());
  time_.Advance(kNsPerMs);
  EXPECT_EQ(half.Grow(), NotificationPool::kNever);
  entered_.WaitFor(2);
  EndWith(half, 2);
}

// One callback after the other keeps one thread busy: the other seven threads can end.
TEST_F(NotificationPoolTest, TheThreadThatRestedLastWorksFirst) {
  NotificationPool pool(contexts_, {.threads_min = 8, .threads_max = 8}, CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
  std::set<std::thread::id> threads;
  for (std::uint32_t i = 1; i <= 100; ++i) {
    YieldUntil([&] { return pool.resting() == 8; });
    pool.Enqueue(Publish([&] { threads.insert(std::this_thread::get_id()); }));
    ended_.WaitFor(i);
  }
  pool.Stop();
  EXPECT_EQ(threads.size(), 1U);
}

// Threads that come and go all the time while work arrives: nothing is forgotten.
TEST_F(NotificationPoolTest, LosesNothingWhileThreadsEnd) {
  NotificationPool pool(contexts_,
                        {.threads_min = 1, .threads_max = 6, .patience_ns = 1, .idle_ns = 1},
                        CountingOwner());
  ASSERT_TRUE(pool.Start().ok());
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
    ASSERT_TRUE(pool.Start().ok());
    pool.Enqueue(Publish([] {}));
    ended_.WaitFor(round);
    pool.Stop();
    EXPECT_EQ(pool.threads(), 0U);
  }
}

}  // namespace
}  // namespace ktlsim::executive
