#include "kernel_sim/digest/context_state.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::digest {
namespace {

TEST(ContextStateTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/digest/README.md", kContextTable);
}

TEST(ContextStateTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kContextTable, ContextState::kGone, ContextEvent::kRemove);
}

TEST(ContextStateTest, EachMayBeRemovedAndNoneComesBack) {
  for (std::size_t s = 0; s <= static_cast<std::size_t>(ContextState::kGone); ++s) {
    const auto state = static_cast<ContextState>(s);
    ContextState to = ContextState::kChallenged;
    EXPECT_EQ(kContextTable.Next(state, ContextEvent::kRemove, &to), state != ContextState::kGone);
  }
  for (const auto& move : kContextTable.moves()) EXPECT_NE(move.from, ContextState::kGone);
}

// A wrong response takes nothing away from the right client.
TEST(ContextStateTest, AWrongResponseEndsNothing) {
  for (const auto& move : kContextTable.moves()) {
    if (move.event == ContextEvent::kReject) {
      EXPECT_NE(move.to, ContextState::kGone);
    }
  }
}

}  // namespace
}  // namespace ktlsim::digest
