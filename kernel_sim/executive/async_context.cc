#include "kernel_sim/executive/async_context.h"

#include <new>

#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/executive/misuse.h"

namespace ktlsim::executive {
namespace {

constexpr std::uint64_t kStateMask = 0x0f;  // a StateTable has no more
// A caller is changing callback or mode; held for a few instructions.
constexpr std::uint64_t kConfiguring = 0x10;
// Freed while in flight: the runtime frees it when the call is over.
constexpr std::uint64_t kOrphaned = 0x20;
// There is a final status to read, also after Free.
constexpr std::uint64_t kHasStatus = 0x40;
constexpr unsigned kGenerationShift = 32;
constexpr std::uint64_t kLow = 0xffffffff;

AsyncState StateOf(std::uint64_t word) { return static_cast<AsyncState>(word & kStateMask); }
// The word after a legal `event`.
std::uint64_t After(std::uint64_t word, AsyncEvent event) {
  AsyncState to{};
  KTLSIM_CHECK(Next(StateOf(word), event, &to));
  return (word & ~kStateMask) | static_cast<std::uint64_t>(to);
}
// Moves `word` by `event`, which must stay legal meanwhile; others may change flags. The new word.
std::uint64_t Move(std::atomic<std::uint64_t>& word, AsyncEvent event) {
  std::uint64_t before = word.load(std::memory_order_relaxed);
  std::uint64_t after = 0;
  do {
    after = After(before, event);
    // Release: what the mover wrote is there for who sees the state. Acquire: the other way round.
  } while (!word.compare_exchange_weak(before, after, std::memory_order_acq_rel,
                                       std::memory_order_relaxed));
  return after;
}
bool SameGeneration(std::uint64_t word, AsyncHandle handle) {
  return word >> kGenerationShift == handle >> kGenerationShift;
}
// The handle names a context that its owner has not freed.
bool Alive(std::uint64_t word, AsyncHandle handle) {
  return SameGeneration(word, handle) && StateOf(word) != AsyncState::kFreed &&
         (word & kOrphaned) == 0;
}
AsyncHandle HandleOf(const AsyncContextSlot& slot, std::uint64_t word) {
  return (word & ~kLow) | (std::uint64_t{slot.index} + 1);
}

}  // namespace

AsyncContextTable::AsyncContextTable(const Clock& clock) : clock_(clock) {}

AsyncContextTable::~AsyncContextTable() {
  for (std::uint32_t i = 0; i < kChunks; ++i) {
    AsyncContextSlot* chunk = chunks_[i].load(std::memory_order_relaxed);
    if (chunk == nullptr) break;
    for (std::uint32_t j = 0; j < kChunkSlots; ++j) delete chunk[j].request;
    delete[] chunk;
  }
  MutexLock lock(mutex_);
  while (Request* request = free_requests_.PopFront()) delete request;
}

AsyncContextSlot* AsyncContextTable::SlotOf(AsyncHandle handle) const {
  const std::uint64_t index_plus_one = handle & kLow;
  if (index_plus_one == 0 || index_plus_one > std::uint64_t{kChunks} * kChunkSlots) return nullptr;
  const auto index = static_cast<std::uint32_t>(index_plus_one - 1);
  AsyncContextSlot* chunk = chunks_[index / kChunkSlots].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &chunk[index % kChunkSlots];
}

AsyncContextSlot* AsyncContextTable::TakeSlot() {
  MutexLock lock(mutex_);
  AsyncContextSlot* slot = oldest_freed_;
  if (slot != nullptr && frees_ - slot->freed_number >= kQuarantineFrees &&
      clock_.NowNs() - slot->freed_ns >= kQuarantineNs) {
    oldest_freed_ = slot->next_free;
    if (oldest_freed_ == nullptr) newest_freed_ = nullptr;
    slot->next_free = nullptr;
    return slot;
  }
  if (grown_ == kChunks * kChunkSlots) return nullptr;
  if (grown_ % kChunkSlots == 0) {
    auto* chunk = new (std::nothrow) AsyncContextSlot[kChunkSlots];
    if (chunk == nullptr) return nullptr;
    for (std::uint32_t i = 0; i < kChunkSlots; ++i) chunk[i].index = grown_ + i;
    chunks_[grown_ / kChunkSlots].store(chunk, std::memory_order_release);
  }
  const std::uint32_t index = grown_++;
  return &chunks_[index / kChunkSlots].load(std::memory_order_relaxed)[index % kChunkSlots];
}

AsyncHandle AsyncContextTable::Create() {
  Request* request = TakeRequest();
  if (request == nullptr) return 0;
  AsyncContextSlot* slot = TakeSlot();
  if (slot == nullptr) {
    GiveBackRequest(*request);
    return 0;
  }
  slot->request = request;
  slot->callback.store(nullptr, std::memory_order_relaxed);
  slot->data.store(nullptr, std::memory_order_relaxed);
  slot->mode = NotifyMode::kPool;
  slot->wait_limit_ns = kDefaultWaitLimit;
  slot->status.store(0, std::memory_order_relaxed);
  const std::uint64_t generation =
      (slot->word.load(std::memory_order_relaxed) >> kGenerationShift) + 1;
  static_assert(static_cast<int>(AsyncState::kFreed) == 0);
  const std::uint64_t word = After(generation << kGenerationShift, AsyncEvent::kCreate);
  slot->word.store(word, std::memory_order_release);
  live_.fetch_add(1, std::memory_order_relaxed);
  const AsyncHandle handle = HandleOf(*slot, word);
  Trace("async_create", handle);
  return handle;
}

// The slot's state is kFreed already and nobody else will touch its fields.
void AsyncContextTable::Retire(AsyncContextSlot& slot) {
  live_.fetch_sub(1, std::memory_order_relaxed);
  const std::uint64_t now = clock_.NowNs();
  MutexLock lock(mutex_);
  free_requests_.PushFront(*slot.request);
  slot.request = nullptr;
  slot.freed_number = ++frees_;
  slot.freed_ns = now;
  if (newest_freed_ != nullptr) {
    newest_freed_->next_free = &slot;
  } else {
    oldest_freed_ = &slot;
  }
  newest_freed_ = &slot;
}

void AsyncContextTable::Free(AsyncHandle handle) {
  if (handle == 0) return;
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return ReportMisuse("free of an async context that never was");
  std::uint64_t word = slot->word.load(std::memory_order_acquire);
  for (;;) {
    if (!SameGeneration(word, handle)) return ReportMisuse("free of a stale async context");
    if (StateOf(word) == AsyncState::kFreed || (word & kOrphaned) != 0) {
      return ReportMisuse("async context freed twice");
    }
    if ((word & kConfiguring) != 0) {
      word = slot->word.load(std::memory_order_acquire);
      continue;
    }
    const bool in_flight = InFlight(StateOf(word));
    const std::uint64_t next = in_flight ? word | kOrphaned : After(word, AsyncEvent::kFree);
    // Read before the exchange: afterwards the slot is the runtime's.
    const bool notified = slot->callback.load(std::memory_order_relaxed) != nullptr;
    if (slot->word.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      Trace("async_free", handle, word);
      if (!in_flight) return Retire(*slot);
      // Without a callback this is the documented pattern for Delete.
      if (notified) ReportMisuse("async context freed while its call is in flight");
      return;
    }
  }
}

template <typename Change>
AsyncResult AsyncContextTable::Configure(AsyncHandle handle, Change change) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  std::uint64_t word = slot->word.load(std::memory_order_acquire);
  for (;;) {
    if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
    if (InFlight(StateOf(word))) return AsyncResult::kInUse;
    if ((word & kConfiguring) != 0) {
      word = slot->word.load(std::memory_order_acquire);
      continue;
    }
    if (slot->word.compare_exchange_weak(word, word | kConfiguring, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      break;
    }
  }
  const std::uint64_t after = change(*slot, word);
  slot->word.store(after, std::memory_order_release);
  return AsyncResult::kOk;
}

AsyncResult AsyncContextTable::Reinit(AsyncHandle handle) {
  return Configure(handle, [](AsyncContextSlot&, std::uint64_t word) {
    return After(word & ~kHasStatus, AsyncEvent::kReinit);
  });
}

AsyncResult AsyncContextTable::SetCallback(AsyncHandle handle, NotifyCallback callback,
                                           void* data) {
  return Configure(handle, [=](AsyncContextSlot& slot, std::uint64_t word) {
    slot.callback.store(callback, std::memory_order_relaxed);
    slot.data.store(data, std::memory_order_relaxed);
    return word;
  });
}

AsyncResult AsyncContextTable::SetMode(AsyncHandle handle, NotifyMode mode) {
  return Configure(handle, [=](AsyncContextSlot& slot, std::uint64_t word) {
    slot.mode = mode;
    return word;
  });
}

AsyncResult AsyncContextTable::SetWaitLimit(AsyncHandle handle, std::uint64_t limit_ns) {
  return Configure(handle, [=](AsyncContextSlot& slot, std::uint64_t word) {
    slot.wait_limit_ns = limit_ns;
    return word;
  });
}

bool AsyncContextTable::RequiresNotify(AsyncHandle handle) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return false;
  const bool registered = slot->callback.load(std::memory_order_acquire) != nullptr;
  return registered && Alive(slot->word.load(std::memory_order_acquire), handle);
}

