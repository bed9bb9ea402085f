#include "kernel_sim/context_store/redis_call.h"

#include <algorithm>

#include <openssl/crypto.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/context_store/redis_script.h"

namespace ktlsim::context_store {
namespace {

constexpr std::string_view kPrefix = "ktlsim:";
constexpr std::array<char, kKinds> kLetters = {'d', 't', 'k'};
// Times beyond it are as good as for ever, and Redis computes with them.
constexpr std::uint64_t kMsMax = std::uint64_t{10} * 365 * 24 * 3600 * 1000;

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// 16 digits, so that greater numbers compare greater.
std::string Hex(std::uint64_t number) {
  std::string text(16, '0');
  WriteHex(number, text);
  return text;
}

// At least 1, for what is not 0.
std::string Ms(std::uint64_t ns) {
  return std::to_string(std::min((ns + kNsPerMs - 1) / kNsPerMs, kMsMax));
}

std::string KeyText(Kind kind, const NodeKeys::Index& index) {
  std::string text(kPrefix);
  text.append(1, kLetters[static_cast<std::size_t>(kind)])
      .append(":")
      .append(HexOf(std::span<const std::byte>(index)));
  return text;
}

StoreResult ResultOf(std::int64_t code) {
  switch (static_cast<ScriptCode>(code)) {
    case ScriptCode::kOk:
      return StoreResult::kOk;
    case ScriptCode::kNotFound:
      return StoreResult::kNotFound;
    case ScriptCode::kExists:
      return StoreResult::kExists;
    case ScriptCode::kStale:
      return StoreResult::kStale;
    case ScriptCode::kOutOfSequence:
      return StoreResult::kOutOfSequence;
    case ScriptCode::kWrongType:
      return StoreResult::kWrongType;
  }
  return StoreResult::kUnavailable;
}

}  // namespace

RedisCall::RedisCall(RedisCallOwner& owner, StoreCall& call)
    : WorkItem([](WorkItem& item) {
        auto& self = static_cast<RedisCall&>(item);
        self.owner_.OnPosted(self);
      }),
      owner_(owner),
      call_(&call) {}

// ---- The command

// KEYS of the script: the entry's name under each node key.
bool RedisCall::AddKeys(const NodeKeys& keys, const Key& key) {
  kind_ = key.kind;
  name_bytes_ = key.name.size();
  std::copy(key.name.begin(), key.name.end(), name_.begin());
  if (verb_ != Verb::kRemove) arguments_.push_back(std::to_string(keys.size()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    NodeKeys::Index index;
    if (!keys.IndexOf(key, i, &index)) return false;
    arguments_.push_back(KeyText(key.kind, index));
  }
  return true;
}

void RedisCall::AddUse(const NonceUse& use) {
  epoch_ = use.nonce == 0 ? 0 : use.epoch;
  arguments_.push_back(Hex(use.epoch));
  arguments_.push_back(use.nonce == 0 ? std::string() : Hex(use.nonce));
  arguments_.push_back(std::to_string(use.count));
  arguments_.push_back(std::to_string(std::min(use.window, kNonceWindowMax)));
}

bool RedisCall::MakeGet(const NodeKeys& keys, const Key& key) {
  verb_ = Verb::kGet;
  if (!AddKeys(keys, key)) return false;
  arguments_.emplace_back("get");
  return true;
}

bool RedisCall::MakePut(const NodeKeys& keys, const Key& key, const PutRequest& put) {
  static constexpr std::string_view kModes[] = {"set", "create", "replace", "first"};
  if (!AddKeys(keys, key)) return false;
  arguments_.emplace_back("put");
  AddUse(put.use);
  std::vector<std::byte> sealed;
  if (!keys.Seal(key, epoch_, put.value, &sealed)) return false;
  arguments_.emplace_back(kModes[static_cast<std::size_t>(put.mode)]);
  arguments_.emplace_back(reinterpret_cast<const char*>(sealed.data()), sealed.size());
  arguments_.push_back(Hex(epoch_));
  arguments_.push_back(Ms(std::max(put.lifetime_ns, kNsPerMs)));
  arguments_.push_back(Ms(put.idle_ns));
  arguments_.push_back(Ms(put.previous_nonce_ns));
  return true;
}

bool RedisCall::MakeRemove(const NodeKeys& keys, const Key& key) {
  verb_ = IsNameUsedOnce(key.kind) ? Verb::kScript : Verb::kRemove;
  if (!AddKeys(keys, key)) return false;
  if (verb_ == Verb::kScript) arguments_.emplace_back("remove");
  return true;
}

bool RedisCall::MakeAdvance(const NodeKeys& keys, const Key& key, const NonceUse& use) {
  if (!AddKeys(keys, key)) return false;
  arguments_.emplace_back("use");
  AddUse(use);
  return true;
}

void RedisCall::MakeCount() {
  verb_ = Verb::kCount;
  arguments_.emplace_back("0");
}

bool RedisCall::SendTo(RedisLink& link, std::string_view sha) {
  constexpr std::size_t kArgumentsMax = 20;
  std::array<std::string_view, kArgumentsMax> command;
  std::size_t size = 0;
  if (verb_ == Verb::kRemove) {
    command[size++] = "DEL";
  } else if (verb_ == Verb::kCount) {
    command[size++] = "SCAN";
  } else if (whole_script_) {
    command[size++] = "EVAL";
    command[size++] = kStoreScript;
  } else {
    command[size++] = "EVALSHA";
    command[size++] = sha;
  }
  for (const std::string& argument : arguments_) command.at(size++) = argument;
  if (verb_ == Verb::kCount) {
    for (const std::string_view word : {"MATCH", "ktlsim:*", "COUNT", "1000"}) {
      command.at(size++) = word;
    }
  }
  if (!link.Send(std::span(command).first(size), *this)) return false;
  ++awaited;
  return true;
}

// ---- The reply

bool RedisCall::Judge(const NodeKeys& keys, std::uint64_t epoch, const RespValue& reply,
                      StoreResult* result) {
  switch (verb_) {
    case Verb::kCount:
      return JudgeCount(reply, result);
    case Verb::kRemove:
      *result = reply.integer > 0 ? StoreResult::kOk : StoreResult::kNotFound;
      return true;
    case Verb::kScript:
    case Verb::kGet:
      *result = JudgeScript(keys, epoch, reply);
      return true;
  }
  return true;
}

StoreResult RedisCall::JudgeScript(const NodeKeys& keys, std::uint64_t epoch,
                                   const RespValue& reply) {
  if (reply.elements.empty()) return StoreResult::kUnavailable;
  const StoreResult result = ResultOf(reply.elements[0].integer);
  if (result != StoreResult::kOk || verb_ != Verb::kGet) return result;
  return reply.elements.size() == 4 ? Found(keys, epoch, reply) : StoreResult::kUnavailable;
}

// Code, value, the value's epoch, the counts' epoch.
StoreResult RedisCall::Found(const NodeKeys& keys, std::uint64_t epoch, const RespValue& reply) {
  std::uint64_t sealed_in = 0;
  std::vector<std::byte> value;
  const Key key{.kind = kind_, .name = std::span(name_).first(name_bytes_)};
  if (ReadNumber(reply.elements[2].text, &sealed_in, 16) != std::errc() ||
      !keys.Open(key, sealed_in, BytesOf(reply.elements[1].text), &value)) {
    return StoreResult::kUnreadable;
  }
  call_->SetValue(value);
  OPENSSL_cleanse(value.data(), value.size());
  const std::string& counted_in = reply.elements[3].text;
  return counted_in.empty() || counted_in == Hex(epoch) ? StoreResult::kOk : StoreResult::kStale;
}

// The next cursor and some keys; a cursor of 0 is the end (SCAN).
bool RedisCall::JudgeCount(const RespValue& reply, StoreResult* result) {
  *result = StoreResult::kUnavailable;
  if (reply.elements.size() != 2) return true;
  for (const RespValue& found : reply.elements[1].elements) {
    if (!found.text.starts_with(kPrefix) || found.text.size() <= kPrefix.size()) continue;
    const auto* const letter =
        std::find(kLetters.begin(), kLetters.end(), found.text[kPrefix.size()]);
    if (letter != kLetters.end()) {
      ++counts_.entries[static_cast<std::size_t>(letter - kLetters.begin())];
    }
  }
  arguments_[0] = reply.elements[0].text;
  if (arguments_[0] != "0") return false;
  call_->SetCounts(counts_);
  *result = StoreResult::kOk;
  return true;
}

}  // namespace ktlsim::context_store
