// The life of an async context as data: its states, what moves it, and which moves are legal.
//
// Only AsyncContextTable makes the moves. The diagram in this folder's README is printed from the
// table, and a test compares the two.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::executive {

enum class AsyncState : std::uint8_t {
  kFreed,
  kIdle,       // may be submitted
  kClaimed,    // a caller is filling its request
  kQueued,     // accepted; can still be recalled
  kRunning,    // accepted and beyond recall: it runs, is suspended, or tears something down
  kRecalled,   // the thread that cancels it holds its request
  kParked,     // the same, and its turn has come: the thread that cancels it schedules it again
  kCancelled,  // will complete without having run
  kPublished,  // its status is final; its callback has not been entered yet
  kDone,
};

enum class AsyncEvent : std::uint8_t {
  kCreate,
  kClaim,    // a submission takes it
  kAbandon,  // the submission was refused
  kEnqueue,  // the submission was accepted
  kCommit,   // the same, for a call that cannot be recalled
  kStart,    // its turn has come
  kRecall,   // it is cancelled, or has waited for too long
  kLetGo,    // the recall is done with its request
  kPublish,
  kPublishSilently,  // there is no callback
  kEnterCallback,
  kReinit,
  kFree,
};

inline constexpr StateTable kAsyncTable(std::array{
    Transition{AsyncState::kFreed, AsyncEvent::kCreate, AsyncState::kIdle},
    Transition{AsyncState::kIdle, AsyncEvent::kClaim, AsyncState::kClaimed},
    Transition{AsyncState::kClaimed, AsyncEvent::kAbandon, AsyncState::kIdle},
    Transition{AsyncState::kClaimed, AsyncEvent::kEnqueue, AsyncState::kQueued},
    Transition{AsyncState::kClaimed, AsyncEvent::kCommit, AsyncState::kRunning},
    Transition{AsyncState::kQueued, AsyncEvent::kStart, AsyncState::kRunning},
    Transition{AsyncState::kQueued, AsyncEvent::kRecall, AsyncState::kRecalled},
    Transition{AsyncState::kRecalled, AsyncEvent::kStart, AsyncState::kParked},
    Transition{AsyncState::kRecalled, AsyncEvent::kLetGo, AsyncState::kCancelled},
    Transition{AsyncState::kParked, AsyncEvent::kLetGo, AsyncState::kCancelled},
    Transition{AsyncState::kRunning, AsyncEvent::kPublish, AsyncState::kPublished},
    Transition{AsyncState::kRunning, AsyncEvent::kPublishSilently, AsyncState::kDone},
    Transition{AsyncState::kCancelled, AsyncEvent::kPublish, AsyncState::kPublished},
    Transition{AsyncState::kCancelled, AsyncEvent::kPublishSilently, AsyncState::kDone},
    Transition{AsyncState::kPublished, AsyncEvent::kEnterCallback, AsyncState::kDone},
    Transition{AsyncState::kDone, AsyncEvent::kReinit, AsyncState::kIdle},
    Transition{AsyncState::kIdle, AsyncEvent::kReinit, AsyncState::kIdle},
    Transition{AsyncState::kIdle, AsyncEvent::kFree, AsyncState::kFreed},
    Transition{AsyncState::kDone, AsyncEvent::kFree, AsyncState::kFreed},
});

// False: `event` is not legal in `state`, and *to is left alone.
constexpr bool Next(AsyncState state, AsyncEvent event, AsyncState* to) {
  return kAsyncTable.Next(state, event, to);
}
constexpr bool Legal(AsyncState state, AsyncEvent event) { return kAsyncTable.Legal(state, event); }

static_assert(!Legal(AsyncState::kPublished, AsyncEvent::kPublish), "completes exactly once");
static_assert(!Legal(AsyncState::kDone, AsyncEvent::kEnterCallback), "calls back exactly once");
static_assert(!Legal(AsyncState::kCancelled, AsyncEvent::kStart), "a cancelled call never runs");
static_assert(!Legal(AsyncState::kRunning, AsyncEvent::kRecall), "a running call is not cancelled");

// From the claim of a submission until the callback is entered.
constexpr bool InFlight(AsyncState state) {
  return !Legal(state, AsyncEvent::kFree) && state != AsyncState::kFreed;
}

constexpr const char* NameOf(AsyncState state) {
  switch (state) {
    case AsyncState::kFreed:
      return "freed";
    case AsyncState::kIdle:
      return "idle";
    case AsyncState::kClaimed:
      return "claimed";
    case AsyncState::kQueued:
      return "queued";
    case AsyncState::kRunning:
      return "running";
    case AsyncState::kRecalled:
      return "recalled";
    case AsyncState::kParked:
      return "parked";
    case AsyncState::kCancelled:
      return "cancelled";
    case AsyncState::kPublished:
      return "published";
    case AsyncState::kDone:
      return "done";
  }
  return "?";
}

constexpr const char* NameOf(AsyncEvent event) {
  switch (event) {
    case AsyncEvent::kCreate:
      return "create";
    case AsyncEvent::kClaim:
      return "claim";
    case AsyncEvent::kAbandon:
      return "abandon";
    case AsyncEvent::kEnqueue:
      return "enqueue";
    case AsyncEvent::kCommit:
      return "commit";
    case AsyncEvent::kStart:
      return "start";
    case AsyncEvent::kRecall:
      return "recall";
    case AsyncEvent::kLetGo:
      return "let go";
    case AsyncEvent::kPublish:
      return "publish";
    case AsyncEvent::kPublishSilently:
      return "publish silently";
    case AsyncEvent::kEnterCallback:
      return "enter callback";
    case AsyncEvent::kReinit:
      return "reinit";
    case AsyncEvent::kFree:
      return "free";
  }
  return "?";
}

}  // namespace ktlsim::executive
