// MemoryStore: a ContextStore in this process's memory. Every operation is over when it is begun.
//
// Bounded: when it is full, an entry that was not looked at lately makes room. So what strangers
// can make (challenges without a response) belongs into a store of its own, where it pushes out
// nothing but itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/memory_region.h"

namespace ktlsim::context_store {

struct MemoryStoreOptions {
  // 1 to 2^31. Memory is taken as entries come, addresses at once. A large store is divided into
  // shards of the same size, the fullest of which makes room a little earlier than the whole.
  std::size_t entries_max = 1'000'000;
  // For values that do not fit into their slot beside the name: 88 bytes for both.
  std::size_t outside_bytes_max = std::size_t{256} << 20;
};

class MemoryShard;

class MemoryStore final : public ContextStore {
 public:
  // kContract: bad options. kResource: no memory. kCrypto: no random numbers. `clock` must outlive
  // the store.
  static Result<std::unique_ptr<MemoryStore>> Create(const Clock& clock,
                                                     const MemoryStoreOptions& options);
  ~MemoryStore() override;

  // ContextStore; never kPending.
  std::uint64_t epoch() const override { return epoch_; }
  [[nodiscard]] Begun Get(StoreCall& call, const Key& key) override;
  [[nodiscard]] Begun Put(StoreCall& call, const Key& key, const PutRequest& put) override;
  [[nodiscard]] Begun Remove(StoreCall& call, const Key& key) override;
  [[nodiscard]] Begun Advance(StoreCall& call, const Key& key, const NonceUse& use) override;
  [[nodiscard]] Begun Count(StoreCall& call) override;

 private:
  explicit MemoryStore(const Clock& clock);
  Status Begin(const MemoryStoreOptions& options);
  std::uint64_t HashOf(const Key& key) const;
  MemoryShard& ShardOf(std::uint64_t hash) const;

  // Fixed.
  const Clock& clock_;
  std::uint64_t epoch_ = 0;
  std::uint64_t hash_keys_[2] = {};
  unsigned shard_bits_ = 0;
  MemoryRegion region_;  // of all shards
  std::unique_ptr<MemoryShard[]> shards_;
};

}  // namespace ktlsim::context_store
