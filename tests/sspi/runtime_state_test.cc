// The table of the runtime's states. What they mean to callers: start_stop_test.cc,
// process_end_test.cc.
#include "kernel_sim/sspi/runtime_state.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::sspi {
namespace {

TEST(RuntimeStateTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/sspi/README.md", kRuntimeTable);
}

TEST(RuntimeStateTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kRuntimeTable, RuntimeState::kForked, RuntimeEvent::kFork);
}

}  // namespace
}  // namespace ktlsim::sspi
