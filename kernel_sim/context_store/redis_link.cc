#include "kernel_sim/context_store/redis_link.h"

#include <memory>
#include <new>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"

namespace ktlsim::context_store {

RedisLink::~RedisLink() {
  KTLSIM_ASSERT(phase_ == Phase::kDown);
  KTLSIM_ASSERT(!flush_posted_);
}

void RedisLink::Connect(const io::Address& server) {
  KTLSIM_ASSERT(phase_ == Phase::kDown);
  phase_ = Phase::kConnecting;
  why_ = StoreResult::kUnavailable;
  words_ = "";
  reader_.Reset();
  connector_.emplace(loop_, static_cast<io::ConnectHandler&>(*this)).Connect(server);
}

void RedisLink::OnConnected(Status outcome, io::SocketId socket) {
  connector_.reset();
  if (phase_ == Phase::kClosing || !outcome.ok()) {
    if (socket != io::kNoSocket) loop_.Close(socket, /*reset=*/true);
    if (phase_ != Phase::kClosing) words_ = "the server cannot be connected to";
    Down();
    return;
  }
  phase_ = Phase::kOpen;
  stream_.emplace(loop_, socket, static_cast<io::StreamHandler&>(*this));
  stream_->ResumeReceiving();
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
  if (flush_posted_ || !stream_ || stream_->sending()) return;
  flush_posted_ = true;
  loop_.Post(flushing_);
}

void RedisLink::RunFlush() {
  flush_posted_ = false;
  if (phase_ == Phase::kOpen) {
    Flush();
  } else if (phase_ == Phase::kClosing && !stream_ && !connector_) {
    Down();
  }
}

void RedisLink::Flush() {
  if (filling_.empty() || !stream_ || stream_->sending()) return;
  handler_.OnLinkFlush();
  if (phase_ != Phase::kOpen || !stream_) return;
  std::swap(sending_, filling_);
  stream_->Send(std::as_bytes(std::span(sending_.data(), sending_.size())));
}

void RedisLink::OnSent(Status outcome) {
  // Values are sealed, but the login names a password.
  OPENSSL_cleanse(sending_.data(), sending_.size());
  sending_.clear();
  if (!outcome.ok()) {
    Close(StoreResult::kUnavailable, "the connection to the server broke");
    return;
  }
  Flush();
}

void RedisLink::OnReceived(io::BufferLease bytes) {
  if (phase_ != Phase::kOpen) return;
  const bool fed = reader_.Feed(bytes.bytes());
  bytes.Reset();
  if (!fed) {
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

void RedisLink::OnReceiveEnded(Status reason) {
  Close(StoreResult::kUnavailable,
        reason.ok() ? "the server closed the connection" : "the connection to the server broke");
}

void RedisLink::Close(StoreResult why, const char* words) {
  if (phase_ == Phase::kDown || phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  why_ = why;
  words_ = words;
  if (connector_) {
    connector_->Cancel();
  } else {
    stream_->Close(io::Stream::CloseMode::kReset);
  }
}

void RedisLink::OnClosed() {
  stream_.reset();
  Down();
}

void RedisLink::Down() {
  phase_ = Phase::kClosing;
  if (flush_posted_) return;  // it comes this turn, and continues here
  OPENSSL_cleanse(sending_.data(), sending_.size());
  OPENSSL_cleanse(filling_.data(), filling_.size());
  sending_.clear();
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
