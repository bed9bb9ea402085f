// The tables of an operation's places and of its end watch.
#include "io/operation_table.h"

#include <poll.h>

#include <array>
#include <cerrno>

#include <gtest/gtest.h>

#include "io/operation_state.h"
#include "tests/support/state_tables.h"

namespace ktlsim::io {
namespace {

constexpr const char* kReadme = "io/README.md";

TEST(OperationTableTest, ReadmeShowsTheTable) { test::ExpectReadmeShows(kReadme, kOperationTable); }

TEST(OperationTableTest, EveryPlaceAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kOperationTable, OperationPlace::kAwaitingWatch, OperationEvent::kEnd);
}

// Each place can be reached from the start, and the final call can be reached from each place.
TEST(OperationTableTest, EachPlaceLiesBetweenStartAndFinalCall) {
  constexpr std::size_t kPlaces = static_cast<std::size_t>(OperationPlace::kAwaitingWatch) + 1;
  std::array<bool, kPlaces> reached{};
  std::array<bool, kPlaces> ends{};
  reached[0] = true;
  ends[0] = true;
  for (std::size_t round = 0; round < kPlaces; ++round) {
    for (const auto& move : kOperationTable.moves()) {
      const auto from = static_cast<std::size_t>(move.from);
      const auto to = static_cast<std::size_t>(move.to);
      reached[to] = reached[to] || reached[from];
      ends[from] = ends[from] || ends[to];
    }
  }
  for (std::size_t place = 0; place < kPlaces; ++place) {
    EXPECT_TRUE(reached[place] && ends[place]) << NameOf(static_cast<OperationPlace>(place));
  }
}

// Only the final call takes an operation out of flight.
TEST(OperationTableTest, WhatIsInFlightEndsInOneFinalCall) {
  for (const auto& move : kOperationTable.moves()) {
    EXPECT_EQ(move.to == OperationPlace::kIdle, move.event == OperationEvent::kEnd);
    EXPECT_EQ(move.from == OperationPlace::kIdle, move.event == OperationEvent::kStart);
  }
}

TEST(EndWatchTest, ReadmeShowsTheTable) { test::ExpectReadmeShows(kReadme, kWatchTable); }

TEST(EndWatchTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kWatchTable, WatchState::kFired, WatchEvent::kLetGo);
}

TEST(EndWatchTest, FiresUnlessItWasCancelled) {
  EndWatch watch;
  EXPECT_FALSE(watch.in_kernel());
  watch.Arm();
  EXPECT_TRUE(watch.in_kernel());
  EXPECT_TRUE(watch.Complete(-EINVAL)) << "ended by itself, for whatever reason";
  EXPECT_EQ(watch.state(), WatchState::kFired);

  EndWatch cancelled;
  cancelled.Arm();
  cancelled.Cancel();
  EXPECT_TRUE(cancelled.in_kernel());
  EXPECT_FALSE(cancelled.Complete(-ECANCELED));
  EXPECT_EQ(cancelled.state(), WatchState::kNone);

  EndWatch too_late;
  too_late.Arm();
  too_late.Cancel();
  EXPECT_TRUE(too_late.Complete(POLLHUP)) << "it fired before the cancellation reached it";
  EXPECT_EQ(too_late.state(), WatchState::kFired);
}

TEST(EndWatchTest, LetGoForgetsOnlyWhatTheKernelHad) {
  EndWatch watch;
  watch.LetGo();
  EXPECT_EQ(watch.state(), WatchState::kNone);
  watch.Arm();
  watch.LetGo();
  EXPECT_EQ(watch.state(), WatchState::kNone);
  watch.Arm();
  EXPECT_TRUE(watch.Complete(POLLHUP));
  watch.LetGo();
  EXPECT_EQ(watch.state(), WatchState::kFired);
}

// A connection holds several of them, so they must stay small.
TEST(OperationStateTest, OperationsStaySmall) {
  EXPECT_LE(sizeof(AcceptOperation), 40U);
  EXPECT_LE(sizeof(ReceiveOperation), 48U);
  EXPECT_LE(sizeof(SendOperation), 64U);
}

}  // namespace
}  // namespace ktlsim::io
