// Checks that hold for every StateTable: its README shows it, and its look-ups agree with its
// moves.
#pragma once

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/base/state_table.h"
#include "tests/support/paths.h"

namespace ktlsim::test {

// One move a line, as the READMEs show it.
template <typename State, typename Event, std::size_t kMoves>
std::string TextOf(const StateTable<State, Event, kMoves>& table) {
  std::size_t from_width = 0;
  std::size_t event_width = 0;
  for (const auto& move : table.moves()) {
    from_width = std::max(from_width, std::string(NameOf(move.from)).size());
    event_width = std::max(event_width, std::string(NameOf(move.event)).size());
  }
  std::string text;
  for (const auto& move : table.moves()) {
    std::string from = NameOf(move.from);
    std::string event = NameOf(move.event);
    from.resize(from_width, ' ');
    event.resize(event_width, ' ');
    text.append("    ").append(from).append(" -- ").append(event).append(" --> ");
    text.append(NameOf(move.to)).append("\n");
  }
  return text;
}

// `readme` is relative to the source tree.
template <typename State, typename Event, std::size_t kMoves>
void ExpectReadmeShows(const char* readme, const StateTable<State, Event, kMoves>& table) {
  std::ifstream file(SourceRoot() + "/" + readme);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(TextOf(table)), std::string::npos) << "put this there:\n"
                                                               << TextOf(table);
}

// Every state against every event, legal or not.
template <typename State, typename Event, std::size_t kMoves>
void ExpectLegalMovesOnly(const StateTable<State, Event, kMoves>& table, State last_state,
                          Event last_event) {
  std::size_t legal = 0;
  for (std::size_t s = 0; s <= static_cast<std::size_t>(last_state); ++s) {
    for (std::size_t e = 0; e <= static_cast<std::size_t>(last_event); ++e) {
      const auto state = static_cast<State>(s);
      const auto event = static_cast<Event>(e);
      EXPECT_STRNE(NameOf(state), "?");
      EXPECT_STRNE(NameOf(event), "?");
      const auto listed =
          std::find_if(table.moves().begin(), table.moves().end(),
                       [&](const auto& move) { return move.from == state && move.event == event; });
      State to = last_state;
      EXPECT_EQ(table.Next(state, event, &to), listed != table.moves().end())
          << NameOf(state) << ", " << NameOf(event);
      if (listed == table.moves().end()) {
        EXPECT_EQ(to, last_state) << "left alone";
        continue;
      }
      EXPECT_EQ(to, listed->to);
      EXPECT_EQ(table.After(state, event), listed->to);
      ++legal;
    }
  }
  EXPECT_EQ(legal, kMoves);
}

}  // namespace ktlsim::test
