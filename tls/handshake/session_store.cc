#include "tls/handshake/session_store.h"

#include <ctime>
#include <functional>
#include <new>
#include <utility>

namespace ktlsim::tls {

struct MemorySessionStore::Shard {
  struct Entry {
    std::string key;
    std::list<StoredSession> sessions;  // newest first
  };
  using Entries = std::list<Entry>;  // most recently used first

  mutable Mutex mutex;
  Entries entries KTLSIM_GUARDED_BY(mutex);
  // The views look into `entries`, whose elements do not move.
  std::unordered_map<std::string_view, Entries::iterator> index KTLSIM_GUARDED_BY(mutex);

  std::size_t bytes KTLSIM_GUARDED_BY(mutex) = 0;

  void Erase(Entries::iterator entry) KTLSIM_REQUIRES(mutex) {
    for (const StoredSession& session : entry->sessions) bytes -= session.bytes;
    index.erase(entry->key);
    entries.erase(entry);
  }
  void Pop(Entry& entry, std::list<StoredSession>::iterator session) KTLSIM_REQUIRES(mutex) {
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

MemorySessionStore::MemorySessionStore(Options options)
    : options_(options), shards_(std::make_unique<Shard[]>(kShards)) {}

MemorySessionStore::~MemorySessionStore() {
  for (std::size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mutex);
    while (!shards_[i].entries.empty()) shards_[i].Erase(shards_[i].entries.begin());
  }
}

MemorySessionStore::Shard& MemorySessionStore::ShardOf(std::string_view key) const {
  return shards_[std::hash<std::string_view>()(key) % kShards];
}

std::int64_t MemorySessionStore::Now() const {
  return options_.now_s != nullptr ? options_.now_s() : static_cast<std::int64_t>(time(nullptr));
}

void MemorySessionStore::Put(std::string_view key, StoredSession session) noexcept {
  Shard& shard = ShardOf(key);
  try {
    MutexLock lock(shard.mutex);
    Shard::Entry& entry = shard.Touch(key);
    const std::size_t bytes = session.bytes;
    entry.sessions.push_front(std::move(session));
    shard.bytes += bytes;
    // A reusable session makes older ones unnecessary.
    const std::size_t kept = entry.sessions.front().single_use ? options_.sessions_per_key_max : 1;
    while (entry.sessions.size() > kept) shard.Pop(entry, std::prev(entry.sessions.end()));
    const std::size_t keys_max = options_.keys_max / kShards + 1;
    const std::size_t bytes_max = options_.bytes_max / kShards;
    while (shard.entries.size() > keys_max || (shard.bytes > bytes_max && !shard.entries.empty())) {
      shard.Erase(std::prev(shard.entries.end()));
    }
  } catch (const std::bad_alloc&) {
    return;  // lost, which the interface allows
  }
}

std::optional<StoredSession> MemorySessionStore::Get(std::string_view key) noexcept {
  Shard& shard = ShardOf(key);
  try {
    MutexLock lock(shard.mutex);
    const auto found = shard.index.find(key);
    if (found == shard.index.end()) return std::nullopt;
    const auto entry = found->second;
    const std::int64_t now = Now();
    std::optional<StoredSession> result;
    while (!entry->sessions.empty() && !result) {
      StoredSession& newest = entry->sessions.front();
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

void MemorySessionStore::Remove(std::string_view key) noexcept {
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  const auto found = shard.index.find(key);
  if (found != shard.index.end()) shard.Erase(found->second);
}

std::size_t MemorySessionStore::bytes() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mutex);
    count += shards_[i].bytes;
  }
  return count;
}

std::size_t MemorySessionStore::size() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kShards; ++i) {
    MutexLock lock(shards_[i].mutex);
    for (const Shard::Entry& entry : shards_[i].entries) count += entry.sessions.size();
  }
  return count;
}

}  // namespace ktlsim::tls