AsyncResult AsyncContextTable::GetStatus(AsyncHandle handle, std::int32_t* status) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  // Acquire pairs with the release in Publish: the outputs are visible with the status.
  const std::uint64_t word = slot->word.load(std::memory_order_acquire);
  if (!SameGeneration(word, handle)) return AsyncResult::kInvalidHandle;
  switch (StateOf(word)) {
    case AsyncState::kIdle:
      return AsyncResult::kNeverSubmitted;
    case AsyncState::kClaimed:
    case AsyncState::kQueued:
    case AsyncState::kRunning:
    case AsyncState::kRecalled:
    case AsyncState::kParked:
    case AsyncState::kCancelled:
      return AsyncResult::kInUse;
    case AsyncState::kFreed:
      if ((word & kHasStatus) == 0) return AsyncResult::kInvalidHandle;
      break;
    case AsyncState::kPublished:
    case AsyncState::kDone:
      break;
  }
  *status = slot->status.load(std::memory_order_acquire);
  const std::uint64_t again = slot->word.load(std::memory_order_acquire);
  if (!SameGeneration(again, handle)) return AsyncResult::kInvalidHandle;
  return AsyncResult::kOk;
}

AsyncResult AsyncContextTable::BeginSubmit(AsyncHandle handle, bool callback_required,
                                           Request** request) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  std::uint64_t word = slot->word.load(std::memory_order_acquire);
  for (;;) {
    if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
    if (StateOf(word) == AsyncState::kDone) return AsyncResult::kNotReinitialised;
    if (StateOf(word) != AsyncState::kIdle) return AsyncResult::kInUse;
    if ((word & kConfiguring) != 0) {
      word = slot->word.load(std::memory_order_acquire);
      continue;
    }
    if (slot->word.compare_exchange_weak(word, After(word, AsyncEvent::kClaim),
                                         std::memory_order_acq_rel, std::memory_order_acquire)) {
      break;
    }
  }
  if (callback_required && slot->callback.load(std::memory_order_relaxed) == nullptr) {
    slot->request->context_ = slot;
    AbandonSubmit(*slot->request);
    return AsyncResult::kNoCallback;
  }
  slot->request->context_ = slot;
  *request = slot->request;
  Trace("async_claim", handle);
  return AsyncResult::kOk;
}

