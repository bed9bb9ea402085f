// The operations of a RedisStore; redis_store_link.cc has its connection.
#include "kernel_sim/context_store/redis_store.h"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/context_store/redis_error.h"
#include "kernel_sim/context_store/redis_script.h"

namespace ktlsim::context_store {
namespace {

constexpr std::uint64_t kLimitMinNs = kNsPerMs;
constexpr std::uint64_t kLimitMaxNs = 30 * kNsPerSecond;
constexpr std::size_t kServersMax = 16;

const char* Wrong(const NodeKeys* keys, const RedisStoreOptions& options) {
  if (keys == nullptr) {
    return "a shared store needs a node key, the same on all machines, to seal what it holds: head "
           "-c 32 /dev/urandom > FILE, then --node-key FILE";
  }
  if (options.servers.empty() || options.servers.size() > kServersMax) {
    return "a shared store has one server, or 1 to 16 Sentinels";
  }
  if (options.servers.size() > 1 && options.sentinel_master.empty()) {
    return "several servers are Sentinels, and need the name of the master";
  }
  if (options.limit_ns < kLimitMinNs || options.limit_ns > kLimitMaxNs) {
    return "the limit of a store's operation is 1 ms to 30 s";
  }
  if (options.calls_max == 0) return "a store takes one operation at least";
  return nullptr;
}

}  // namespace

// ---- Making and beginning

Result<std::unique_ptr<RedisStore>> RedisStore::Create(io::Loop& loop,
                                                       std::shared_ptr<const NodeKeys> keys,
                                                       const RedisStoreOptions& options) {
  if (const char* const wrong = Wrong(keys.get(), options); wrong != nullptr) {
    return Status(Category::kContract, 0, wrong);
  }
  try {
    std::unique_ptr<RedisStore> store(new RedisStore(loop, std::move(keys), options));
    if (store->script_sha_.empty()) return Status(Category::kCrypto, 0, "SHA-1 of the script");
    return store;
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for the context store");
  }
}

RedisStore::RedisStore(io::Loop& loop, std::shared_ptr<const NodeKeys> keys,
                       const RedisStoreOptions& options)
    : loop_(loop),
      keys_(std::move(keys)),
      options_(options),
      login_facts_{
          .user = options.user, .password = options.password, .database = options.database},
      replicas_(options.sentinel_master.empty() ? options.replicas
                                                : std::max(options.replicas, 1U)),
      script_sha_(StoreScriptSha()),
      link_(loop, *this, options.streams),
      login_(link_, *this) {
  if (!options.sentinel_master.empty()) {
    sentinels_.emplace(loop, static_cast<SentinelHandler&>(*this), options.servers,
                       options.sentinel_master);
  }
}

RedisStore::~RedisStore() {
  KTLSIM_ASSERT(state_ == RedisState::kIdle || state_ == RedisState::kStopped);
  KTLSIM_ASSERT(calls_.load(std::memory_order_relaxed) == 0);
}

template <typename Make>
Begun RedisStore::Begin(StoreCall& call, Make make) {
  if (calls_.fetch_add(1, std::memory_order_relaxed) >= options_.calls_max) {
    calls_.fetch_sub(1, std::memory_order_relaxed);
    return Done(call, StoreResult::kUnavailable);
  }
  try {
    auto made = std::make_unique<RedisCall>(static_cast<RedisCallOwner&>(*this), call);
    if (make(*made)) {
      loop_.Post(*made.release());
      return Begun::kPending;
    }
  } catch (const std::bad_alloc&) {
    call.SetResult(StoreResult::kUnavailable);  // as if OpenSSL had refused
  }
  calls_.fetch_sub(1, std::memory_order_relaxed);
  return Done(call, StoreResult::kUnavailable);
}

Begun RedisStore::Get(StoreCall& call, const Key& key) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  return Begin(call, [&](RedisCall& made) { return made.MakeGet(*keys_, key); });
}

