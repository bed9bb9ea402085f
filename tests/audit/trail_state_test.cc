#include "kernel_sim/audit/trail_state.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::audit {
namespace {

TEST(TrailStateTest, TheReadmeShowsTheTable) {
  ktlsim::test::ExpectReadmeShows("kernel_sim/audit/README.md", kTrailTable);
}

TEST(TrailStateTest, OnlyTheMovesOfTheTableAreLegal) {
  ktlsim::test::ExpectLegalMovesOnly(kTrailTable, TrailState::kClosed, TrailEvent::kEnded);
}

}  // namespace
}  // namespace ktlsim::audit
