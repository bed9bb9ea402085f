// SharedStore: the Redis in which several servers keep the contexts of Digest, so that a client of
// one is a client of all.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/loop.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/context_store/redis_store.h"
#include "kernel_sim/serve/log.h"

namespace ktlsim::command {

// As `ktlsim serve` is told.
struct StoreConfig {
  std::string url;       // empty: this process's memory
  std::string node_key;  // a file
  std::string previous_node_key;
  std::uint32_t wait_ms = 2000;

  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// Checks the settings against each other, and reads the key. Empty: all is well; else what is wrong
// and the remedy. Passive level.
std::string CheckStore(const StoreConfig& config);

class SharedStore final : private context_store::RedisWatcher {
 public:
  // Digest keeps its contexts there from now on. A Redis that is not there is no error: it is tried
  // again, and meanwhile every client authenticates again. Null: `*error` says why. Passive level;
  // the library is started. `log` must outlive it.
  static std::unique_ptr<SharedStore> Start(const StoreConfig& config, serve::Log& log,
                                            std::string* error);
  // Leaves the contexts in the Redis, for the other servers. Passive level, before the library
  // stops.
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

 private:
  SharedStore(io::Loop& loop, serve::Log& log) : loop_(loop), log_(log) {}

  void OnStoreUp() override;
  void OnStoreDown(context_store::StoreResult why, std::string_view words) override;

  io::Loop& loop_;
  serve::Log& log_;
  // Old contexts may have it a little longer.
  std::shared_ptr<context_store::RedisStore> store_;
};

}  // namespace ktlsim::command
