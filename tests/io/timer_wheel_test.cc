#include "io/timer_wheel.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"

namespace ktlsim::io {
namespace {

class Recorder : public Timer {
 public:
  void OnTimer() override {
    EXPECT_FALSE(armed());
    ++calls;
    if (action) action();
  }
  int calls = 0;
  std::function<void()> action;
};

TEST(TimerWheelTest, FiresNeverEarlyAndExactly) {
  constexpr std::uint64_t kStart = 123456789;
  for (std::uint64_t distance :
       {std::uint64_t{1}, kNsPerMs - 1, kNsPerMs, 63 * kNsPerMs, 64 * kNsPerMs, 70 * kNsPerMs,
        10 * kNsPerSecond, 3600 * kNsPerSecond, 400 * 86400 * kNsPerSecond}) {
    TimerWheel wheel(kStart);
    Recorder timer;
    wheel.Start(timer, kStart + distance);
    EXPECT_EQ(wheel.NextDeadlineNs(), kStart + distance);
    EXPECT_EQ(wheel.Expire(kStart + distance - 1), 0u);
    EXPECT_EQ(wheel.NextDeadlineNs(), kStart + distance);
    EXPECT_EQ(wheel.Expire(kStart + distance), 1u) << distance;
    EXPECT_EQ(wheel.NextDeadlineNs(), TimerWheel::kNever);
  }
}

TEST(TimerWheelTest, PastDeadlineFiresAtTheNextExpire) {
  TimerWheel wheel(kNsPerSecond);
  Recorder timer;
  wheel.Start(timer, 5);
  EXPECT_EQ(wheel.NextDeadlineNs(), 5u);
  EXPECT_EQ(wheel.Expire(kNsPerSecond), 1u);
}

TEST(TimerWheelTest, TheFarthestDeadlineHasAPlace) {
  TimerWheel wheel(0);
  Recorder timer;
  wheel.Start(timer, TimerWheel::kNever - 1);
  EXPECT_EQ(wheel.NextDeadlineNs(), TimerWheel::kNever - 1);
  EXPECT_EQ(wheel.Expire(TimerWheel::kNever - 2), 0u);
  EXPECT_EQ(wheel.Expire(TimerWheel::kNever - 1), 1u);
}

TEST(TimerWheelTest, FiresInOrderOfDeadlinesAndOfStartsWhenEqual) {
  TimerWheel wheel(0);
  std::vector<int> order;
  std::vector<std::unique_ptr<Recorder>> timers;
  const std::uint64_t deadlines[] = {500, 100, 300, 100, 80 * kNsPerMs, 2 * kNsPerMs, 100};
  for (int i = 0; i < 7; ++i) {
    timers.push_back(std::make_unique<Recorder>());
    timers.back()->action = [&order, i] { order.push_back(i); };
    wheel.Start(*timers.back(), deadlines[i]);
  }
  EXPECT_EQ(wheel.Expire(kNsPerSecond), 7u);
  EXPECT_EQ(order, (std::vector<int>{1, 3, 6, 2, 0, 5, 4}));
}

TEST(TimerWheelTest, StartMovesAnArmedTimer) {
  TimerWheel wheel(0);
  Recorder timer;
  wheel.Start(timer, 10);
  wheel.Start(timer, kNsPerSecond);
  EXPECT_EQ(wheel.armed(), 1u);
  EXPECT_EQ(wheel.NextDeadlineNs(), kNsPerSecond);
  EXPECT_EQ(wheel.Expire(kNsPerSecond - 1), 0u);
  wheel.Stop(timer);
  wheel.Stop(timer);
  EXPECT_EQ(wheel.armed(), 0u);
  EXPECT_EQ(wheel.Expire(2 * kNsPerSecond), 0u);
}

TEST(TimerWheelTest, HandlersStopAndStartOthersThatAreDueToo) {
  TimerWheel wheel(0);
  Recorder first;
  Recorder stopped;
  Recorder moved;
  Recorder again;
  first.action = [&] {
    wheel.Stop(stopped);
    wheel.Start(moved, 5);  // due, but started meanwhile: the next Expire
    wheel.Start(first, 1);  // itself, in the past
  };
  again.action = [&] { wheel.Start(again, 100 * kNsPerMs); };
  wheel.Start(first, 1);
  wheel.Start(stopped, 2);
  wheel.Start(moved, 3);
  wheel.Start(again, 4);
  EXPECT_EQ(wheel.Expire(kNsPerMs), 2u);
  EXPECT_EQ(stopped.calls, 0);
  EXPECT_EQ(moved.calls, 0);
  EXPECT_EQ(again.calls, 1);
  EXPECT_EQ(wheel.NextDeadlineNs(), 1u);
  first.action = nullptr;
  EXPECT_EQ(wheel.Expire(kNsPerMs), 2u);
  EXPECT_EQ(moved.calls, 1);
  EXPECT_EQ(wheel.NextDeadlineNs(), 100 * kNsPerMs);
  wheel.Stop(again);
}

TEST(TimerWheelTest, HandlerMayDestroyItsTimer) {
  TimerWheel wheel(0);
  auto timer = std::make_unique<Recorder>();
  timer->action = [&] { timer.reset(); };
  wheel.Start(*timer, 1);
  EXPECT_EQ(wheel.Expire(1), 1u);
  EXPECT_EQ(timer, nullptr);
}

// A plain list of deadlines is the oracle: random starts, moves, stops and steps of time.
TEST(TimerWheelTest, AgreesWithAPlainListOverRandomSchedules) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::uint64_t now = random() % kNsPerSecond;
    TimerWheel wheel(now);
    constexpr std::size_t kTimers = 60;
    std::vector<std::unique_ptr<Recorder>> timers;
    std::vector<std::uint64_t> deadlines(kTimers, TimerWheel::kNever);
    for (std::size_t i = 0; i < kTimers; ++i) {
      timers.push_back(std::make_unique<Recorder>());
      timers[i]->action = [&, i] {
        EXPECT_LE(deadlines[i], now);
        EXPECT_EQ(deadlines[i], *std::min_element(deadlines.begin(), deadlines.end()));
        deadlines[i] = TimerWheel::kNever;
      };
    }
    for (int step = 0; step < 4000; ++step) {
      const std::size_t i = random() % kTimers;
      switch (random() % 4) {
        case 0:
        case 1:
          deadlines[i] = now + (random() >> (random() % 34 + 20)) % (100 * kNsPerSecond);
          wheel.Start(*timers[i], deadlines[i]);
          break;
        case 2:
          deadlines[i] = TimerWheel::kNever;
          wheel.Stop(*timers[i]);
          break;
        default:
          now += random() % (random() % 8 == 0 ? 9 * kNsPerSecond : 3 * kNsPerMs);
          wheel.Expire(now);
          break;
      }
      const std::uint64_t earliest = *std::min_element(deadlines.begin(), deadlines.end());
      ASSERT_EQ(wheel.NextDeadlineNs(), earliest) << "step " << step;
      if (step % 7 == 0) wheel.Expire(now);
    }
    for (auto& timer : timers) wheel.Stop(*timer);
  }
}

}  // namespace
}  // namespace ktlsim::io
