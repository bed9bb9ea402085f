#include "kernel_sim/context_store/memory_store.h"

#include <bit>
#include <cstring>
#include <new>

#include <openssl/rand.h>

#include "kernel_sim/context_store/memory_shard.h"

namespace ktlsim::context_store {
namespace {

constexpr unsigned kShardBitsMax = 6;
constexpr std::size_t kEntriesOfAShardMin = 1024;
constexpr std::size_t kEntriesMax = std::size_t{1} << 31;
static_assert(kEntriesMax >> kShardBitsMax <= MemoryShard::kEntriesMax);

// Both halves of the 128-bit product.
std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

Result<std::unique_ptr<MemoryStore>> MemoryStore::Create(const Clock& clock,
                                                         const MemoryStoreOptions& options) {
  try {
    std::unique_ptr<MemoryStore> store(new MemoryStore(clock));
    const Status begun = store->Begin(options);
    if (!begun.ok()) return begun;
    return store;
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for the context store");
  }
}

MemoryStore::MemoryStore(const Clock& clock) : clock_(clock) {}
MemoryStore::~MemoryStore() = default;

Status MemoryStore::Begin(const MemoryStoreOptions& options) {
  if (options.entries_max == 0 || options.entries_max > kEntriesMax) {
    return {Category::kContract, 0, "a context store holds 1 to 2^31 entries"};
  }
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&epoch_), sizeof(epoch_)) != 1 ||
      RAND_bytes(reinterpret_cast<unsigned char*>(hash_keys_), sizeof(hash_keys_)) != 1) {
    return {Category::kCrypto, 0, "no random numbers for the context store"};
  }
  epoch_ |= 1;         // not 0
  hash_keys_[0] |= 1;  // a factor of 0 would lose what it multiplies
  hash_keys_[1] |= 1;
  while (shard_bits_ < kShardBitsMax &&
         options.entries_max >> (shard_bits_ + 1) >= kEntriesOfAShardMin) {
    ++shard_bits_;
  }
  const std::size_t shards = std::size_t{1} << shard_bits_;
  const auto entries_of_one = static_cast<std::uint32_t>(options.entries_max / shards);
  const Status reserved = region_.Reserve(shards * MemoryShard::RegionBytes(entries_of_one));
  if (!reserved.ok()) return reserved;
  shards_ = std::make_unique<MemoryShard[]>(shards);
  for (std::size_t i = 0; i < shards; ++i) {
    shards_[i].Begin(entries_of_one, options.outside_bytes_max / shards, &region_);
  }
  return {};
}

std::uint64_t MemoryStore::HashOf(const Key& key) const {
  std::uint64_t hash =
      hash_keys_[0] ^ (key.name.size() << 8 | static_cast<std::uint64_t>(key.kind));
  for (std::size_t at = 0; at < key.name.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.name.data() + at, std::min(sizeof(word), key.name.size() - at));
    hash = Mix(hash ^ word, hash_keys_[1]);
  }
  return Mix(hash, hash_keys_[0]);
}

// The shard uses the low half.
MemoryShard& MemoryStore::ShardOf(std::uint64_t hash) const {
  return shards_[(hash >> 32) & ((std::uint64_t{1} << shard_bits_) - 1)];
}

Begun MemoryStore::Get(StoreCall& call, const Key& key) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  const std::uint64_t hash = HashOf(key);
  MemoryShard& shard = ShardOf(hash);
  shard.Expect(hash);  // it comes while the clock is read and the lock is taken
  try {
    return Done(call, shard.Get({key, hash}, clock_.NowNs(), call));
  } catch (const std::bad_alloc&) {
    return Done(call, StoreResult::kFull);
  }
}

Begun MemoryStore::Put(StoreCall& call, const Key& key, const PutRequest& put) {
  if (!Fits(key) || put.value.size() > kValueBytesMax) return Done(call, StoreResult::kTooLarge);
  if (put.use.nonce != 0 && put.use.epoch != epoch_) return Done(call, StoreResult::kStale);
  const std::uint64_t hash = HashOf(key);
  return Done(call, ShardOf(hash).Put({key, hash}, put, clock_.NowNs()));
}

Begun MemoryStore::Remove(StoreCall& call, const Key& key) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  const std::uint64_t hash = HashOf(key);
  return Done(call, ShardOf(hash).Remove({key, hash}, clock_.NowNs()));
}

Begun MemoryStore::Advance(StoreCall& call, const Key& key, const NonceUse& use) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  const std::uint64_t hash = HashOf(key);
  if (use.epoch != epoch_) return Done(call, StoreResult::kStale);
  MemoryShard& shard = ShardOf(hash);
  shard.Expect(hash);
  return Done(call, shard.Advance({key, hash}, use, clock_.NowNs()));
}

Begun MemoryStore::Count(StoreCall& call) {
  StoreCounts counts;
  for (std::size_t i = 0; i < std::size_t{1} << shard_bits_; ++i) shards_[i].AddCounts(&counts);
  call.SetCounts(counts);
  return Done(call, StoreResult::kOk);
}

}  // namespace ktlsim::context_store
