// What the TLS package counts of a shared context store.
#pragma once

#include <atomic>
#include <cstdint>

namespace ktlsim::sspi {

struct TlsStoreStatistics {
  // TLS 1.2 sessions by session ID. Each look-up is one of the other four.
  std::uint64_t look_ups = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  // The handshake went on as a full one, or ended while it waited.
  std::uint64_t timed_out = 0;
  // It went on as a full one: the store is gone, what it has cannot be read, or too many look-ups
  // were pending.
  std::uint64_t failed = 0;
  std::uint64_t stored = 0;
  std::uint64_t not_stored = 0;
  // Ticket keys.
  std::uint64_t keys_made = 0;      // by this node
  std::uint64_t keys_taken = 0;     // that another node has made
  std::uint64_t key_refreshes = 0;  // begun; those that have ended are one of the next two
  std::uint64_t key_refreshes_ok = 0;
  std::uint64_t key_refreshes_failed = 0;
  std::uint64_t handshakes_without_key = 0;  // no ticket could be made
};

// As they are counted, over all stores of a process. Any thread.
struct TlsStoreCounters {
  using Counter = std::atomic<std::uint64_t>;

  Counter look_ups{0};
  Counter hits{0};
  Counter misses{0};
  Counter timed_out{0};
  Counter failed{0};
  Counter stored{0};
  Counter not_stored{0};
  Counter keys_made{0};
  Counter keys_taken{0};
  Counter key_refreshes{0};
  Counter key_refreshes_ok{0};
  Counter key_refreshes_failed{0};

  TlsStoreStatistics Read() const {
    return {.look_ups = look_ups,
            .hits = hits,
            .misses = misses,
            .timed_out = timed_out,
            .failed = failed,
            .stored = stored,
            .not_stored = not_stored,
            .keys_made = keys_made,
            .keys_taken = keys_taken,
            .key_refreshes = key_refreshes,
            .key_refreshes_ok = key_refreshes_ok,
            .key_refreshes_failed = key_refreshes_failed};
  }
};

inline void Count(TlsStoreCounters::Counter& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace ktlsim::sspi
