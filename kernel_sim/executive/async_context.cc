#include "kernel_sim/executive/async_context.h"

#include <new>

#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/async_word.h"
#include "kernel_sim/executive/callback_gate.h"
#include "kernel_sim/executive/misuse.h"

namespace ktlsim::executive {

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
  request->set_context(slot);
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

// The slot's state is kFreed already, and no other thread touches its fields.
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
  const char* misuse = nullptr;
  bool notified = false;
  const Change change = Update(slot->word, [&](std::uint64_t word) {
    misuse = MisuseOfFree(word, handle);
    if (misuse != nullptr) return word;
    if ((word & kConfiguring) != 0) return kLookAgain;
    // Read before the exchange: afterwards the slot is the runtime's.
    notified = slot->callback.load(std::memory_order_relaxed) != nullptr;
    return InFlight(StateOf(word)) ? word | kOrphaned : After(word, AsyncEvent::kFree);
  });
  if (misuse != nullptr) return ReportMisuse(misuse);
  Trace("async_free", handle, change.before);
  if (!InFlight(StateOf(change.before))) return Retire(*slot);
  // Without a callback this is the documented pattern for Delete.
  if (notified) ReportMisuse("async context freed while its call is in flight");
}

template <typename Set>
AsyncResult AsyncContextTable::Configure(AsyncHandle handle, Set set) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  AsyncResult refusal = AsyncResult::kOk;
  const Change change = Update(slot->word, [&](std::uint64_t word) {
    refusal = RefusalToConfigure(word, handle);
    if (refusal != AsyncResult::kOk) return word;
    return (word & kConfiguring) != 0 ? kLookAgain : word | kConfiguring;
  });
  if (refusal != AsyncResult::kOk) return refusal;
  const std::uint64_t after = set(*slot, change.before);
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
  AsyncResult refusal = AsyncResult::kOk;
  Update(slot->word, [&](std::uint64_t word) {
    refusal = RefusalToClaim(word, handle);
    if (refusal != AsyncResult::kOk) return word;
    return (word & kConfiguring) != 0 ? kLookAgain : After(word, AsyncEvent::kClaim);
  });
  if (refusal != AsyncResult::kOk) return refusal;
  if (callback_required && slot->callback.load(std::memory_order_relaxed) == nullptr) {
    AbandonSubmit(*slot->request);
    return AsyncResult::kNoCallback;
  }
  *request = slot->request;
  Trace("async_claim", handle);
  return AsyncResult::kOk;
}

void AsyncContextTable::AbandonSubmit(Request& request) {
  AsyncContextSlot& slot = *request.context();
  request.Discard();
  const Change change =
      Update(slot.word, [](std::uint64_t word) { return AfterEnd(word, AsyncEvent::kAbandon); });
  if (StateOf(change.after) == AsyncState::kFreed) Retire(slot);
}

void AsyncContextTable::Accept(AsyncContextSlot& slot, bool recallable) {
  const char* const lane = NameOf(slot.request->lane());
  const Change change = Move(slot.word, recallable ? AsyncEvent::kEnqueue : AsyncEvent::kCommit);
  TraceCall("async_accept", HandleOf(slot, change.after), lane);
}

Turn AsyncContextTable::Start(AsyncContextSlot& slot) {
  // A call that is left to the thread that recalls it may be over at once, and the slot in another
  // state.
  const char* const lane = NameOf(slot.request->lane());
  const Change change = Update(slot.word, [](std::uint64_t word) {
    const AsyncState state = StateOf(word);
    const bool decided = state == AsyncState::kRunning || state == AsyncState::kCancelled;
    return decided ? word : After(word, AsyncEvent::kStart);
  });
  if (StateOf(change.after) == AsyncState::kCancelled) return Turn::kComplete;
  // Unchanged: the call was committed when it was accepted.
  if (change.after != change.before) {
    TraceCall("async_start", HandleOf(slot, change.after), lane);
  }
  return StateOf(change.after) == AsyncState::kRunning ? Turn::kRun : Turn::kLeave;
}

AsyncResult AsyncContextTable::Recall(AsyncHandle handle, Request** request) {
  AsyncContextSlot* slot = SlotOf(handle);
  if (slot == nullptr) return AsyncResult::kInvalidHandle;
  AsyncResult refusal = AsyncResult::kOk;
  Update(slot->word, [&](std::uint64_t word) {
    refusal = RefusalToRecall(word, handle);
    return refusal == AsyncResult::kOk ? After(word, AsyncEvent::kRecall) : word;
  });
  if (refusal != AsyncResult::kOk) return refusal;
  Trace("async_recall", handle);
  *request = slot->request;
  return AsyncResult::kOk;
}

bool AsyncContextTable::Recall(AsyncContextSlot& slot) {
  const Change change = Update(slot.word, [](std::uint64_t word) {
    return Legal(StateOf(word), AsyncEvent::kRecall) ? After(word, AsyncEvent::kRecall) : word;
  });
  return change.after != change.before;
}

bool AsyncContextTable::LetGo(AsyncContextSlot& slot) {
  return StateOf(Move(slot.word, AsyncEvent::kLetGo).before) == AsyncState::kParked;
}

bool AsyncContextTable::Publish(AsyncContextSlot& slot, std::int32_t status) {
  const bool notifies = slot.callback.load(std::memory_order_relaxed) != nullptr;
  const AsyncEvent event = notifies ? AsyncEvent::kPublish : AsyncEvent::kPublishSilently;
  // From the last store on, the slot is the caller's.
  const char* const lane = NameOf(slot.request->lane());
  slot.status.store(status, std::memory_order_relaxed);
  const Change change = Update(slot.word, [=](std::uint64_t word) {
    return (notifies ? After(word, event) : AfterEnd(word, event)) | kHasStatus;
  });
  TraceCallStatus("async_publish", HandleOf(slot, change.after), lane, status);
  if (StateOf(change.after) == AsyncState::kFreed) Retire(slot);
  return notifies;
}

AsyncContextTable::Notification AsyncContextTable::EnterCallback(AsyncContextSlot& slot) {
  Notification notification;
  notification.callback = slot.callback.load(std::memory_order_relaxed);
  notification.data = slot.data.load(std::memory_order_relaxed);
  const char* const lane = NameOf(slot.request->lane());
  const std::uint64_t word = Move(slot.word, AsyncEvent::kEnterCallback).after;
  // From here on the context belongs to its owner, unless it was freed in flight.
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
  // No other thread changes an orphaned context that is done.
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
  if (request == nullptr) {
    request = new (std::nothrow) Request();
  } else {
    request->set_context(nullptr);
  }
  Trace("request_take", 0);
  return request;
}

void AsyncContextTable::GiveBackRequest(Request& request) {
  // A refused request still holds what it was prepared with.
  request.Discard();
  MutexLock lock(mutex_);
  free_requests_.PushFront(request);
}

}  // namespace ktlsim::executive
