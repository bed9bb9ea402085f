// A RedisStore and its server on one in-memory ring, in virtual time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/context_store/redis_store.h"
#include "tests/context_store/scripted_redis.h"
#include "tests/context_store/store_test_support.h"

namespace ktlsim::context_store {

inline std::shared_ptr<const NodeKeys> TestKeys(char first = 'k', char previous = '\0') {
  const std::string current(32, first);
  const std::string other(32, previous);
  return NodeKeys::Create(Bytes(current), previous == '\0' ? Bytes("") : Bytes(other)).value();
}

class NotingWatcher final : public RedisWatcher {
 public:
  void OnStoreUp() override {
    ++ups;
    up = true;
  }
  void OnStoreDown(StoreResult why, std::string_view words) override {
    ++downs;
    up = false;
    last = why;
    last_words = words;
  }
  bool up = false;
  int ups = 0;
  int downs = 0;
  StoreResult last = StoreResult::kOk;
  std::string last_words;
};

class StoppedItem final : public WorkItem {
 public:
  StoppedItem()
      : WorkItem([](WorkItem& item) { static_cast<StoppedItem&>(item).stopped = true; }) {}
  bool stopped = false;
};

class RedisStoreTest : public ::testing::Test {
 protected:
  RedisStoreTest() {
    network = std::make_unique<io::MemoryNetwork>(io::MemoryNetworkOptions{});
    ring = io::CreateMemoryRing(*network, {}).value();
    redis = std::make_unique<ScriptedRedis>(*ring);
    options.servers = {redis->address()};
    options.watcher = &watcher;
  }
  void Begin() {
    store = RedisStore::Create(*ring, TestKeys(), options).value();
    store->Start();
  }
  void BeginAndLogIn() {
    Begin();
    ASSERT_TRUE(Until([&] { return watcher.ups == 1; }));
  }
  bool Until(const std::function<bool()>& done) { return io::TurnUntil(*ring, done); }
  // Virtual time passes.
  void Pass(std::uint64_t ns) {
    const std::uint64_t end = ring->NowNs() + ns;
    while (ring->NowNs() < end) ring->Turn(end - ring->NowNs());
  }
  StoreResult Wait(TestCall& one) {
    EXPECT_TRUE(Until([&] { return one.completions == 1; }));
    EXPECT_EQ(one.completions, 1);
    return one.result();
  }
  StoreResult Get(std::uint64_t limit_ns = 0) {
    TestCall one;
    one.limit_ns = limit_ns;
    EXPECT_EQ(store->Get(one, Named("name")), Begun::kPending);
    return Wait(one);
  }
  NonceUse Use(std::uint32_t count) const {
    return {.epoch = store->epoch(), .nonce = 5, .count = count, .window = 64};
  }
  StoreResult Advance(const NonceUse& use) {
    TestCall one;
    EXPECT_EQ(store->Advance(one, Named("name"), use), Begun::kPending);
    return Wait(one);
  }
  void Stop() {
    StoppedItem item;
    store->Stop(item);
    ASSERT_TRUE(Until([&] { return item.stopped; }));
    store.reset();
  }
  void TearDown() override {
    if (store != nullptr) Stop();
    redis.reset();
    const io::RingStatistics left = ring->Statistics();
    EXPECT_EQ(left.operations + left.sockets + left.buffers_lent + left.timers, 0U);
  }

  std::unique_ptr<io::MemoryNetwork> network;
  std::unique_ptr<io::MemoryRing> ring;
  std::unique_ptr<ScriptedRedis> redis;
  NotingWatcher watcher;
  RedisStoreOptions options;
  std::unique_ptr<RedisStore> store;
};

// The reply to a look-up of "name": `value` sealed in `sealed_in`, with counts of `counted_in`.
inline std::string FoundReply(const std::string& value, const std::string& counted_in = "") {
  std::vector<std::byte> sealed;
  EXPECT_TRUE(TestKeys()->Seal(Named("name"), 0, Bytes(value), &sealed));
  return "*4\r\n:0\r\n" + Bulk(Text(sealed)) + Bulk(std::string(16, '0')) + Bulk(counted_in);
}

}  // namespace ktlsim::context_store