void AsyncContextTable::AbandonSubmit(Request& request) {
  AsyncContextSlot& slot = *request.context_;
  request.DestroyPayload();
  request.keep_alive_.Reset();
  std::uint64_t word = slot.word.load(std::memory_order_acquire);
  std::uint64_t next = 0;
  do {
    next = After(word, AsyncEvent::kAbandon);
    if ((word & kOrphaned) != 0) next = After(next & ~kOrphaned, AsyncEvent::kFree);
  } while (!slot.word.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
  if (StateOf(next) == AsyncState::kFreed) Retire(slot);
}

void AsyncContextTable::Accept(AsyncContextSlot& slot, bool recallable) {
  const char* const lane = NameOf(slot.request->lane_);
  const std::uint64_t word =
      Move(slot.word, recallable ? AsyncEvent::kEnqueue : AsyncEvent::kCommit);
  TraceCall("async_accept", HandleOf(slot, word), lane);
}

Turn AsyncContextTable::Start(AsyncContextSlot& slot) {
  // A call that is left to who recalls it may be over, and the slot in another, at once.
  const char* const lane = NameOf(slot.request->lane_);
  std::uint64_t word = slot.word.load(std::memory_order_acquire);
  for (;;) {
    if (StateOf(word) == AsyncState::kRunning) return Turn::kRun;  // committed when accepted
    if (StateOf(word) == AsyncState::kCancelled) return Turn::kComplete;
    const std::uint64_t after = After(word, AsyncEvent::kStart);
    if (slot.word.compare_exchange_weak(word, after, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
      TraceCall("async_start", HandleOf(slot, after), lane);
      return StateOf(after) == AsyncState::kRunning ? Turn::kRun : Turn::kLeave;
    }
  }
}

AsyncResult AsyncContextTable::Recall(AsyncHandle handle, Request** request) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  std::uint64_t word = slot->word.load(std::memory_order_acquire);
  for (;;) {
    if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
    const AsyncState state = StateOf(word);
    if (!InFlight(state) || state == AsyncState::kClaimed) {
      return state == AsyncState::kDone ? AsyncResult::kTooLate : AsyncResult::kNeverSubmitted;
    }
    if (!Legal(state, AsyncEvent::kRecall)) return AsyncResult::kTooLate;
    if (slot->word.compare_exchange_weak(word, After(word, AsyncEvent::kRecall),
                                         std::memory_order_acq_rel, std::memory_order_acquire)) {
      break;
    }
  }
  Trace("async_recall", handle);
  *request = slot->request;
  return AsyncResult::kOk;
}

bool AsyncContextTable::Recall(AsyncContextSlot& slot) {
  std::uint64_t word = slot.word.load(std::memory_order_acquire);
  do {
    if (!Legal(StateOf(word), AsyncEvent::kRecall)) return false;
  } while (!slot.word.compare_exchange_weak(word, After(word, AsyncEvent::kRecall),
                                            std::memory_order_acq_rel, std::memory_order_acquire));
  return true;
}

bool AsyncContextTable::LetGo(AsyncContextSlot& slot) {
  std::uint64_t word = slot.word.load(std::memory_order_acquire);
  while (!slot.word.compare_exchange_weak(word, After(word, AsyncEvent::kLetGo),
                                          std::memory_order_acq_rel, std::memory_order_acquire)) {
  }
  return StateOf(word) == AsyncState::kParked;
}

bool AsyncContextTable::Publish(AsyncContextSlot& slot, std::int32_t status) {
  const bool notifies = slot.callback.load(std::memory_order_relaxed) != nullptr;
  const AsyncEvent event = notifies ? AsyncEvent::kPublish : AsyncEvent::kPublishSilently;
  // From the last store on, the slot is the caller's.
  const char* const lane = NameOf(slot.request->lane_);
  slot.status.store(status, std::memory_order_relaxed);
  std::uint64_t word = slot.word.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = After(word, event) | kHasStatus;
    if (!notifies && (word & kOrphaned) != 0) next = After(next & ~kOrphaned, AsyncEvent::kFree);
  } while (!slot.word.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                            std::memory_order_relaxed));
  TraceCallStatus("async_publish", HandleOf(slot, next), lane, status);
  if (StateOf(next) == AsyncState::kFreed) Retire(slot);
  return notifies;
}

