// Rundown protection: stop admitting, wait until everything admitted has ended, then destroy.
#pragma once

#include <atomic>
#include <cstdint>

namespace ktlsim {

class Rundown {
 public:
  Rundown() = default;
  ~Rundown();
  Rundown(const Rundown&) = delete;
  Rundown& operator=(const Rundown&) = delete;

  // Any thread, any level. False after Close: nothing was counted.
  [[nodiscard]] bool Enter();
  // Ends one successful Enter.
  void Leave();

  // Every later Enter is refused. Any thread, any number of times.
  void Close();
  // Admits again. Only when no thread is inside.
  void Reopen();
  // Blocks until nobody is inside. Passive level, after Close.
  void WaitUntilDrained();

  std::uint64_t inside() const { return word_.load(std::memory_order_acquire) >> 1; }

 private:
  // Bit 0: closed. The rest: how many are inside.
  std::atomic<std::uint64_t> word_{0};
};

}  // namespace ktlsim
