#include "kernel_sim/command/shared_store.h"

#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/context_store/redis_url.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/transport/processors.h"

namespace ktlsim::command {
namespace {

using context_store::NodeKeys;
using context_store::RedisStore;
using context_store::RedisStoreOptions;
using context_store::RedisUrl;

std::string ServersOf(const RedisUrl& url, std::vector<io::Address>* servers) {
  if (!url.unix_path.empty()) {
    SocketName name;
    std::string wrong = ParseSocketName("unix:" + url.unix_path, SocketUse::kConnect, &name);
    return wrong.empty() ? LookUp(name, servers) : wrong;
  }
  for (const context_store::RedisHost& host : url.hosts) {
    SocketName name;
    name.host = host.host;
    name.port = host.port;
    std::vector<io::Address> addresses;
    std::string wrong = LookUp(name, &addresses);
    if (!wrong.empty()) return wrong;
    // One server; of Sentinels each one is another.
    servers->push_back(addresses.front());
  }
  return {};
}

std::string LoadKeys(const StoreConfig& config, std::shared_ptr<const NodeKeys>* keys) {
  const char* const previous =
      config.previous_node_key.empty() ? nullptr : config.previous_node_key.c_str();
  Result<std::shared_ptr<const NodeKeys>> loaded =
      NodeKeys::Load(config.node_key.c_str(), previous);
  if (!loaded) {
    return fmt::format(
        "--node-key {}: {}; `head -c 64 /dev/urandom > FILE` makes one, which all "
        "servers of the store have",
        config.node_key, loaded.status().ToString());
  }
  *keys = std::move(*loaded);
  return {};
}

}  // namespace

std::string CheckStore(const StoreConfig& config) {
  if (config.url.empty()) {
    return config.node_key.empty() && config.previous_node_key.empty()
               ? ""
               : "node-key is for a context store that several servers share: give context-store "
                 "(--context-store redis://HOST:PORT)";
  }
  if (config.node_key.empty()) {
    return "a shared context store needs node-key (--node-key FILE), under which its secrets are "
           "sealed; `head -c 64 /dev/urandom > FILE` makes one, which all servers of the store "
           "have";
  }
  std::shared_ptr<const NodeKeys> keys;
  return LoadKeys(config, &keys);
}

std::unique_ptr<SharedStore> SharedStore::Start(const StoreConfig& config, serve::Log& log,
                                                std::string* error) {
  RedisUrl url;
  RedisStoreOptions options;
  std::shared_ptr<const NodeKeys> keys;
  *error = ParseRedisUrl(config.url, &url);
  if (error->empty()) *error = ServersOf(url, &options.servers);
  if (!error->empty()) {
    *error = "--context-store: " + *error;
    return nullptr;
  }
  *error = LoadKeys(config, &keys);
  if (!error->empty()) return nullptr;
  options.sentinel_master = url.master;
  options.user = url.user;
  options.password = url.password;
  options.database = url.database;
  options.limit_ns = config.wait_ms * kNsPerMs;
  const Result<std::vector<io::Loop*>> loops = transport::LoopsOfRole("");
  if (!loops) {
    *error = loops.status().ToString();
    return nullptr;
  }
  std::unique_ptr<SharedStore> shared(new SharedStore(*loops->front(), log));
  options.watcher = shared.get();
  Result<std::unique_ptr<RedisStore>> store = RedisStore::Create(*loops->front(), keys, options);
  if (!store) {
    *error = "--context-store: " + store.status().ToString();
    return nullptr;
  }
  shared->store_ = std::move(*store);
  transport::RunOnLoop(shared->loop_, [&] { shared->store_->Start(); });
  if (sspi::DigestPackage::Instance().UseStore(shared->store_, keys)) return shared;
  *error = "--context-store: there are no random numbers";
  return nullptr;
}

SharedStore::~SharedStore() {
  if (store_ == nullptr) return;
  // From here on nothing is begun there.
  static_cast<void>(sspi::DigestPackage::Instance().UseStore(nullptr, nullptr));
  struct Quiet final : WorkItem {
    Quiet() : WorkItem([](WorkItem& item) { static_cast<Quiet&>(item).latch.CountDown(); }) {}
    transport::StopLatch latch{1};
  } quiet;
  transport::RunOnLoop(loop_, [&] { store_->Stop(quiet); });
  quiet.latch.Wait();
}

// A line each: at most one for each attempt to connect, which are a second apart.
void SharedStore::OnStoreUp() {
  try {
    log_.Write(serve::LogLevel::kInfo, "the context store is there", {});
  } catch (const std::bad_alloc&) {
    log_.NoteLost();
  }
}

void SharedStore::OnStoreDown(context_store::StoreResult why, std::string_view words) {
  try {
    log_.Write(serve::LogLevel::kError, "the context store is gone: clients authenticate again",
               {{"outcome", context_store::NameOf(why)}, {"reason", words}});
  } catch (const std::bad_alloc&) {
    log_.NoteLost();
  }
}

}  // namespace ktlsim::command
