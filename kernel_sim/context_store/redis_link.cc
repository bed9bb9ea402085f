#include "kernel_sim/context_store/redis_link.h"

#include <memory>
#include <new>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"

namespace ktlsim::context_store {

RedisLink::RedisLink(io::Loop& loop, RedisLinkHandler& handler, RedisStreams* streams)
    : loop_(loop),
      handler_(handler),
      stream_(streams != nullptr ? streams->Make(loop, *this)
                                 : std::make_unique<PlainRedisStream>(
                                       loop, static_cast<RedisStreamHandler&>(*this))) {}

RedisLink::~RedisLink() {
  KTLSIM_ASSERT(phase_ == Phase::kDown);
  KTLSIM_ASSERT(!flush_posted_);
}

void RedisLink::Connect(const io::Address& server) {
  KTLSIM_ASSERT(phase_ == Phase::kDown);
  phase_ = Phase::kConnecting;
  why_ = StoreResult::kUnavailable;
  words_ = {};
  ended_ = false;
  reader_.Reset();
  stream_->Connect(server);
}

void RedisLink::OnStreamOpen() {
  if (phase_ != Phase::kConnecting) return;
  phase_ = Phase::kOpen;
  handler_.OnLinkOpen();
}

bool RedisLink::Send(std::span<const std::string_view> command, ReplyHandler& handler) {
  if (phase_ != Phase::kOpen) return false;
  try {
    awaited_.push_back(&handler);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (!AppendCommand(command, &filling_)) {
    awaited_.pop_back();
    return false;
  }
  RequestFlush();
  return true;
}

// All that is sent in one turn of the loop leaves together.
void RedisLink::RequestFlush() {
  if (flush_posted_ || sends_) return;
  flush_posted_ = true;
  loop_.Post(flushing_);
}

void RedisLink::RunFlush() {
  flush_posted_ = false;
  if (phase_ == Phase::kOpen) {
    Flush();
  } else if (phase_ == Phase::kClosing && ended_) {
    Down();
  }
}

void RedisLink::Flush() {
  if (filling_.empty() || sends_) return;
  handler_.OnLinkFlush();
  if (phase_ != Phase::kOpen) return;
  std::swap(sending_, filling_);
  sends_ = true;
  if (stream_->Send(std::as_bytes(std::span(sending_.data(), sending_.size())))) Sent();
}

// Values are sealed, but the login names a password.
void RedisLink::Sent() {
  OPENSSL_cleanse(sending_.data(), sending_.size());
  sending_.clear();
  sends_ = false;
}

void RedisLink::OnStreamSent() {
  Sent();
  if (phase_ == Phase::kOpen) Flush();
}

void RedisLink::OnStreamBytes(std::span<const std::byte> bytes) {
  if (phase_ != Phase::kOpen) return;
  if (!reader_.Feed(bytes)) {
    Close(StoreResult::kUnavailable, "the server sends something else than RESP");
    return;
  }
  ReadReplies();
}

void RedisLink::ReadReplies() {
  while (phase_ == Phase::kOpen) {
    std::unique_ptr<RespValue> reply;
    const RespReader::Outcome outcome = reader_.Next(&reply);
    if (outcome == RespReader::Outcome::kNeedMore) return;
    if (outcome == RespReader::Outcome::kBroken || awaited_.empty()) {
      Close(StoreResult::kUnavailable, "the server sends something else than RESP");
      return;
    }
    ReplyHandler* const handler = awaited_.front();
    awaited_.pop_front();
    handler->OnReply(reply.get());
  }
}

void RedisLink::Close(StoreResult why, const char* words) {
  if (phase_ == Phase::kDown || phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  why_ = why;
  words_ = words;
  stream_->Close();
}

void RedisLink::OnStreamEnded(std::string_view words) {
  if (phase_ != Phase::kClosing) words_ = words;
  ended_ = true;
  Down();
}

void RedisLink::Down() {
  phase_ = Phase::kClosing;
  if (flush_posted_) return;  // it comes this turn, and continues here
  Sent();
  OPENSSL_cleanse(filling_.data(), filling_.size());
  filling_.clear();
  while (!awaited_.empty()) {
    ReplyHandler* const handler = awaited_.front();
    awaited_.pop_front();
    handler->OnReply(nullptr);
  }
  phase_ = Phase::kDown;
  handler_.OnLinkDown(why_, words_);
}

}  // namespace ktlsim::context_store
