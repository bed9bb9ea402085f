#include "kernel_sim/context_store/sentinel_query.h"

#include <array>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/context_store/redis_url.h"

namespace ktlsim::context_store {
namespace {

// ["127.0.0.1", "6379"]
Result<io::Address> AddressOf(const RespValue& reply) {
  const Status failure(Category::kContract, 0, "the Sentinel's reply is no address");
  if (reply.elements.size() != 2) return failure;
  RedisHost host{.host = reply.elements[0].text};
  unsigned port = 0;
  for (const char digit : reply.elements[1].text) {
    if (digit < '0' || digit > '9' || port > 65535) return failure;
    port = port * 10 + static_cast<unsigned>(digit - '0');
  }
  if (port == 0 || port > 65535) return failure;
  host.port = static_cast<std::uint16_t>(port);
  return host.ToAddress();
}

}  // namespace

SentinelQuery::SentinelQuery(io::Loop& loop, SentinelHandler& handler,
                             std::vector<io::Address> sentinels, std::string master)
    : loop_(loop),
      handler_(handler),
      sentinels_(std::move(sentinels)),
      master_(std::move(master)),
      link_(loop, *this) {}

void SentinelQuery::Begin() {
  KTLSIM_ASSERT(left_ == 0);
  left_ = sentinels_.size();
  words_ = "no Sentinel replies";
  TryNext();
}

void SentinelQuery::TryNext() {
  --left_;
  loop_.StartTimer(*this, loop_.NowNs() + kLimitNs);
  link_.Connect(sentinels_[next_]);
}

void SentinelQuery::Cancel() {
  left_ = 0;
  link_.Close(StoreResult::kStopped, "the store stops");
}

void SentinelQuery::OnTimer() { link_.Close(StoreResult::kTimedOut, "a Sentinel does not reply"); }

void SentinelQuery::OnLinkOpen() {
  const std::string_view command[] = {"SENTINEL", "get-master-addr-by-name", master_};
  if (!link_.Send(command, *this)) link_.Close(StoreResult::kUnavailable, "there is no memory");
}

void SentinelQuery::OnReply(const RespValue* reply) {
  if (reply == nullptr) return;
  if (reply->type == RespValue::Type::kArray) {
    try {
      Result<io::Address> address = AddressOf(*reply);
      if (address) {
        found_ = *address;
      } else {
        words_ = "the Sentinels name the master by a name: set resolve-hostnames no";
      }
    } catch (const std::bad_alloc&) {
      words_ = "there is no memory to ask a Sentinel";
    }
  } else if (reply->type == RespValue::Type::kError) {
    words_ = "the Sentinels refuse to say which server is the master";
  } else {
    words_ = "the Sentinels know no master of this name";
  }
  link_.Close(StoreResult::kOk, "");
}

void SentinelQuery::OnLinkDown(StoreResult /*why*/, std::string_view /*words*/) {
  loop_.StopTimer(*this);
  if (found_) {
    left_ = 0;
    const io::Address master = *found_;
    found_.reset();
    handler_.OnMaster(master);
    return;
  }
  next_ = (next_ + 1) % sentinels_.size();
  if (left_ != 0) {
    TryNext();
  } else {
    handler_.OnNoMaster(words_);
  }
}

}  // namespace ktlsim::context_store
