// Machine: a RedisStore on a ring of its own, as another machine would have it, for real servers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "kernel_sim/context_store/redis_store.h"
#include "tests/context_store/redis_store_test_support.h"

namespace ktlsim::context_store {

class Machine {
 public:
  explicit Machine(RedisStoreOptions options, std::shared_ptr<const NodeKeys> keys = TestKeys())
      : ring_(io::MakeRing()) {
    options.watcher = &watcher;
    store = RedisStore::Create(*ring_, std::move(keys), options).value();
    store->Start();
  }
  ~Machine() {
    StoppedItem item;
    store->Stop(item);
    EXPECT_TRUE(Until([&] { return item.stopped; }));
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  bool Until(const std::function<bool()>& done) { return io::TurnUntil(*ring_, done); }
  bool UntilUp() {
    return Until([&] { return watcher.up; });
  }
  StoreResult Get(std::string_view name) {
    return Wait([&] { return store->Get(call, Named(name)); });
  }
  StoreResult Put(std::string_view name, const PutRequest& put) {
    return Wait([&] { return store->Put(call, Named(name), put); });
  }
  StoreResult Remove(std::string_view name) {
    return Wait([&] { return store->Remove(call, Named(name)); });
  }
  StoreResult Advance(std::string_view name, const NonceUse& use) {
    return Wait([&] { return store->Advance(call, Named(name), use); });
  }
  StoreResult Count() {
    return Wait([&] { return store->Count(call); });
  }
  NonceUse Use(std::uint64_t nonce, std::uint32_t count, std::uint32_t window = 64) const {
    return {.epoch = store->epoch(), .nonce = nonce, .count = count, .window = window};
  }

  NotingWatcher watcher;
  TestCall call;
  std::unique_ptr<RedisStore> store;

 private:
  template <typename Begin>
  StoreResult Wait(Begin begin) {
    const int before = call.completions;
    if (begin() == Begun::kPending) {
      EXPECT_TRUE(Until([&] { return call.completions == before + 1; }));
    }
    return call.result();
  }

  std::unique_ptr<io::Ring> ring_;
};

}  // namespace ktlsim::context_store
