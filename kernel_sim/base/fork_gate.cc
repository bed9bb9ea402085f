#include "kernel_sim/base/fork_gate.h"

#include <array>
#include <atomic>
#include <thread>

namespace ktlsim {
namespace {

// Counted apart, so that processors do not share a cache line.
struct alignas(64) Stripe {
  std::atomic<int> inside{0};
};
constexpr std::size_t kStripes = 32;
constinit std::array<Stripe, kStripes> stripes;
constinit std::atomic<bool> closed{false};

thread_local int depth = 0;

Stripe& OwnStripe() {
  static constinit std::atomic<std::size_t> next{0};
  thread_local const std::size_t own = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return stripes[own];
}

int CountInside() {
  int inside = 0;
  for (const Stripe& stripe : stripes) inside += stripe.inside.load(std::memory_order_seq_cst);
  return inside;
}

}  // namespace

void ForkGate::Enter() {
  if (depth++ != 0) return;
  Stripe& stripe = OwnStripe();
  // Sequentially consistent, as in Close: either it sees this thread, or this sees that it is
  // closed.
  stripe.inside.fetch_add(1, std::memory_order_seq_cst);
  while (closed.load(std::memory_order_seq_cst)) {
    stripe.inside.fetch_sub(1, std::memory_order_release);
    while (closed.load(std::memory_order_acquire)) std::this_thread::yield();
    stripe.inside.fetch_add(1, std::memory_order_seq_cst);
  }
}

void ForkGate::Leave() {
  if (--depth == 0) OwnStripe().inside.fetch_sub(1, std::memory_order_release);
}

void ForkGate::Close() {
  closed.store(true, std::memory_order_seq_cst);
  const int own = depth != 0 ? 1 : 0;
  while (CountInside() != own) std::this_thread::yield();
}

void ForkGate::Open() { closed.store(false, std::memory_order_release); }

void ForkGate::OpenInChild() {
  for (Stripe& stripe : stripes) stripe.inside.store(0, std::memory_order_relaxed);
  if (depth != 0) OwnStripe().inside.store(1, std::memory_order_relaxed);
  Open();
}

}  // namespace ktlsim
