// The life of an async context as data: its states, what moves it, and which moves are legal.
//
// AsyncContextTable is the only one who moves; the diagram in this folder's README is printed from
// the table, and a test compares the two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ktlsim::executive {

enum class AsyncState : std::uint8_t {
  kFreed,
  kIdle,       // may be submitted
  kClaimed,    // a caller is filling its request
  kQueued,     // accepted; may still be recalled
  kRunning,    // accepted and beyond recall: it runs, is suspended, or tears something down
  kRecalled,   // who cancels it holds its request
  kParked,     // the same, and its turn has come meanwhile: who cancels it brings it back
  kCancelled,  // will complete without having run
  kPublished,  // its status is final, its callback not entered yet
  kDone,
};
inline constexpr std::size_t kAsyncStates = 10;

enum class AsyncEvent : std::uint8_t {
  kCreate,
  kClaim,    // a submission takes it
  kAbandon,  // the submission was refused
  kEnqueue,  // the submission was accepted
  kCommit,   // the same, of a call that cannot be recalled
  kStart,    // its turn has come
  kRecall,   // cancellation, or it has waited too long
  kLetGo,    // the recall is done with its request
  kPublish,
  kPublishSilently,  // nobody is to be called back
  kEnterCallback,
  kReinit,
  kFree,
};
inline constexpr std::size_t kAsyncEvents = 13;

struct AsyncTransition {
  AsyncState from;
  AsyncEvent event;
  AsyncState to;
};

inline constexpr std::array kAsyncTransitions = {
    AsyncTransition{AsyncState::kFreed, AsyncEvent::kCreate, AsyncState::kIdle},
    AsyncTransition{AsyncState::kIdle, AsyncEvent::kClaim, AsyncState::kClaimed},
    AsyncTransition{AsyncState::kClaimed, AsyncEvent::kAbandon, AsyncState::kIdle},
    AsyncTransition{AsyncState::kClaimed, AsyncEvent::kEnqueue, AsyncState::kQueued},
    AsyncTransition{AsyncState::kClaimed, AsyncEvent::kCommit, AsyncState::kRunning},
    AsyncTransition{AsyncState::kQueued, AsyncEvent::kStart, AsyncState::kRunning},
    AsyncTransition{AsyncState::kQueued, AsyncEvent::kRecall, AsyncState::kRecalled},
    AsyncTransition{AsyncState::kRecalled, AsyncEvent::kStart, AsyncState::kParked},
    AsyncTransition{AsyncState::kRecalled, AsyncEvent::kLetGo, AsyncState::kCancelled},
    AsyncTransition{AsyncState::kParked, AsyncEvent::kLetGo, AsyncState::kCancelled},
    AsyncTransition{AsyncState::kRunning, AsyncEvent::kPublish, AsyncState::kPublished},
    AsyncTransition{AsyncState::kRunning, AsyncEvent::kPublishSilently, AsyncState::kDone},
    AsyncTransition{AsyncState::kCancelled, AsyncEvent::kPublish, AsyncState::kPublished},
    AsyncTransition{AsyncState::kCancelled, AsyncEvent::kPublishSilently, AsyncState::kDone},
    AsyncTransition{AsyncState::kPublished, AsyncEvent::kEnterCallback, AsyncState::kDone},
    AsyncTransition{AsyncState::kDone, AsyncEvent::kReinit, AsyncState::kIdle},
    AsyncTransition{AsyncState::kIdle, AsyncEvent::kReinit, AsyncState::kIdle},
    AsyncTransition{AsyncState::kIdle, AsyncEvent::kFree, AsyncState::kFreed},
    AsyncTransition{AsyncState::kDone, AsyncEvent::kFree, AsyncState::kFreed},
};

namespace detail {
inline constexpr std::uint8_t kNoState = 0xff;

inline constexpr auto kAsyncNext = [] {
  std::array<std::array<std::uint8_t, kAsyncEvents>, kAsyncStates> next{};
  for (auto& row : next) row.fill(kNoState);
  for (const AsyncTransition& move : kAsyncTransitions) {
    next[static_cast<std::size_t>(move.from)][static_cast<std::size_t>(move.event)] =
        static_cast<std::uint8_t>(move.to);
  }
  return next;
}();
}  // namespace detail

// False: `event` is not legal in `state`, and *to is left alone.
constexpr bool Next(AsyncState state, AsyncEvent event, AsyncState* to) {
  const std::uint8_t next =
      detail::kAsyncNext[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  if (next == detail::kNoState) return false;
  *to = static_cast<AsyncState>(next);
  return true;
}
constexpr bool Legal(AsyncState state, AsyncEvent event) {
  AsyncState to{};
  return Next(state, event, &to);
}

static_assert(!Legal(AsyncState::kPublished, AsyncEvent::kPublish), "completes exactly once");
static_assert(!Legal(AsyncState::kDone, AsyncEvent::kEnterCallback), "calls back exactly once");
static_assert(!Legal(AsyncState::kCancelled, AsyncEvent::kStart), "what is cancelled never runs");
static_assert(!Legal(AsyncState::kRunning, AsyncEvent::kRecall), "what runs is not cancelled");

// Between acceptance and the callback's entry, a submission under way included.
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
