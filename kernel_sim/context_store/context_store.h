// ContextStore: what outlives a connection: digest contexts with their nonce counts, TLS sessions,
// ticket keys. One asynchronous interface; the entries are in this process's memory
// (memory_store.h) or in a Redis that several machines share.
//
// What a newcomer gets wrong: a count that cannot be judged is never good. kStale, kUnavailable,
// kTimedOut and the like all mean that the request at hand may be a replay: challenge the client
// again, serve nothing. After kTimedOut it is not known whether the count was advanced.
//
// An operation is either over when its function returns, or completes later by StoreCall::OnStored.
// So no thread waits for a store, and with memory nothing is suspended.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel_sim/base/count_window.h"
#include "kernel_sim/base/work_item.h"

namespace ktlsim::context_store {

// What an entry is. Names of different kinds never meet.
enum class Kind : std::uint8_t { kDigestContext, kTlsSession, kTicketKeys };
inline constexpr std::size_t kKinds = 3;

inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kValueBytesMax = 64 * 1024;
inline constexpr std::uint32_t kNonceWindowMax = CountWindow::kBelowMax;

enum class StoreResult : std::uint8_t {
  kOk,
  kNotFound,       // nothing under this name: never put, removed, expired or evicted
  kExists,         // kCreate: the name is taken
  kStale,          // the nonce is of another life of the store, or it is not (or no longer) known
  kOutOfSequence,  // the count was used before, is too low or, without a window, not the next one
  kTooLarge,       // a name or a value beyond its bound
  kUnreadable,     // the entry was not sealed under our node keys, or it was altered
  // The store's own state. Nothing is known about the entry.
  kUnavailable,  // not connected, starting, or out of order
  kTimedOut,     // no reply within the limit
  kFull,         // it has no memory for more
  kRefused,      // user, password or permissions are wrong
  kReadOnly,     // a replica
  kWrongType,    // the key holds something that is not ours
  kNotDurable,   // advanced, but not confirmed by a replica: it may be forgotten
  kUnsupported,  // a kind of server that is not supported (Cluster)
  kStopped,      // the store was stopped
};
const char* NameOf(StoreResult result);

// True: the result says how the store is and nothing about the entry.
constexpr bool IsStoreFailure(StoreResult result) { return result >= StoreResult::kUnavailable; }

struct Key {
  Kind kind = Kind::kDigestContext;
  std::span<const std::byte> name;  // 1 to kNameBytesMax bytes
};

// One use of a nonce: the request number `count` ("nc" of RFC 7616 3.4) that was signed with it.
struct NonceUse {
  // ContextStore::epoch() when the nonce was made. It belongs into the nonce, under its MAC:
  // a nonce of another epoch was used in counts that are gone.
  std::uint64_t epoch = 0;
  // 0: no nonce. Each later nonce of an entry has a greater number, so that a nonce whose count
  // has been dropped is recognised.
  std::uint64_t nonce = 0;
  std::uint32_t count = 0;
  // 0: strict, the next count only. Otherwise at most kNonceWindowMax: any count above the highest
  // seen, or one of the `window` below it that was not yet seen.
  std::uint32_t window = 0;
};

enum class PutMode : std::uint8_t {
  kSet,
  kCreate,
  kReplace,
  // As kCreate, and nothing has stood under the name for as long as the new entry is kept idle.
  // kStale: the store has dropped entries, or may do so, and nobody knows which.
  kFirst,
};

// Names that are used once: when such an entry is removed, its name stays taken until the entry
// would have expired. kCreate and kFirst: kExists; all else: kNotFound.
constexpr bool IsNameUsedOnce(Kind kind) { return kind == Kind::kDigestContext; }

struct PutRequest {
  std::span<const std::byte> value;  // up to kValueBytesMax bytes
  PutMode mode = PutMode::kSet;
  std::uint64_t lifetime_ns = 0;  // from now; at least a millisecond
  // 0: none. Otherwise the entry also expires so long after its last Put or Advance.
  std::uint64_t idle_ns = 0;
  // The use that this entry is put for; without a nonce there is nothing to be counted. A nonce
  // with a greater number than the entry's becomes its newest one. If the use is refused, nothing
  // is written.
  NonceUse use;
  // How long the nonce that was the newest until now remains good beside the new one.
  std::uint64_t previous_nonce_ns = 0;
};

struct StoreCounts {
  std::array<std::uint64_t, kKinds> entries{};
  std::uint64_t evicted = 0;  // alive, to make room
  std::uint64_t expired = 0;
};

// One operation on a store: where its outcome goes. One operation at a time; may be used again when
// that is over. Neither copied nor moved: a store knows its address.
class StoreCall {
 public:
  StoreCall() = default;
  StoreCall(const StoreCall&) = delete;
  StoreCall& operator=(const StoreCall&) = delete;
  // Not while an operation is pending. Wipes the value.
  virtual ~StoreCall();

