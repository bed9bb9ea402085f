// The life of an operation as data: its places, what moves it, and which moves are legal.
//
// Only LoopBackend moves operations. README.md shows the table, and a test compares the two.
// Private to io.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::io {

// An operation that waits is in one list of its ring, and its place says in which.
enum class OperationPlace : std::uint8_t {
  kIdle,             // not in flight
  kInHand,           // just started, or just completed: its next move follows at once
  kInHandCancelled,  // the same, and its owner has cancelled it
  kInKernel,
  kParked,         // the submission queue had no room for it
  kStarved,        // waits for a receive buffer
  kLooking,        // in the kernel, cancelled by the ring in order to look at its socket anew
  kLookParked,     // the same, but the submission queue had no room for the cancellation
  kCancelled,      // in the kernel, cancelled by its owner
  kCancelParked,   // the same, but the submission queue had no room for the cancellation
  kEnding,         // its final call is due
  kLeaving,        // its final call waits for its end watch, which the kernel still has
  kAwaitingWatch,  // the same, and the end watch was cancelled
};

enum class OperationEvent : std::uint8_t {
  kStart,
  kSubmit,    // it, or the cancellation that was parked, is in the submission queue
  kPark,      // the submission queue has no room for it, or for its cancellation
  kStarve,    // the kernel had no receive buffer
  kComplete,  // the kernel no longer has it
  kLook,      // its end watch fired
  kCancel,    // asked by its owner
  kSettle,    // its result is known
  kLeave,     // its final call was due, but the kernel has its end watch
  kAwaitWatch,
  kEnd,  // the final call
};

inline constexpr StateTable kOperationTable(std::array{
    Transition{OperationPlace::kIdle, OperationEvent::kStart, OperationPlace::kInHand},
    Transition{OperationPlace::kInHand, OperationEvent::kSubmit, OperationPlace::kInKernel},
    Transition{OperationPlace::kInHand, OperationEvent::kPark, OperationPlace::kParked},
    Transition{OperationPlace::kInHand, OperationEvent::kStarve, OperationPlace::kStarved},
    Transition{OperationPlace::kInHand, OperationEvent::kSettle, OperationPlace::kEnding},
    Transition{OperationPlace::kInHand, OperationEvent::kLeave, OperationPlace::kLeaving},
    Transition{OperationPlace::kInHand, OperationEvent::kEnd, OperationPlace::kIdle},
    Transition{OperationPlace::kInHandCancelled, OperationEvent::kSettle, OperationPlace::kEnding},
    Transition{OperationPlace::kInHandCancelled, OperationEvent::kLeave, OperationPlace::kLeaving},
    Transition{OperationPlace::kInHandCancelled, OperationEvent::kEnd, OperationPlace::kIdle},
    Transition{OperationPlace::kInKernel, OperationEvent::kComplete, OperationPlace::kInHand},
    Transition{OperationPlace::kInKernel, OperationEvent::kLook, OperationPlace::kLooking},
    Transition{OperationPlace::kInKernel, OperationEvent::kCancel, OperationPlace::kCancelled},
    Transition{OperationPlace::kParked, OperationEvent::kSubmit, OperationPlace::kInKernel},
    Transition{OperationPlace::kParked, OperationEvent::kCancel, OperationPlace::kEnding},
    Transition{OperationPlace::kParked, OperationEvent::kSettle, OperationPlace::kEnding},
    Transition{OperationPlace::kStarved, OperationEvent::kSubmit, OperationPlace::kInKernel},
    Transition{OperationPlace::kStarved, OperationEvent::kPark, OperationPlace::kParked},
    Transition{OperationPlace::kStarved, OperationEvent::kCancel, OperationPlace::kEnding},
    Transition{OperationPlace::kStarved, OperationEvent::kSettle, OperationPlace::kEnding},
    Transition{OperationPlace::kLooking, OperationEvent::kPark, OperationPlace::kLookParked},
    Transition{OperationPlace::kLooking, OperationEvent::kComplete, OperationPlace::kInHand},
    Transition{OperationPlace::kLooking, OperationEvent::kCancel, OperationPlace::kCancelled},
    Transition{OperationPlace::kLookParked, OperationEvent::kSubmit, OperationPlace::kLooking},
    Transition{OperationPlace::kLookParked, OperationEvent::kComplete, OperationPlace::kInHand},
    Transition{OperationPlace::kLookParked, OperationEvent::kCancel, OperationPlace::kCancelParked},
    Transition{OperationPlace::kCancelled, OperationEvent::kPark, OperationPlace::kCancelParked},
    Transition{OperationPlace::kCancelled, OperationEvent::kComplete,
               OperationPlace::kInHandCancelled},
    Transition{OperationPlace::kCancelParked, OperationEvent::kSubmit, OperationPlace::kCancelled},
    Transition{OperationPlace::kCancelParked, OperationEvent::kComplete,
               OperationPlace::kInHandCancelled},
    Transition{OperationPlace::kEnding, OperationEvent::kLeave, OperationPlace::kLeaving},
    Transition{OperationPlace::kEnding, OperationEvent::kEnd, OperationPlace::kIdle},
    Transition{OperationPlace::kLeaving, OperationEvent::kAwaitWatch,
               OperationPlace::kAwaitingWatch},
    Transition{OperationPlace::kLeaving, OperationEvent::kEnd, OperationPlace::kIdle},
    Transition{OperationPlace::kAwaitingWatch, OperationEvent::kSettle, OperationPlace::kEnding},
    Transition{OperationPlace::kAwaitingWatch, OperationEvent::kEnd, OperationPlace::kIdle},
});

