// StripedGate: counts the threads that are inside of something, and can be closed to later ones.
//
// Threads are counted apart, so that entering and leaving on different processors share no cache
// line. Whoever closes the gate has to look again and again until nobody is left: it suits what is
// entered all the time and closed hardly ever (rundown.h is the gate that wakes its closer).
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
  // How many entries were not left yet. Those that are on the way out of a closed gate may be
  // counted, too.
  int inside() const {
    int inside = 0;
    for (const Stripe& stripe : stripes_) inside += stripe.inside.load(std::memory_order_seq_cst);
    return inside;
  }

  // In a forked child, where only the calling thread exists: it is inside `own` times, and nobody
  // else is.
  void ForgetOthers(int own) {
    for (Stripe& stripe : stripes_) stripe.inside.store(0, std::memory_order_relaxed);
    stripes_[OwnStripe()].inside.store(own, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kStripes = 32;
  struct alignas(64) Stripe {
    std::atomic<int> inside{0};
  };

  // The same for all gates.
  static std::size_t OwnStripe() {
    if (stripe_and_one_ == 0) stripe_and_one_ = threads_++ % kStripes + 1;
    return stripe_and_one_ - 1;
  }
  static inline constinit std::atomic<std::size_t> threads_{0};
  // 0: this thread has not entered anything yet. Without a constructor, which every use would have
  // to check for.
  static inline constinit thread_local std::size_t stripe_and_one_ = 0;

  std::array<Stripe, kStripes> stripes_{};
  std::atomic<bool> closed_{false};
};

}  // namespace ktlsim