  // Exactly once for each operation that returned kPending, on the store's thread at dispatch
  // level. May begin the next operation, or destroy the call.
  virtual void OnStored() = 0;

  StoreResult result() const { return result_; }
  // What Get has found; lives until the next operation.
  std::span<const std::byte> value() const { return value_; }
  // What Count has found.
  const StoreCounts& counts() const { return counts_; }

  // The longest a pending operation may take; 0: the store's own limit. Set before it is begun.
  std::uint64_t limit_ns = 0;

  // For stores.
  void SetResult(StoreResult result) { result_ = result; }
  void SetValue(std::span<const std::byte> value);
  void SetCounts(const StoreCounts& counts) { counts_ = counts; }

 private:
  StoreResult result_ = StoreResult::kOk;
  std::vector<std::byte> value_;
  StoreCounts counts_;
};

enum class Begun : std::uint8_t {
  kDone,     // result() is there, OnStored is not called
  kPending,  // OnStored follows, perhaps before this has returned
};

// For stores: an operation that is over before it was pending.
inline Begun Done(StoreCall& call, StoreResult result) {
  call.SetResult(result);
  return Begun::kDone;
}
// For stores: false is kTooLarge.
inline bool Fits(const Key& key) { return !key.name.empty() && key.name.size() <= kNameBytesMax; }

// Any thread, up to dispatch level; neither blocks nor throws. Spans must stay alive and unchanged
// until the operation is over.
class ContextStore {
 public:
  virtual ~ContextStore() = default;

  // Changes whenever counts may have been lost: with the process for memory, with the server's run
  // for Redis. 0: not known yet, and no nonce that is made now will ever be good.
  virtual std::uint64_t epoch() const = 0;

  // kOk: value() is the value. kNotFound, kTooLarge, kUnreadable, or the store's state. kStale: the
  // value is there, and all counts of the entry are lost.
  [[nodiscard]] virtual Begun Get(StoreCall& call, const Key& key) = 0;
  // kOk: written, and `put.use` is counted. kExists, kNotFound (kReplace, or a removed name that is
  // used once), kStale, kOutOfSequence, kTooLarge, or the store's state.
  [[nodiscard]] virtual Begun Put(StoreCall& call, const Key& key, const PutRequest& put) = 0;
  // kOk or kNotFound: the entry is gone. kTooLarge, or the store's state.
  [[nodiscard]] virtual Begun Remove(StoreCall& call, const Key& key) = 0;
  // Judges and advances the count in one step, which no other thread or machine can come between.
  // Call it when the response has proved right. kOk: this use is the first. kOutOfSequence: it is
  // not. kNotFound, kStale, kTooLarge, or the store's state.
  [[nodiscard]] virtual Begun Advance(StoreCall& call, const Key& key, const NonceUse& use) = 0;
  // For statistics: counts() says how many entries there are; it may miss what changes meanwhile.
  [[nodiscard]] virtual Begun Count(StoreCall& call) = 0;
};

}  // namespace ktlsim::context_store