Begun RedisStore::Put(StoreCall& call, const Key& key, const PutRequest& put) {
  if (!Fits(key) || put.value.size() > kValueBytesMax) return Done(call, StoreResult::kTooLarge);
  if (put.use.nonce != 0 && put.use.epoch == 0) return Done(call, StoreResult::kStale);
  return Begin(call, [&](RedisCall& made) { return made.MakePut(*keys_, key, put); });
}

Begun RedisStore::Remove(StoreCall& call, const Key& key) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  return Begin(call, [&](RedisCall& made) { return made.MakeRemove(*keys_, key); });
}

Begun RedisStore::Advance(StoreCall& call, const Key& key, const NonceUse& use) {
  if (!Fits(key)) return Done(call, StoreResult::kTooLarge);
  if (use.nonce == 0 || use.epoch == 0) return Done(call, StoreResult::kStale);
  return Begin(call, [&](RedisCall& made) { return made.MakeAdvance(*keys_, key, use); });
}

Begun RedisStore::Count(StoreCall& call) {
  return Begin(call, [](RedisCall& made) {
    made.MakeCount();
    return true;
  });
}

// ---- A call on the loop

void RedisStore::OnPosted(RedisCall& call) {
  if (stopped_ != nullptr) {
    Complete(call, StoreResult::kStopped);
    return;
  }
  if (!Admit(call)) {
    Complete(call, problem_);
    return;
  }
  const std::uint64_t own_ns = call.limit_ns();
  const std::uint64_t limit_ns =
      own_ns == 0 ? options_.limit_ns : std::min(own_ns, options_.limit_ns);
  loop_.StartTimer(call, loop_.NowNs() + limit_ns);
  if (state_ == RedisState::kUp) {
    Submit(call);
  } else {
    waiting_.PushBack(call);
  }
}

// False: the server is gone, and another call tries it, or it is too early.
bool RedisStore::Admit(RedisCall& call) {
  if (failures_ < kFailuresMax) return true;
  if (probe_ != nullptr || loop_.NowNs() < gone_until_ns_) return false;
  probe_ = &call;
  return true;
}

void RedisStore::Submit(RedisCall& call) {
  // A nonce of another run. (The epoch cannot change while the command is under way: it belongs to
  // the connection.)
  if (call.epoch() != 0 && call.epoch() != epoch()) {
    Complete(call, StoreResult::kStale);
    return;
  }
  try {
    const bool counts = replicas_ != 0 && call.epoch() != 0;
    if (counts) to_confirm_.reserve(to_confirm_.size() + 1);
    if (!call.SendTo(link_, script_sha_)) {
      Complete(call, StoreResult::kUnavailable);
      return;
    }
    call.confirmed_by = nullptr;
    if (!counts) return;
    to_confirm_.push_back(&call);
    ++call.awaited;  // for the reply to WAIT
  } catch (const std::bad_alloc&) {
    Complete(call, StoreResult::kUnavailable);
  }
}

void RedisStore::OnCallReply(RedisCall& call, const RespValue* reply) {
  --call.awaited;
  // The connection ended before the command, and the WAIT that follows it, had left.
  if (reply == nullptr && std::erase(to_confirm_, &call) != 0) --call.awaited;
  if (!call.waited_for()) {
    if (call.awaited == 0) delete &call;
    return;
  }
  if (reply == nullptr) {
    Complete(call, stopped_ != nullptr ? StoreResult::kStopped : problem_);
    return;
  }
  if (reply->type == RespValue::Type::kError) {
    OnError(call, *reply);
    return;
  }
  StoreResult result = StoreResult::kUnavailable;
  bool over = true;
  try {
    const ForkGate::Scope inside;  // it opens what was sealed
    over = call.Judge(*keys_, epoch(), *reply, &result);
  } catch (const std::bad_alloc&) {
    result = StoreResult::kUnavailable;
  }
  if (over) {
    OnOutcome(call, result);
  } else {
    Submit(call);
  }
}

