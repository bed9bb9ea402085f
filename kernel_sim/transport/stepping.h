// Stepping: how a path runs where one thread plays everybody: processors, passive threads, and
// whoever starts and stops the path. That is a seeded schedule; a program never needs it.
//
// While one lives, its thread is such a thread: a wait of a path's steps the others instead of
// blocking, and what a path would give to a thread of its own is given to `run_passive`.
#pragma once

#include <functional>

#include "kernel_sim/base/work_item.h"

namespace ktlsim::transport {

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

  // The calling thread's; null, as in every program: it has others to wait for.
  static Stepping* Current();

  bool TakeStep() { return step_(); }
  void RunAtPassive(WorkItem& item) { run_passive_(item); }

 private:
  const Step step_;
  const RunPassive run_passive_;
  Stepping* const outer_;
};

}  // namespace ktlsim::transport
