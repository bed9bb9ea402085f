#include "kernel_sim/base/stepping.h"

#include <utility>

namespace ktlsim {
namespace {

thread_local Stepping* current = nullptr;

}  // namespace

Stepping::Stepping(Step step, RunPassive run_passive)
    : step_(std::move(step)),
      run_passive_(std::move(run_passive)),
      outer_(std::exchange(current, this)) {}

Stepping::~Stepping() { current = outer_; }

Stepping* Stepping::Current() { return current; }

}  // namespace ktlsim
