// Stepping: how code that waits runs on a seeded schedule, where one thread plays all others:
// processors, passive threads, and the thread that starts and stops them. Programs never need it.
//
// While an object of it lives, its thread is such a thread: code that would wait steps the others
// instead, and work for a thread of its own goes to `run_passive`.
#pragma once

#include <functional>

#include "kernel_sim/base/work_item.h"

namespace ktlsim {

class Stepping {
 public:
  // Lets another participant take a step. False: none can, so the wait would never end.
  using Step = std::function<bool()>;
  // Has `item` run once, at passive level, in one of the later steps.
  using RunPassive = std::function<void(WorkItem& item)>;

  Stepping(Step step, RunPassive run_passive);
  ~Stepping();
  Stepping(const Stepping&) = delete;
  Stepping& operator=(const Stepping&) = delete;

  // The calling thread's object; null in every program, whose threads really wait.
  static Stepping* Current();

  bool TakeStep() { return step_(); }
  void RunAtPassive(WorkItem& item) { run_passive_(item); }

 private:
  const Step step_;
  const RunPassive run_passive_;
  Stepping* const outer_;
};

}  // namespace ktlsim
