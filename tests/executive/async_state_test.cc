// The table of an async context's states: every state against every event, and the diagram of the
// README, which is printed from the table.
#include "kernel_sim/executive/async_state.h"

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::executive {
namespace {

std::string Table() {
  std::string text;
  for (const AsyncTransition& move : kAsyncTransitions) {
    std::string line = "    ";
    line += NameOf(move.from);
    line.resize(16, ' ');
    line += "-- ";
    line += NameOf(move.event);
    line.resize(38, ' ');
    line += "--> ";
    line += NameOf(move.to);
    text += line + "\n";
  }
  return text;
}

TEST(AsyncStateTest, ReadmeShowsTheTable) {
  std::ifstream file(std::string(KTLSIM_SOURCE_DIR) + "/kernel_sim/executive/README.md");
  std::stringstream readme;
  readme << file.rdbuf();
  EXPECT_NE(readme.str().find(Table()), std::string::npos) << "put this there:\n" << Table();
}

TEST(AsyncStateTest, EveryStateAgainstEveryEvent) {
  std::size_t legal = 0;
  for (std::size_t s = 0; s < kAsyncStates; ++s) {
    for (std::size_t e = 0; e < kAsyncEvents; ++e) {
      const auto state = static_cast<AsyncState>(s);
      const auto event = static_cast<AsyncEvent>(e);
      const AsyncTransition* listed = nullptr;
      for (const AsyncTransition& move : kAsyncTransitions) {
        if (move.from != state || move.event != event) continue;
        EXPECT_EQ(listed, nullptr) << NameOf(state) << " has two moves for " << NameOf(event);
        listed = &move;
      }
      AsyncState to = AsyncState::kFreed;
      EXPECT_EQ(Next(state, event, &to), listed != nullptr) << NameOf(state) << NameOf(event);
      if (listed != nullptr) {
        EXPECT_EQ(to, listed->to);
        ++legal;
      }
    }
  }
  EXPECT_EQ(legal, kAsyncTransitions.size());
}

// From every state in flight there is a way to the end, and no way around it.
TEST(AsyncStateTest, WhatIsInFlightEndsInOnePublication) {
  for (std::size_t s = 0; s < kAsyncStates; ++s) {
    const auto state = static_cast<AsyncState>(s);
    if (!InFlight(state)) continue;
    EXPECT_FALSE(Legal(state, AsyncEvent::kClaim)) << NameOf(state);
    EXPECT_FALSE(Legal(state, AsyncEvent::kReinit)) << NameOf(state);
    EXPECT_FALSE(Legal(state, AsyncEvent::kFree)) << NameOf(state);
  }
  for (const AsyncTransition& move : kAsyncTransitions) {
    if (!InFlight(move.from) || InFlight(move.to)) continue;
    EXPECT_TRUE(move.event == AsyncEvent::kPublishSilently ||
                move.event == AsyncEvent::kEnterCallback || move.event == AsyncEvent::kAbandon)
        << NameOf(move.event);
  }
}

}  // namespace
}  // namespace ktlsim::executive
