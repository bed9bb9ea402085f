#include "kernel_sim/base/rundown.h"

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"

namespace ktlsim {
namespace {
constexpr std::uint64_t kClosed = 1;
constexpr std::uint64_t kOne = 2;
}  // namespace

Rundown::~Rundown() { KTLSIM_ASSERT(inside() == 0); }

bool Rundown::Enter() {
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  do {
    if ((word & kClosed) != 0) return false;
  } while (!word_.compare_exchange_weak(word, word + kOne, std::memory_order_acq_rel,
                                        std::memory_order_relaxed));
  return true;
}

void Rundown::Leave() {
  const std::uint64_t before = word_.fetch_sub(kOne, std::memory_order_acq_rel);
  KTLSIM_ASSERT(before >= kOne);
  // Only a waiter that has closed can be waiting.
  if (before == (kOne | kClosed)) word_.notify_all();
}

void Rundown::Close() { word_.fetch_or(kClosed, std::memory_order_acq_rel); }

void Rundown::Reopen() {
  KTLSIM_ASSERT(inside() == 0);
  word_.store(0, std::memory_order_release);
}

void Rundown::WaitUntilDrained() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  std::uint64_t word = word_.load(std::memory_order_acquire);
  KTLSIM_ASSERT((word & kClosed) != 0);
  while (word != kClosed) {
    word_.wait(word, std::memory_order_acquire);
    word = word_.load(std::memory_order_acquire);
  }
}

}  // namespace ktlsim
