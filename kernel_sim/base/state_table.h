// StateTable: a state machine as data. The state after an event is looked up, never decided in
// code. The READMEs show the same tables, and tests compare the two.
//
//   inline constexpr StateTable kDoorMoves(std::array{
//       Transition{Door::kOpen, DoorEvent::kPush, Door::kClosed}, ...});
//
// Both enums start at 0 without gaps, and have a NameOf function.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_sim/base/assert.h"

namespace ktlsim {

template <typename State, typename Event>
struct Transition {
  State from;
  Event event;
  State to;
};

template <typename State, typename Event, std::size_t kMoves>
class StateTable {
 public:
  using Moves = std::array<Transition<State, Event>, kMoves>;

  // Does not compile with two moves for one state and event, or with more than 16 of either.
  consteval explicit StateTable(const Moves& moves) : moves_(moves) {
    for (auto& row : next_) row.fill(kNone);
    for (const Transition<State, Event>& move : moves) {
      std::uint8_t& next = next_.at(Index(move.from)).at(Index(move.event));
      if (next != kNone) throw "two moves for one state and event";
      next = static_cast<std::uint8_t>(move.to);
    }
  }

  // False: `event` is not legal in `state`, and *to is unchanged.
  constexpr bool Next(State state, Event event, State* to) const {
    const std::uint8_t next = next_[Index(state)][Index(event)];
    if (next == kNone) return false;
    *to = static_cast<State>(next);
    return true;
  }
  constexpr bool Legal(State state, Event event) const {
    return next_[Index(state)][Index(event)] != kNone;
  }
  // The state after a legal `event`. An illegal event is a bug: it fails an assertion or, in builds
  // without them, changes nothing.
  State After(State state, Event event) const {
    State to = state;
    const bool legal = Next(state, event, &to);
    KTLSIM_ASSERT(legal);
    return to;
  }

  constexpr const Moves& moves() const { return moves_; }

 private:
  static constexpr std::size_t kMax = 16;
  static constexpr std::uint8_t kNone = 0xff;

  template <typename Enum>
  static constexpr std::size_t Index(Enum value) {
    return static_cast<std::size_t>(value);
  }

  Moves moves_;
  std::array<std::array<std::uint8_t, kMax>, kMax> next_{};
};

}  // namespace ktlsim
