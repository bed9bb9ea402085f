// The tables of an async context's states and of a request's suspension.
#include "kernel_sim/executive/async_state.h"

#include <gtest/gtest.h>

#include "kernel_sim/executive/suspension.h"
#include "tests/support/state_tables.h"

namespace ktlsim::executive {
namespace {

constexpr const char* kReadme = "kernel_sim/executive/README.md";

TEST(AsyncStateTest, ReadmeShowsTheTable) { test::ExpectReadmeShows(kReadme, kAsyncTable); }

TEST(AsyncStateTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kAsyncTable, AsyncState::kDone, AsyncEvent::kFree);
}

// From every state in flight there is a way to the end, and no way around it.
TEST(AsyncStateTest, WhatIsInFlightEndsInOnePublication) {
  for (std::size_t s = 0; s <= static_cast<std::size_t>(AsyncState::kDone); ++s) {
    const auto state = static_cast<AsyncState>(s);
    if (!InFlight(state)) continue;
    EXPECT_FALSE(Legal(state, AsyncEvent::kClaim)) << NameOf(state);
    EXPECT_FALSE(Legal(state, AsyncEvent::kReinit)) << NameOf(state);
    EXPECT_FALSE(Legal(state, AsyncEvent::kFree)) << NameOf(state);
  }
  for (const auto& move : kAsyncTable.moves()) {
    if (!InFlight(move.from) || InFlight(move.to)) continue;
    EXPECT_TRUE(move.event == AsyncEvent::kPublishSilently ||
                move.event == AsyncEvent::kEnterCallback || move.event == AsyncEvent::kAbandon)
        << NameOf(move.event);
  }
}

TEST(SuspensionTableTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows(kReadme, kSuspensionTable);
}

TEST(SuspensionTableTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kSuspensionTable, Suspension::kResumed, SuspensionEvent::kResume);
}

}  // namespace
}  // namespace ktlsim::executive
