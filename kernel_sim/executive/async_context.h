// AsyncContextTable: the async contexts that an `SspiAsyncContext*` names, and their life cycle.
//
// async_state.h has their states and moves. A context that is freed in flight becomes an orphan:
// the runtime frees it once its callback has returned.
//
// A handle is an index and a generation, never an address. The final status of a freed context can
// be read until its slot is used again, which is after 65,536 other frees and one second at the
// earliest: Microsoft's sample polls at a time when its callback may have freed the context.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/async_state.h"
#include "kernel_sim/executive/request.h"

struct _SspiAsyncContext;  // never defined: a handle that looks like a pointer

namespace ktlsim::executive {

using AsyncHandle = std::uint64_t;  // 0 is never a handle
using NotifyCallback = void (*)(_SspiAsyncContext* handle, void* data);

enum class NotifyMode : std::uint8_t {
  kPool,         // passive level, a notification thread
  kOnProcessor,  // dispatch level, the submitting processor, after the current job
};

enum class AsyncResult : std::uint8_t {
  kOk,
  kInvalidHandle,     // null, stale, freed, made up
  kInUse,             // in flight, or published with the callback not entered yet
  kNotReinitialised,  // done, and not reinitialised for the next call
  kNoCallback,        // the operation needs one
  kNeverSubmitted,    // there is no status
  kTooLate,           // the call runs, is suspended, has ended, or is cancelled already
};

// What a processor does with a request whose turn has come.
enum class Turn : std::uint8_t {
  kRun,
  kComplete,  // it was cancelled and has its status already
  kLeave,     // another thread is recalling it, and will schedule it again
};

// Special values of AsyncContextSlot::wait_limit_ns: the executive's limit, and none at all.
inline constexpr std::uint64_t kDefaultWaitLimit = 0;
inline constexpr std::uint64_t kNoWaitLimit = ~std::uint64_t{0};

// One async context. Its state says who may write its fields: in kIdle and kDone the caller, while
// it holds the configure bit; in flight the runtime.
struct alignas(64) AsyncContextSlot {
  std::atomic<std::uint64_t> word{0};  // generation (32) | flags | AsyncState
  std::atomic<std::int32_t> status{0};
  NotifyMode mode = NotifyMode::kPool;
  std::uint64_t wait_limit_ns = kDefaultWaitLimit;
  // Atomic, because a caller may break the rules and free the context on one thread while it
  // registers a callback on another.
  std::atomic<NotifyCallback> callback{nullptr};
  std::atomic<void*> data{nullptr};
  Request* request = nullptr;
  AsyncContextSlot* next_free = nullptr;
  std::uint64_t freed_number = 0;
  std::uint64_t freed_ns = 0;
  std::uint32_t index = 0;
};

class AsyncContextTable {
 public:
  static constexpr std::uint64_t kQuarantineFrees = 65536;
  static constexpr std::uint64_t kQuarantineNs = kNsPerSecond;

  explicit AsyncContextTable(const Clock& clock);
  ~AsyncContextTable();
  AsyncContextTable(const AsyncContextTable&) = delete;
  AsyncContextTable& operator=(const AsyncContextTable&) = delete;

  // All functions: any thread, any level, never block for long.

  AsyncHandle Create();  // 0: out of memory
  void Free(AsyncHandle handle);
  AsyncResult Reinit(AsyncHandle handle);
  AsyncResult SetCallback(AsyncHandle handle, NotifyCallback callback, void* data);
  AsyncResult SetMode(AsyncHandle handle, NotifyMode mode);
  // How long its next calls may wait in a queue.
  AsyncResult SetWaitLimit(AsyncHandle handle, std::uint64_t limit_ns);
  bool RequiresNotify(AsyncHandle handle);
  // kOk: the call has ended with *status; also after Free, until the slot is used again. kInUse: it
  // is still pending. kInvalidHandle: also for a context that was freed without a final status.
  AsyncResult GetStatus(AsyncHandle handle, std::int32_t* status);

  // The runtime's side.

  // Claims the context for one call, whose request the caller then fills and submits to the
  // executive. If it does not come to that, AbandonSubmit undoes the claim.
  AsyncResult BeginSubmit(AsyncHandle handle, bool callback_required, Request** request);
  void AbandonSubmit(Request& request);

  // The call was accepted. `recallable`: it can be recalled until its turn comes.
  void Accept(AsyncContextSlot& slot, bool recallable);
  // The call's turn has come, for the first time.
  Turn Start(AsyncContextSlot& slot);
  // Takes a queued call back. kOk: until LetGo its request stays as it is, and nobody else
  // completes it, even when its turn comes. kTooLate, kInvalidHandle, kNeverSubmitted (nothing is
  // in flight).
  AsyncResult Recall(AsyncHandle handle, Request** request);
  // The same, when the caller knows that the call cannot end meanwhile. False: too late.
  bool Recall(AsyncContextSlot& slot);
  // Ends a recall: the call will complete without having run. True: its turn came meanwhile, and
  // the caller schedules it again.
  bool LetGo(AsyncContextSlot& slot);

  // What a notification needs, copied before the context is given up.
  struct Notification {
    NotifyCallback callback = nullptr;
    void* data = nullptr;
    AsyncHandle handle = 0;
    AsyncContextSlot* orphan = nullptr;  // the runtime frees it after the callback

    // Calls the callback, unless the process is ending.
    void Invoke() const;
  };
  // Makes `status` the outcome. False: there is no callback, and the context belongs to its owner
  // again. True: EnterCallback must follow.
  bool Publish(AsyncContextSlot& slot, std::int32_t status);
  // Marks the call as over. The caller invokes the callback next, and then calls FinishCallback.
  Notification EnterCallback(AsyncContextSlot& slot);
  void FinishCallback(const Notification& notification);

  // Requests for synchronous callers, from the same store. Null: out of memory.
  Request* TakeRequest();
  void GiveBackRequest(Request& request);

  std::uint64_t live() const { return live_.load(std::memory_order_relaxed); }

  // Around a fork: no other thread may be changing the table while the process is copied.
  void lock() KTLSIM_ACQUIRE(mutex_) { mutex_.lock(); }
  void unlock() KTLSIM_RELEASE(mutex_) { mutex_.unlock(); }

 private:
  static constexpr std::uint32_t kChunkSlots = 1024;
  static constexpr std::uint32_t kChunks = 16384;

  AsyncContextSlot* SlotOf(AsyncHandle handle) const;
  AsyncContextSlot* TakeSlot() KTLSIM_EXCLUDES(mutex_);
  void Retire(AsyncContextSlot& slot) KTLSIM_EXCLUDES(mutex_);
  template <typename Set>
  AsyncResult Configure(AsyncHandle handle, Set set);

  const Clock& clock_;
  std::array<std::atomic<AsyncContextSlot*>, kChunks> chunks_{};
  std::atomic<std::uint64_t> live_{0};

  Mutex mutex_;
  AsyncContextSlot* oldest_freed_ KTLSIM_GUARDED_BY(mutex_) = nullptr;
  AsyncContextSlot* newest_freed_ KTLSIM_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t frees_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t grown_ KTLSIM_GUARDED_BY(mutex_) = 0;
  Request::Queue free_requests_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::executive
