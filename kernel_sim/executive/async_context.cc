#include "kernel_sim/executive/async_context.h"

#include <new>

#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/misuse.h"

namespace ktlsim::executive {
namespace {

constexpr std::uint64_t kStateMask = 0x0f;
// A caller is changing callback or mode; held for a few instructions.
constexpr std::uint64_t kConfiguring = 0x10;
// Freed while in flight: the runtime frees it when the call is over.
constexpr std::uint64_t kOrphaned = 0x20;
// There is a final status to read, also after Free.
constexpr std::uint64_t kHasStatus = 0x40;
constexpr unsigned kGenerationShift = 32;
constexpr std::uint64_t kLow = 0xffffffff;

AsyncState StateOf(std::uint64_t word) { return static_cast<AsyncState>(word & kStateMask); }
std::uint64_t Bits(AsyncState state) { return static_cast<std::uint64_t>(state); }
std::uint64_t WithState(std::uint64_t word, AsyncState state) {
  return (word & ~kStateMask) | Bits(state);
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

AsyncContextTable::AsyncContextTable(const Clock& clock)
    : clock_(clock), chunks_(new std::atomic<AsyncContextSlot*>[kChunks]()) {}

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
  slot->status.store(0, std::memory_order_relaxed);
  const std::uint64_t generation =
      (slot->word.load(std::memory_order_relaxed) >> kGenerationShift) + 1;
  const std::uint64_t word = (generation << kGenerationShift) | Bits(AsyncState::kIdle);
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
    const bool in_flight =
        StateOf(word) == AsyncState::kInFlight || StateOf(word) == AsyncState::kPublished;
    const std::uint64_t next = in_flight ? word | kOrphaned : WithState(word, AsyncState::kFreed);
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
    if (StateOf(word) == AsyncState::kInFlight || StateOf(word) == AsyncState::kPublished) {
      return AsyncResult::kInUse;
    }
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
    return WithState(word & ~kHasStatus, AsyncState::kIdle);
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
    case AsyncState::kInFlight:
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
    if (slot->word.compare_exchange_weak(word, WithState(word, AsyncState::kInFlight),
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
  return AsyncResult::kOk;
}

void AsyncContextTable::AbandonSubmit(Request& request) {
  AsyncContextSlot& slot = *request.context_;
  request.DestroyPayload();
  request.keep_alive_.Reset();
  std::uint64_t word = slot.word.load(std::memory_order_acquire);
  std::uint64_t next = 0;
  do {
    next = (word & kOrphaned) != 0 ? WithState(word & ~kOrphaned, AsyncState::kFreed)
                                   : WithState(word, AsyncState::kIdle);
  } while (!slot.word.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
  if (StateOf(next) == AsyncState::kFreed) Retire(slot);
}

bool AsyncContextTable::Publish(AsyncContextSlot& slot, std::int32_t status) {
  const bool notifies = slot.callback.load(std::memory_order_relaxed) != nullptr;
  const AsyncState target = notifies ? AsyncState::kPublished : AsyncState::kDone;
  slot.status.store(status, std::memory_order_relaxed);
  std::uint64_t word = slot.word.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    KTLSIM_ASSERT(StateOf(word) == AsyncState::kInFlight);
    next = WithState(word, target) | kHasStatus;
    if (!notifies && (word & kOrphaned) != 0) {
      next = WithState(word & ~kOrphaned, AsyncState::kFreed) | kHasStatus;
    }
  } while (!slot.word.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                            std::memory_order_relaxed));
  Trace("async_publish", HandleOf(slot, next), static_cast<std::uint32_t>(status));
  if (StateOf(next) == AsyncState::kFreed) Retire(slot);
  return notifies;
}

AsyncContextTable::Notification AsyncContextTable::EnterCallback(AsyncContextSlot& slot) {
  Notification notification;
  notification.callback = slot.callback.load(std::memory_order_relaxed);
  notification.data = slot.data.load(std::memory_order_relaxed);
  std::uint64_t word = slot.word.load(std::memory_order_relaxed);
  do {
    KTLSIM_ASSERT(StateOf(word) == AsyncState::kPublished);
  } while (!slot.word.compare_exchange_weak(word, WithState(word, AsyncState::kDone),
                                            std::memory_order_acq_rel, std::memory_order_relaxed));
  // From here on `slot` belongs to the caller, unless it was freed in flight.
  notification.handle = HandleOf(slot, word);
  if ((word & kOrphaned) != 0) notification.orphan = &slot;
  Trace("async_notify", notification.handle);
  return notification;
}

void AsyncContextTable::FinishCallback(const Notification& notification) {
  AsyncContextSlot* slot = notification.orphan;
  if (slot == nullptr) return;
  // Nobody else changes an orphaned context that is done.
  const std::uint64_t word = slot->word.load(std::memory_order_relaxed);
  slot->word.store(WithState(word & ~kOrphaned, AsyncState::kFreed), std::memory_order_release);
  Retire(*slot);
}

Request* AsyncContextTable::TakeRequest() {
  {
    MutexLock lock(mutex_);
    if (Request* request = free_requests_.PopFront()) return request;
  }
  return new (std::nothrow) Request();
}

void AsyncContextTable::GiveBackRequest(Request& request) {
  // A request that was refused still has what it was prepared with.
  request.DestroyPayload();
  request.keep_alive_.Reset();
  MutexLock lock(mutex_);
  free_requests_.PushFront(request);
}

}  // namespace ktlsim::executive