static_assert(!kOperationTable.Legal(OperationPlace::kIdle, OperationEvent::kEnd),
              "one final call for each start");
static_assert(!kOperationTable.Legal(OperationPlace::kInKernel, OperationEvent::kEnd) &&
                  !kOperationTable.Legal(OperationPlace::kCancelled, OperationEvent::kEnd),
              "no final call while the kernel may write to it");
static_assert(!kOperationTable.Legal(OperationPlace::kInHandCancelled, OperationEvent::kSubmit),
              "what is cancelled does not go on");
static_assert(!kOperationTable.Legal(OperationPlace::kEnding, OperationEvent::kCancel),
              "its result is known");

constexpr const char* NameOf(OperationPlace place) {
  switch (place) {
    case OperationPlace::kIdle:
      return "idle";
    case OperationPlace::kInHand:
      return "in hand";
    case OperationPlace::kInHandCancelled:
      return "in hand, cancelled";
    case OperationPlace::kInKernel:
      return "in kernel";
    case OperationPlace::kParked:
      return "parked";
    case OperationPlace::kStarved:
      return "starved";
    case OperationPlace::kLooking:
      return "looking";
    case OperationPlace::kLookParked:
      return "look parked";
    case OperationPlace::kCancelled:
      return "cancelled";
    case OperationPlace::kCancelParked:
      return "cancel parked";
    case OperationPlace::kEnding:
      return "ending";
    case OperationPlace::kLeaving:
      return "leaving";
    case OperationPlace::kAwaitingWatch:
      return "awaiting watch";
  }
  return "?";
}

constexpr const char* NameOf(OperationEvent event) {
  switch (event) {
    case OperationEvent::kStart:
      return "start";
    case OperationEvent::kSubmit:
      return "submit";
    case OperationEvent::kPark:
      return "park";
    case OperationEvent::kStarve:
      return "starve";
    case OperationEvent::kComplete:
      return "complete";
    case OperationEvent::kLook:
      return "look";
    case OperationEvent::kCancel:
      return "cancel";
    case OperationEvent::kSettle:
      return "settle";
    case OperationEvent::kLeave:
      return "leave";
    case OperationEvent::kAwaitWatch:
      return "await watch";
    case OperationEvent::kEnd:
      return "end";
  }
  return "?";
}

}  // namespace ktlsim::io
