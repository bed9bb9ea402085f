// RedisCall: one operation on its way to Redis and back: its command, its limit, its outcome.
//
// It outlives the caller's StoreCall when that has reached its limit: the reply still comes, and
// must find somebody.
//
// Private to context_store/. Made on the caller's thread; from then on the loop's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/context_store/redis_link.h"

namespace ktlsim::context_store {

class RedisCall;

class RedisCallOwner {
 public:
  virtual void OnPosted(RedisCall& call) = 0;
  virtual void OnLimit(RedisCall& call) = 0;
  virtual void OnCallReply(RedisCall& call, const RespValue* reply) = 0;

 protected:
  ~RedisCallOwner() = default;
};

class RedisCall final : public WorkItem, public io::Timer, public ReplyHandler {
 public:
  RedisCall(RedisCallOwner& owner, StoreCall& call);

  // One of these before anything else. False: OpenSSL refuses. May throw std::bad_alloc.
  [[nodiscard]] bool MakeGet(const NodeKeys& keys, const Key& key);
  [[nodiscard]] bool MakePut(const NodeKeys& keys, const Key& key, const PutRequest& put);
  [[nodiscard]] bool MakeRemove(const NodeKeys& keys, const Key& key);
  [[nodiscard]] bool MakeAdvance(const NodeKeys& keys, const Key& key, const NonceUse& use);
  void MakeCount();

  // Sends the command, or sends it again. `sha` names the script. False: it cannot be sent.
  [[nodiscard]] bool SendTo(RedisLink& link, std::string_view sha);
  // The script has to be sent whole.
  void SendWholeScript() { whole_script_ = true; }
  bool sends_whole_script() const { return whole_script_; }

  // What a reply that is no error means, in a store whose epoch is `epoch`. False: there is more to
  // ask for, send it again. May throw std::bad_alloc.
  [[nodiscard]] bool Judge(const NodeKeys& keys, std::uint64_t epoch, const RespValue& reply,
                           StoreResult* result);

  // Takes the caller's call out: nobody waits any more. Null: it was taken before.
  StoreCall* Take() { return std::exchange(call_, nullptr); }
  bool waited_for() const { return call_ != nullptr; }
  std::uint64_t limit_ns() const { return call_->limit_ns; }
  // Of the nonce that is used; 0: none.
  std::uint64_t epoch() const { return epoch_; }

  // What still comes for it: replies. It may be deleted at 0.
  unsigned awaited = 0;
  // The wait for replicas that decides about it, if any; and its outcome until then.
  const void* confirmed_by = nullptr;
  bool has_outcome = false;
  RedisCall* next = nullptr;

 private:
  enum class Verb : std::uint8_t { kScript, kGet, kRemove, kCount };

  void OnTimer() override { owner_.OnLimit(*this); }
  void OnReply(const RespValue* reply) override { owner_.OnCallReply(*this, reply); }

  bool AddKeys(const NodeKeys& keys, const Key& key);
  void AddUse(const NonceUse& use);
  StoreResult JudgeScript(const NodeKeys& keys, std::uint64_t epoch, const RespValue& reply);
  StoreResult Found(const NodeKeys& keys, std::uint64_t epoch, const RespValue& reply);
  bool JudgeCount(const RespValue& reply, StoreResult* result);

  RedisCallOwner& owner_;
  StoreCall* call_;
  std::vector<std::string> arguments_;
  std::array<std::byte, kNameBytesMax> name_{};
  std::size_t name_bytes_ = 0;
  std::uint64_t epoch_ = 0;
  StoreCounts counts_;
  Kind kind_ = Kind::kDigestContext;
  Verb verb_ = Verb::kScript;
  bool whole_script_ = false;
};

}  // namespace ktlsim::context_store
