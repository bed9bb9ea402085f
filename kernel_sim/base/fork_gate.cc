#include "kernel_sim/base/fork_gate.h"

#include <thread>

#include "kernel_sim/base/striped_gate.h"

namespace ktlsim {
namespace {

constinit StripedGate gate;

thread_local int depth = 0;

}  // namespace

void ForkGate::Enter() {
  if (depth++ != 0) return;
  while (!gate.TryEnter()) {
    while (gate.closed()) std::this_thread::yield();
  }
}

void ForkGate::Leave() {
  if (--depth == 0) gate.Leave();
}

void ForkGate::Close() {
  gate.Close();
  const int own = depth != 0 ? 1 : 0;
  while (gate.inside() != own) std::this_thread::yield();
}

void ForkGate::Open() { gate.Open(); }

void ForkGate::OpenInChild() {
  gate.ForgetOthers(depth != 0 ? 1 : 0);
  gate.Open();
}

}  // namespace ktlsim
