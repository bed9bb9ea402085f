// SessionCache: sessions in memory, by key, with bounds: the least recently used key leaves first,
// and within one key the oldest session. Private to this module.
//
// `Session` has expires_at (seconds since 1970; not found from then on), single_use (it leaves with
// the first Get) and bytes (about how much memory it holds).
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::tls {

struct SessionCacheOptions {
  std::size_t keys_max = 20'000;
  std::size_t sessions_per_key_max = 4;
  std::size_t bytes_max = 64 << 20;
  std::int64_t (*now_s)() = nullptr;  // the system clock
};

// Any thread. A session may be lost at any time, also for want of memory.
template <typename Session>
class SessionCache {
 public:
  explicit SessionCache(const SessionCacheOptions& options)
      : options_(options), shards_(std::make_unique<Shard[]>(kShards)) {}
  ~SessionCache() {
    for (std::size_t i = 0; i < kShards; ++i) {
      MutexLock lock(shards_[i].mutex);
      while (!shards_[i].entries.empty()) shards_[i].Erase(shards_[i].entries.begin());
    }
  }
  SessionCache(const SessionCache&) = delete;
  SessionCache& operator=(const SessionCache&) = delete;

  void Put(std::string_view key, Session session) noexcept {
    Shard& shard = ShardOf(key);
    try {
      MutexLock lock(shard.mutex);
      Entry& entry = shard.Touch(key);
      const std::size_t bytes = session.bytes;
      entry.sessions.push_front(std::move(session));
      shard.bytes += bytes;
      // A reusable session makes older ones unnecessary.
      const std::size_t kept =
          entry.sessions.front().single_use ? options_.sessions_per_key_max : 1;
      while (entry.sessions.size() > kept) shard.Pop(entry, std::prev(entry.sessions.end()));
      const std::size_t keys_max = options_.keys_max / kShards + 1;
      const std::size_t bytes_max = options_.bytes_max / kShards;
      while (shard.entries.size() > keys_max ||
             (shard.bytes > bytes_max && !shard.entries.empty())) {
        shard.Erase(std::prev(shard.entries.end()));
      }
    } catch (const std::bad_alloc&) {
      return;  // lost
    }
  }

  // The newest one alive.
  std::optional<Session> Get(std::string_view key) noexcept {
    Shard& shard = ShardOf(key);
    try {
      MutexLock lock(shard.mutex);
      const auto found = shard.index.find(key);
      if (found == shard.index.end()) return std::nullopt;
      const auto entry = found->second;
      const std::int64_t now = NowS();
      std::optional<Session> result;
      while (!entry->sessions.empty() && !result) {
        Session& newest = entry->sessions.front();
        if (newest.expires_at > now) {
          result = newest;
          if (!newest.single_use) break;
        }
        shard.Pop(*entry, entry->sessions.begin());
      }
      if (entry->sessions.empty()) {
        shard.Erase(entry);
      } else {
        shard.entries.splice(shard.entries.begin(), shard.entries, entry);
      }
      return result;
    } catch (const std::bad_alloc&) {
      return std::nullopt;
    }
  }

  void Remove(std::string_view key) noexcept {
    Shard& shard = ShardOf(key);
    MutexLock lock(shard.mutex);
    const auto found = shard.index.find(key);
    if (found != shard.index.end()) shard.Erase(found->second);
  }

  // Sessions held now, and their bytes.
  std::size_t size() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
      MutexLock lock(shards_[i].mutex);
      for (const Entry& entry : shards_[i].entries) count += entry.sessions.size();
    }
    return count;
  }
  std::size_t bytes() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kShards; ++i) {
      MutexLock lock(shards_[i].mutex);
      count += shards_[i].bytes;
    }
    return count;
  }

  std::int64_t NowS() const {
    return options_.now_s != nullptr ? options_.now_s() : static_cast<std::int64_t>(time(nullptr));
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct Entry {
    std::string key;
    std::list<Session> sessions;  // newest first
  };
  using Entries = std::list<Entry>;  // most recently used first

  struct Shard {
    mutable Mutex mutex;
    Entries entries KTLSIM_GUARDED_BY(mutex);
    // The views look into `entries`, whose elements do not move.
    std::unordered_map<std::string_view, typename Entries::iterator> index KTLSIM_GUARDED_BY(mutex);
    std::size_t bytes KTLSIM_GUARDED_BY(mutex) = 0;

    void Erase(typename Entries::iterator entry) KTLSIM_REQUIRES(mutex) {
      for (const Session& session : entry->sessions) bytes -= session.bytes;
      index.erase(entry->key);
      entries.erase(entry);
    }
    void Pop(Entry& entry, typename std::list<Session>::iterator session) KTLSIM_REQUIRES(mutex) {
      bytes -= session->bytes;
      entry.sessions.erase(session);
    }
    Entry& Touch(std::string_view key) KTLSIM_REQUIRES(mutex) {
      const auto found = index.find(key);
      if (found != index.end()) {
        entries.splice(entries.begin(), entries, found->second);
        return entries.front();
      }
      entries.push_front({std::string(key), {}});
      try {
        index.emplace(entries.front().key, entries.begin());
      } catch (...) {
        entries.pop_front();
        throw;
      }
      return entries.front();
    }
  };

  Shard& ShardOf(std::string_view key) const {
    return shards_[std::hash<std::string_view>()(key) % kShards];
  }

  const SessionCacheOptions options_;
  const std::unique_ptr<Shard[]> shards_;
};

}  // namespace ktlsim::tls
