// TlsSessionStore: TLS 1.2 sessions by session ID in a context store that several nodes share.
//
// Any thread, up to dispatch level; nothing waits, except Close. A look-up that the store does not
// finish at once is one that a leg is suspended for.
//
// Anybody may name sessions, before any authentication, and the store takes a bounded number of
// operations, for other users as well. So few look-ups are pending at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "kernel_sim/base/rundown.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "tls/handshake/session_store.h"

namespace ktlsim::sspi {

class TlsSessionStore final : public tls::SessionStore {
 public:
  // Look-ups that the store has; one more is done at once, without a session, and has failed.
  static constexpr std::size_t kPendingMax = 1024;

  // `wait_ms`: the longest that a handshake waits; 1 to 30,000. `counters` outlives it. May throw
  // std::bad_alloc.
  TlsSessionStore(TlsStoreCounters& counters, std::shared_ptr<context_store::ContextStore> store,
                  std::uint32_t wait_ms)
      : counters_(counters), store_(std::move(store)), wait_ms_(wait_ms) {}

  void Put(std::span<const std::byte> id, std::span<const std::byte> session,
           std::int64_t lifetime_s) noexcept override;
  std::shared_ptr<tls::SessionLookUp> Get(std::span<const std::byte> id) noexcept override;
  void Remove(std::span<const std::byte> id) noexcept override;

  // From when this returns the store is not touched any more. Passive level.
  void Close();

 private:
  class LookUp;
  class Errand;
  using Pending = std::atomic<std::size_t>;

  template <typename Call, typename Begin>
  void Run(const std::shared_ptr<Call>& call, Begin begin);

  TlsStoreCounters& counters_;
  const std::shared_ptr<context_store::ContextStore> store_;
  const std::uint32_t wait_ms_;
  const std::shared_ptr<Pending> pending_ = std::make_shared<Pending>(0);
  Rundown open_;
};

}  // namespace ktlsim::sspi