void RedisStore::OnError(RedisCall& call, const RespValue& reply) {
  if (IsScriptMissing(reply.text) && !call.sends_whole_script()) {
    call.SendWholeScript();
    Submit(call);
    return;
  }
  const RedisError error = ExplainRedisError(reply.text);
  Complete(call, error.result);
  // A master that became a replica is the wrong server from now on.
  if (error.result == StoreResult::kReadOnly) CloseLink(error.result, error.words);
}

// A count that is good here waits for the replicas.
void RedisStore::OnOutcome(RedisCall& call, StoreResult result) {
  if (replicas_ != 0 && call.epoch() != 0 && result == StoreResult::kOk) {
    call.has_outcome = true;
    return;
  }
  Complete(call, result);
}

void RedisStore::OnLinkFlush() {
  if (to_confirm_.empty()) return;
  const std::string replicas = std::to_string(replicas_);
  const std::string limit_ms = std::to_string(WaitNs() / kNsPerMs);
  const std::string_view wait[] = {"WAIT", replicas, limit_ms};
  std::unique_ptr<Confirmation> confirmation(new (std::nothrow) Confirmation(*this));
  std::vector<RedisCall*> calls = std::exchange(to_confirm_, {});
  if (confirmation != nullptr && link_.Send(wait, *confirmation)) {
    for (RedisCall* const call : calls) call->confirmed_by = confirmation.get();
    confirmation.release()->calls = std::move(calls);
    return;
  }
  // They never get a reply to WAIT.
  for (RedisCall* const call : calls) --call->awaited;
  CloseLink(StoreResult::kUnavailable, "there is no memory to wait for replicas");
}

void RedisStore::OnConfirmed(Confirmation& confirmation, const RespValue* reply) {
  const std::unique_ptr<Confirmation> owned(&confirmation);
  const bool confirmed = reply != nullptr && reply->type == RespValue::Type::kInteger &&
                         reply->integer >= std::int64_t{replicas_};
  StoreResult result = confirmed ? StoreResult::kOk : StoreResult::kNotDurable;
  if (reply == nullptr) result = stopped_ != nullptr ? StoreResult::kStopped : problem_;
  for (RedisCall* const call : owned->calls) {
    --call->awaited;
    if (!call->waited_for()) {
      if (call->awaited == 0) delete call;
    } else if (call->has_outcome && call->confirmed_by == owned.get()) {
      Complete(*call, result);
    }
  }
}

void RedisStore::OnLimit(RedisCall& call) {
  Complete(call, StoreResult::kTimedOut);
  // A server that lets so many wait has lost our replies, or will not come to them.
  if (failures_ == kFailuresMax && state_ == RedisState::kUp) {
    CloseLink(StoreResult::kUnavailable, "the server does not reply");
  }
}

void RedisStore::Complete(RedisCall& call, StoreResult result) {
  NoteOutcome(call, result);
  loop_.StopTimer(call);
  waiting_.Remove(call);
  StoreCall* const caller = call.Take();
  calls_.fetch_sub(1, std::memory_order_relaxed);
  if (call.awaited == 0) delete &call;
  caller->SetResult(result);
  caller->OnStored();
  StopIfQuiet();
}

void RedisStore::CompleteWaiting(StoreResult result) {
  while (!waiting_.empty()) Complete(*waiting_.front(), result);
}

void RedisStore::NoteOutcome(const RedisCall& call, StoreResult result) {
  if (probe_ == &call) probe_ = nullptr;
  if (result == StoreResult::kStopped) return;
  const bool failed = result == StoreResult::kTimedOut || result == StoreResult::kUnavailable;
  if (failed || state_ != RedisState::kUp) {
    failures_ = std::min(failures_ + 1, kFailuresMax);
    if (failures_ == kFailuresMax) gone_until_ns_ = loop_.NowNs() + kGoneNs;
  } else {
    failures_ = 0;
  }
}

}  // namespace ktlsim::context_store
