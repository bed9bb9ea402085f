#include "kernel_sim/command/shared_store.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/context_store/redis_url.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/transport/processors.h"

namespace ktlsim::command {
namespace {

using context_store::NodeKeys;
using context_store::RedisStore;
using context_store::RedisStoreOptions;
using context_store::RedisUrl;
using sspi::DigestPackage;
using sspi::TlsPackage;

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
  if (!config.ca_file.empty() && !config.url.starts_with("rediss://")) {
    return "context-store-ca is for a context store over TLS: give context-store "
           "(--context-store rediss://HOST:PORT)";
  }
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
  if (url.tls) {
    shared->streams_ = TlsStoreStreams::Start(url.hosts.front().host, config.ca_file, error);
    if (shared->streams_ == nullptr) {
      *error = "--context-store: " + *error;
      return nullptr;
    }
    options.streams = shared->streams_.get();
  }
  Result<std::unique_ptr<RedisStore>> store = RedisStore::Create(*loops->front(), keys, options);
  if (!store) {
    *error = "--context-store: " + store.status().ToString();
    return nullptr;
  }
  shared->store_ = std::move(*store);
  transport::RunOnLoop(shared->loop_, [&] {
    shared->store_->Start();
    shared->StartRefreshTimer();
  });
  if (!shared->Use(keys, config.wait_ms)) {
    *error = "--context-store: there is no memory, or there are no random numbers";
    return nullptr;
  }
  // The first clients get tickets, too.
  shared->WaitForTicketKeys(std::min(config.wait_ms, kStartWaitMs));
  return shared;
}

bool SharedStore::Use(const std::shared_ptr<const NodeKeys>& keys, std::uint32_t wait_ms) {
  sspi::TlsStoreOptions options;
  options.wait_ms = wait_ms;
  options.tickets_refreshed = [this](bool seals) { NoteRefreshed(seals); };
  return DigestPackage::Instance().UseStore(store_, keys) &&
         TlsPackage::Instance().UseStore(store_, options);
}

void SharedStore::NoteRefreshed(bool seals) {
  {
    const MutexLock lock(mutex_);
    if (ticket_key_ == seals) return;
    ticket_key_ = seals;
    changed_.notify_all();
  }
  if (seals) {
    Tell(serve::LogLevel::kInfo, "TLS tickets are sealed under the keys in the context store", {});
  } else {
    Tell(
        serve::LogLevel::kError,
        "there is no key for TLS tickets: handshakes are full ones until the context store has one",
        {});
  }
}

void SharedStore::WaitForTicketKeys(std::uint32_t limit_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  const MutexLock lock(mutex_);
  while (!ticket_key_.has_value()) {
    if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) return;
  }
}

void SharedStore::StartRefreshTimer() {
  bool has_key = false;
  {
    const MutexLock lock(mutex_);
    has_key = ticket_key_.value_or(false);
  }
  loop_.StartTimer(refresh_timer_, loop_.NowNs() + (has_key ? kRefreshNs : kRetryNs));
}

void SharedStore::OnRefreshTimer() {
  TlsPackage::Instance().RefreshTicketKeys();
  StartRefreshTimer();
}

SharedStore::~SharedStore() {
  if (store_ == nullptr) return;
  // From here on nothing is begun there.
  static_cast<void>(DigestPackage::Instance().UseStore(nullptr, nullptr));
  static_cast<void>(TlsPackage::Instance().UseStore(nullptr));
  struct Quiet final : WorkItem {
    Quiet() : WorkItem([](WorkItem& item) { static_cast<Quiet&>(item).latch.CountDown(); }) {}
    transport::StopLatch latch{1};
  } quiet;
  transport::RunOnLoop(loop_, [&] {
    loop_.StopTimer(refresh_timer_);
    store_->Stop(quiet);
  });
  quiet.latch.Wait();
}

// A line each: at most one for each attempt to connect, which are a second apart.
void SharedStore::OnStoreUp() {
  TlsPackage::Instance().RefreshTicketKeys();
  Tell(serve::LogLevel::kInfo, "the context store is there", {});
}

void SharedStore::OnStoreDown(context_store::StoreResult why, std::string_view words) {
  Tell(serve::LogLevel::kError, "the context store is gone: clients authenticate again",
       {{"outcome", context_store::NameOf(why)}, {"reason", words}});
}

void SharedStore::Tell(serve::LogLevel level, std::string_view event,
                       std::initializer_list<serve::LogField> fields) {
  try {
    log_.Write(level, event, fields);
  } catch (const std::bad_alloc&) {
    log_.NoteLost();
  }
}

}  // namespace ktlsim::command
