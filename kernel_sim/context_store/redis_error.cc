#include "kernel_sim/context_store/redis_error.h"

#include <algorithm>
#include <array>

namespace ktlsim::context_store {
namespace {

struct Row {
  std::string_view start;
  RedisError error;
};

constexpr auto kRows = std::to_array<Row>({
    {"OOM", {StoreResult::kFull, "Redis has no memory left: raise its maxmemory"}},
    {"NOAUTH",
     {StoreResult::kRefused, "Redis wants a password: write redis://:PASSWORD@HOST:PORT"}},
    {"WRONGPASS", {StoreResult::kRefused, "Redis does not accept this user and password"}},
    {"NOPERM",
     {StoreResult::kRefused,
      "the Redis user lacks a permission: it needs +@hash +@scripting +@keyspace +info +wait +time "
      "+select "
      "and the keys ktlsim:*"}},
    {"ERR invalid password", {StoreResult::kRefused, "Redis does not accept this password"}},
    {"ERR Client sent AUTH",
     {StoreResult::kRefused, "Redis has no password: write redis://HOST:PORT"}},
    {"ERR AUTH", {StoreResult::kRefused, "Redis has no password: write redis://HOST:PORT"}},
    {"ERR wrong number of arguments for 'auth'",
     {StoreResult::kRefused, "this Redis knows no users: write redis://:PASSWORD@HOST:PORT"}},
    {"DENIED",
     {StoreResult::kRefused, "Redis is in protected mode: set a password, or bind it to loopback"}},
    {"READONLY", {StoreResult::kReadOnly, "this Redis is a replica: name its master"}},
    {"WRONGTYPE", {StoreResult::kWrongType, "a key ktlsim:* holds something else"}},
    {"NOREPLICAS",
     {StoreResult::kNotDurable, "Redis has too few replicas (min-replicas-to-write)"}},
    {"MOVED",
     {StoreResult::kUnsupported,
      "Redis Cluster is not supported: name a single server, or Sentinels"}},
    {"ASK",
     {StoreResult::kUnsupported,
      "Redis Cluster is not supported: name a single server, or Sentinels"}},
    {"CROSSSLOT",
     {StoreResult::kUnsupported,
      "Redis Cluster is not supported: name a single server, or Sentinels"}},
    {"CLUSTERDOWN",
     {StoreResult::kUnsupported,
      "Redis Cluster is not supported: name a single server, or Sentinels"}},
    {"LOADING", {StoreResult::kUnavailable, "Redis is loading its data"}},
    {"MASTERDOWN", {StoreResult::kUnavailable, "this replica has lost its master"}},
    {"BUSY", {StoreResult::kUnavailable, "Redis is busy with a script of somebody"}},
    {"MISCONF", {StoreResult::kUnavailable, "Redis cannot write its dump and takes no writes"}},
    {"UNBLOCKED", {StoreResult::kUnavailable, "Redis has changed its role"}},
    {"ERR max number of clients",
     {StoreResult::kUnavailable, "Redis has too many clients (maxclients)"}},
    {"ERR DB index", {StoreResult::kRefused, "Redis has no database of this number"}},
    {"ERR invalid DB index", {StoreResult::kRefused, "Redis has no database of this number"}},
    {"ERR SELECT is not allowed",
     {StoreResult::kUnsupported,
      "Redis Cluster is not supported: name a single server, or Sentinels"}},
});

const Row* Find(std::string_view text) {
  for (const Row& row : kRows) {
    if (text.starts_with(row.start)) return &row;
  }
  return nullptr;
}

}  // namespace

RedisError ExplainRedisError(std::string_view text) {
  const Row* row = Find(text);
  if (row == nullptr && text.starts_with("ERR Error running script")) {
    // "ERR Error running script (call to f_...): @user_script:7: OOM command not allowed ..."
    constexpr std::string_view kPlace = "@user_script:";
    const std::size_t at = text.rfind(kPlace);
    if (at != std::string_view::npos) text.remove_prefix(at + kPlace.size());
    text.remove_prefix(std::min(text.find_first_not_of("0123456789: "), text.size()));
    row = Find(text);
  }
  if (row != nullptr) return row->error;
  return {StoreResult::kUnavailable, "Redis replies with an error that ktlsim does not know"};
}

bool IsScriptMissing(std::string_view text) { return text.starts_with("NOSCRIPT"); }

}  // namespace ktlsim::context_store
