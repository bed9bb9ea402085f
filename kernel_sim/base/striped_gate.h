// StripedGate: counts the threads that are inside, and can be closed to later ones.
//
// Threads count on different cache lines, so that entering and leaving stay cheap on many
// processors. The thread that closes the gate has to poll until nobody is inside. So it is for what
// is entered all the time and hardly ever closed; Rundown wakes the thread that closes it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace ktlsim {

class StripedGate {
 public:
  constexpr StripedGate() = default;
  StripedGate(const StripedGate&) = delete;
  StripedGate& operator=(const StripedGate&) = delete;

  // Any thread, any level. False: it is closed, and nothing was counted.
  [[nodiscard]] bool TryEnter() {
    std::atomic<int>& inside = stripes_[OwnStripe()].inside;
    // Sequentially consistent, as in Close: either the closer sees this thread, or this thread sees
    // that the gate is closed.
    inside.fetch_add(1, std::memory_order_seq_cst);
    if (!closed_.load(std::memory_order_seq_cst)) return true;
    inside.fetch_sub(1, std::memory_order_release);
    return false;
  }
  // Ends one successful TryEnter of the same thread.
  void Leave() { stripes_[OwnStripe()].inside.fetch_sub(1, std::memory_order_release); }

  void Close() { closed_.store(true, std::memory_order_seq_cst); }
  void Open() { closed_.store(false, std::memory_order_release); }
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  // How many entries have not been left yet. A thread that a closed gate is refusing may be
  // counted, too.
  int inside() const {
    int inside = 0;
    for (const Stripe& stripe : stripes_) inside += stripe.inside.load(std::memory_order_seq_cst);
    return inside;
  }

  // In a forked child, where the calling thread is the only one: it is inside `own` times.
  void ForgetOthers(int own) {
    for (Stripe& stripe : stripes_) stripe.inside.store(0, std::memory_order_relaxed);
    stripes_[OwnStripe()].inside.store(own, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kStripes = 32;
  struct alignas(64) Stripe {
    std::atomic<int> inside{0};
  };

  // A thread's stripe is the same in all gates.
  static std::size_t OwnStripe() {
    if (stripe_and_one_ == 0) stripe_and_one_ = threads_++ % kStripes + 1;
    return stripe_and_one_ - 1;
  }
  static inline constinit std::atomic<std::size_t> threads_{0};
  // This thread's stripe plus one; 0: it has not entered a gate yet. constinit spares every use the
  // check for a constructor that has not run.
  static inline constinit thread_local std::size_t stripe_and_one_ = 0;

  std::array<Stripe, kStripes> stripes_{};
  std::atomic<bool> closed_{false};
};

}  // namespace ktlsim
