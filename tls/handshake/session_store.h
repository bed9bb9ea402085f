// SessionStore: where a server's TLS 1.2 sessions wait for the client that names one by its ID (RFC
// 5246 7.4.1.3), because it takes no ticket. As bytes, so that they may be on another machine.
//
// What a newcomer gets wrong: a look-up may take time. The handshake that needs it stops meanwhile
// and holds no thread (StepOutcome::kWaitsForSession). Whoever drives it waits until the look-up
// wakes him, or gives it up; then the handshake goes on, as a full one if nothing was found.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "tls/handshake/session_cache.h"

namespace ktlsim::tls {

// One look-up. Any thread, up to dispatch level.
class SessionLookUp {
 public:
  SessionLookUp(const SessionLookUp&) = delete;
  SessionLookUp& operator=(const SessionLookUp&) = delete;
  virtual ~SessionLookUp() = default;

  // The longest that a handshake should wait for it.
  std::uint32_t limit_ms() const { return limit_ms_; }

  bool done() const { return done_.load(std::memory_order_acquire); }
  // Once it is done: the session as Put got it. Empty: there is none, or nobody knows of one.
  std::span<const std::byte> session() const { return session_; }

  // `wake` is called when the look-up is done, once, on any thread at dispatch level; one that was
  // given earlier is not. False: it is done, and `wake` is not called.
  [[nodiscard]] bool WakeBy(std::function<void()> wake) KTLSIM_EXCLUDES(lock_);
  // Nobody waits any more: nothing is woken that has not been.
  void GiveUp() KTLSIM_EXCLUDES(lock_);

 protected:
  explicit SessionLookUp(std::uint32_t limit_ms) : limit_ms_(limit_ms) {}

  // For stores, once. `session` lives as long as the look-up. False: it was given up.
  bool Finish(std::span<const std::byte> session) KTLSIM_EXCLUDES(lock_);
  // GiveUp came before Finish.
  virtual void OnGivenUp() {}

 private:
  const std::uint32_t limit_ms_;
  std::span<const std::byte> session_;  // before `done_`
  std::atomic<bool> done_{false};
  SpinLock lock_;
  bool given_up_ KTLSIM_GUARDED_BY(lock_) = false;
  std::function<void()> wake_ KTLSIM_GUARDED_BY(lock_);
};

// Any thread. Implementations neither throw nor block; a session may be lost at any time, which
// costs a full handshake and nothing else. The bytes are secret: whoever has them can go on with
// the session. An ID has 1 to 32 bytes.
class SessionStore {
 public:
  virtual ~SessionStore() = default;
  // `lifetime_s` from now on, at least 1.
  virtual void Put(std::span<const std::byte> id, std::span<const std::byte> session,
                   std::int64_t lifetime_s) noexcept = 0;
  // Perhaps done when it returns. Null: there is no memory for it.
  virtual std::shared_ptr<SessionLookUp> Get(std::span<const std::byte> id) noexcept = 0;
  virtual void Remove(std::span<const std::byte> id) noexcept = 0;
};

// Bounded memory, in sessions and in bytes; each look-up is done at once.
class MemorySessionStore final : public SessionStore {
 public:
  using Options = SessionCacheOptions;
  MemorySessionStore() : MemorySessionStore(Options()) {}
  explicit MemorySessionStore(const Options& options) : cache_(options) {}

  void Put(std::span<const std::byte> id, std::span<const std::byte> session,
           std::int64_t lifetime_s) noexcept override;
  std::shared_ptr<SessionLookUp> Get(std::span<const std::byte> id) noexcept override;
  void Remove(std::span<const std::byte> id) noexcept override;

  // Sessions held now.
  std::size_t size() const { return cache_.size(); }

 private:
  // Wiped.
  struct Secrets {
    explicit Secrets(std::span<const std::byte> session) : bytes(session.begin(), session.end()) {}
    Secrets(const Secrets&) = delete;
    Secrets& operator=(const Secrets&) = delete;
    ~Secrets();
    std::vector<std::byte> bytes;
  };
  struct Kept {
    std::shared_ptr<const Secrets> session;
    std::int64_t expires_at = 0;
    bool single_use = false;
    std::size_t bytes = 0;
  };
  class Found;

  SessionCache<Kept> cache_;
};

}  // namespace ktlsim::tls
