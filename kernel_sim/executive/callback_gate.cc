#include "kernel_sim/executive/callback_gate.h"

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "kernel_sim/base/clock.h"

namespace ktlsim::executive {
namespace {

// Counted apart, so that callbacks on different threads do not share a cache line.
struct alignas(64) Stripe {
  std::atomic<int> inside{0};
};
constexpr std::size_t kStripes = 32;
constinit std::array<Stripe, kStripes> stripes;
constinit std::atomic<bool> closed{false};

thread_local int depth = 0;
thread_local bool ends_the_process = false;  // has called Close

Stripe& OwnStripe() {
  static constinit std::atomic<std::size_t> next{0};
  thread_local const std::size_t own = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return stripes[own];
}

bool AnyInside() {
  for (const Stripe& stripe : stripes) {
    if (stripe.inside.load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

}  // namespace

bool CallbackGate::Enter() {
  Stripe& stripe = OwnStripe();
  // Sequentially consistent, as in Close: either it sees this callback, or this sees that it is
  // closed.
  stripe.inside.fetch_add(1, std::memory_order_seq_cst);
  if (closed.load(std::memory_order_seq_cst)) {
    stripe.inside.fetch_sub(1, std::memory_order_release);
    return false;
  }
  ++depth;
  return true;
}

void CallbackGate::Leave() {
  --depth;
  OwnStripe().inside.fetch_sub(1, std::memory_order_release);
}

void CallbackGate::Close(std::uint64_t patience_ns) {
  ends_the_process = true;
  closed.store(true, std::memory_order_seq_cst);
  if (depth != 0) return;
  const std::uint64_t until = MonotonicClock::Now() + patience_ns;
  while (AnyInside() && MonotonicClock::Now() < until) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void CallbackGate::AfterForkInChild() {
  for (Stripe& stripe : stripes) stripe.inside.store(0, std::memory_order_relaxed);
  if (depth != 0) OwnStripe().inside.store(depth, std::memory_order_relaxed);
  closed.store(ends_the_process, std::memory_order_seq_cst);
}

}  // namespace ktlsim::executive
