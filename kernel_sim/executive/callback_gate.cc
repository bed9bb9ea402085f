#include "kernel_sim/executive/callback_gate.h"

#include <chrono>
#include <thread>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/striped_gate.h"

namespace ktlsim::executive {
namespace {

constinit StripedGate gate;

thread_local int depth = 0;
thread_local bool ends_the_process = false;  // has called Close

}  // namespace

bool CallbackGate::Enter() {
  if (!gate.TryEnter()) return false;
  ++depth;
  return true;
}

void CallbackGate::Leave() {
  --depth;
  gate.Leave();
}

void CallbackGate::Close(std::uint64_t patience_ns) {
  ends_the_process = true;
  gate.Close();
  if (depth != 0) return;
  const std::uint64_t until = MonotonicClock::Now() + patience_ns;
  while (gate.inside() != 0 && MonotonicClock::Now() < until) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void CallbackGate::AfterForkInChild() {
  gate.ForgetOthers(depth);
  if (!ends_the_process) gate.Open();
}

}  // namespace ktlsim::executive
