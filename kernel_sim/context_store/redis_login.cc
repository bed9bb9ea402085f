#include "kernel_sim/context_store/redis_login.h"

#include <array>
#include <cstring>
#include <new>

#include <openssl/evp.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/context_store/redis_error.h"

namespace ktlsim::context_store {
namespace {

// Of the two names that Redis gives a run. Never 0.
std::uint64_t EpochOf(std::string_view run_id, std::string_view replication_id) {
  std::string names(run_id);
  names.append(":").append(replication_id);
  std::array<unsigned char, 32> hash{};
  unsigned int size = 0;
  if (EVP_Digest(names.data(), names.size(), hash.data(), &size, EVP_sha256(), nullptr) != 1) {
    return 0;
  }
  std::uint64_t epoch = 0;
  std::memcpy(&epoch, hash.data(), sizeof(epoch));
  return epoch | 1;
}

}  // namespace

std::string_view InfoField(std::string_view info, std::string_view field) {
  while (!info.empty()) {
    const std::size_t end = std::min(info.find('\n'), info.size());
    std::string_view line = info.substr(0, end);
    info.remove_prefix(std::min(end + 1, info.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > field.size() && line.starts_with(field) && line[field.size()] == ':') {
      return line.substr(field.size() + 1);
    }
  }
  return {};
}

void RedisLogin::Begin(const LoginFacts& facts) {
  failed_ = false;
  awaited_ = 0;
  server_.clear();
  bool sent = true;
  const auto send = [&](std::span<const std::string_view> command) {
    sent = sent && link_.Send(command, *this);
    if (sent) ++awaited_;
  };
  if (!facts.password.empty() && facts.user.empty()) {
    send(std::array<std::string_view, 2>{"AUTH", facts.password});
  } else if (!facts.password.empty()) {
    send(std::array<std::string_view, 3>{"AUTH", facts.user, facts.password});
  }
  if (facts.database != 0) {
    const std::string database = std::to_string(facts.database);
    send(std::array<std::string_view, 2>{"SELECT", database});
  }
  send(std::array<std::string_view, 2>{"INFO", "server"});
  send(std::array<std::string_view, 2>{"INFO", "replication"});
  if (!sent) Fail(StoreResult::kUnavailable, "there is no memory to log in");
}

void RedisLogin::Fail(StoreResult why, const char* words) {
  if (failed_) return;
  failed_ = true;
  handler_.OnLoginFailed(why, words);
}

void RedisLogin::OnReply(const RespValue* reply) {
  --awaited_;
  if (reply == nullptr || failed_) return;
  if (reply->type == RespValue::Type::kError) {
    const RedisError error = ExplainRedisError(reply->text);
    Fail(error.result, error.words);
    return;
  }
  try {
    if (reply->type == RespValue::Type::kText) server_ += reply->text;
    if (awaited_ == 0) Judge();
  } catch (const std::bad_alloc&) {
    Fail(StoreResult::kUnavailable, "there is no memory to log in");
  }
}

void RedisLogin::Judge() {
  const std::string_view mode = InfoField(server_, "redis_mode");
  if (mode == "cluster") {
    Fail(StoreResult::kUnsupported,
         "Redis Cluster is not supported: name a single server, or Sentinels");
    return;
  }
  if (mode == "sentinel") {
    Fail(StoreResult::kUnsupported, "this is a Sentinel: write redis+sentinel://HOST:PORT/MASTER");
    return;
  }
  if (InfoField(server_, "role") != "master") {
    Fail(StoreResult::kReadOnly, "this Redis is a replica: name its master");
    return;
  }
  const std::string_view run_id = InfoField(server_, "run_id");
  const std::uint64_t epoch =
      run_id.empty() ? 0 : EpochOf(run_id, InfoField(server_, "master_replid"));
  if (epoch == 0) {
    Fail(StoreResult::kUnsupported, "the server does not name its run (run_id in INFO)");
    return;
  }
  handler_.OnLoggedIn(epoch);
}

}  // namespace ktlsim::context_store