AsyncContextTable::Notification AsyncContextTable::EnterCallback(AsyncContextSlot& slot) {
  Notification notification;
  notification.callback = slot.callback.load(std::memory_order_relaxed);
  notification.data = slot.data.load(std::memory_order_relaxed);
  const char* const lane = NameOf(slot.request->lane_);
  const std::uint64_t word = Move(slot.word, AsyncEvent::kEnterCallback);
  // From here on `slot` belongs to the caller, unless it was freed in flight.
  notification.handle = HandleOf(slot, word);
  if ((word & kOrphaned) != 0) notification.orphan = &slot;
  TraceCall("async_notify", notification.handle, lane);
  return notification;
}

void AsyncContextTable::Notification::Invoke() const {
  if (!CallbackGate::Enter()) return;
  callback(reinterpret_cast<_SspiAsyncContext*>(handle), data);
  CallbackGate::Leave();
}

void AsyncContextTable::FinishCallback(const Notification& notification) {
  AsyncContextSlot* slot = notification.orphan;
  if (slot == nullptr) return;
  // Nobody else changes an orphaned context that is done.
  const std::uint64_t word = slot->word.load(std::memory_order_relaxed);
  slot->word.store(After(word & ~kOrphaned, AsyncEvent::kFree), std::memory_order_release);
  Retire(*slot);
}

Request* AsyncContextTable::TakeRequest() {
  Request* request = nullptr;
  {
    MutexLock lock(mutex_);
    request = free_requests_.PopFront();
  }
  if (request == nullptr) request = new (std::nothrow) Request();
  Trace("request_take", 0);
  return request;
}

void AsyncContextTable::GiveBackRequest(Request& request) {
  // A request that was refused still has what it was prepared with.
  request.DestroyPayload();
  request.keep_alive_.Reset();
  MutexLock lock(mutex_);
  free_requests_.PushFront(request);
}

}  // namespace ktlsim::executive
