// What does a timer cost that expires, among `armed` others?
//
// BM_TimerExpire: started, expired and called, one after the other, while the others wait. Its
// floor is BM_HeapExpire: a number pushed to and popped from a heap of as many.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include <benchmark/benchmark.h>

#include "io/timer_wheel.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::io {
namespace {

// From a second on, like limits of connections.
std::uint64_t LaterNs(std::size_t number) { return kNsPerSecond + number * 7919 * kNsPerUs; }

struct Counting final : Timer {
  void OnTimer() override { ++calls; }
  std::uint64_t calls = 0;
};

void BM_TimerExpire(benchmark::State& state) {
  std::uint64_t now_ns = kNsPerMs;
  TimerWheel wheel(now_ns);
  const auto armed = static_cast<std::size_t>(state.range(0));
  const auto others = std::make_unique<Counting[]>(armed);
  for (std::size_t i = 0; i < armed; ++i) wheel.Start(others[i], UINT64_MAX / 2 + LaterNs(i));
  Counting timer;
  for (auto _ : state) {
    wheel.Start(timer, now_ns + 2 * kNsPerMs);
    now_ns += 3 * kNsPerMs;
    if (wheel.Expire(now_ns) != 1) {
      state.SkipWithError("not expired");
      break;
    }
  }
  wheel.Stop(timer);
  for (std::size_t i = 0; i < armed; ++i) wheel.Stop(others[i]);
}
BENCHMARK(BM_TimerExpire)->ArgName("armed")->Arg(1)->Arg(10000);

void BM_HeapExpire(benchmark::State& state) {
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap;
  const auto armed = static_cast<std::size_t>(state.range(0));
  for (std::size_t i = 0; i < armed; ++i) heap.push(UINT64_MAX / 2 + LaterNs(i));
  std::uint64_t now_ns = kNsPerMs;
  for (auto _ : state) {
    heap.push(now_ns += 2 * kNsPerMs);
    benchmark::DoNotOptimize(heap.top());
    heap.pop();
  }
}
BENCHMARK(BM_HeapExpire)->ArgName("armed")->Arg(1)->Arg(10000);

}  // namespace
}  // namespace ktlsim::io
