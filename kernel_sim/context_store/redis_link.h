// RedisLink: one connection to a Redis server or a Sentinel, on one loop: commands go out in the
// order they were sent in, replies come back in the same order.
//
// What a newcomer gets wrong: Close only begins the end. Every reply that has not come yet is
// reported as missing, then OnLinkDown follows, and only then may the link connect again.
//
// Private to context_store/. Everything happens on the loop's thread; nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/loop.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/redis_stream.h"
#include "kernel_sim/context_store/resp.h"

namespace ktlsim::context_store {

// Gets the reply to one command, or to several in turn.
class ReplyHandler {
 public:
  // Null: the link ended before the reply. The handler may send, close the link or destroy itself.
  virtual void OnReply(const RespValue* reply) = 0;

 protected:
  ~ReplyHandler() = default;
};

class RedisLinkHandler {
 public:
  virtual void OnLinkOpen() = 0;
  // The commands sent since the last time leave now: the last chance to send one with them.
  virtual void OnLinkFlush() = 0;
  // Exactly once for each Connect. `words` say why, and live until this has returned.
  virtual void OnLinkDown(StoreResult why, std::string_view words) = 0;

 protected:
  ~RedisLinkHandler() = default;
};

class RedisLink final : private RedisStreamHandler {
 public:
  // All must outlive the link. `streams` makes what it talks over; null: plain connections. Throws
  // std::bad_alloc.
  RedisLink(io::Loop& loop, RedisLinkHandler& handler, RedisStreams* streams = nullptr);
  // Not between Connect and OnLinkDown.
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  void Connect(const io::Address& server);
  // After OnLinkOpen. False: there is no memory, or the link is ending; no reply will come.
  [[nodiscard]] bool Send(std::span<const std::string_view> command, ReplyHandler& handler);
  // The first call decides why. No-op when the link is down or ending. `words` are a literal.
  void Close(StoreResult why, const char* words);

 private:
  enum class Phase : std::uint8_t { kDown, kConnecting, kOpen, kClosing };
  class Flushing final : public WorkItem {
   public:
    explicit Flushing(RedisLink& link)
        : WorkItem([](WorkItem& item) { static_cast<Flushing&>(item).link_.RunFlush(); }),
          link_(link) {}

   private:
    RedisLink& link_;
  };

  void OnStreamOpen() override;
  void OnStreamBytes(std::span<const std::byte> bytes) override;
  void OnStreamSent() override;
  void OnStreamEnded(std::string_view words) override;

  void ReadReplies();
  void RequestFlush();
  void RunFlush();
  void Flush();
  void Sent();
  void Down();

  io::Loop& loop_;
  RedisLinkHandler& handler_;
  const std::unique_ptr<RedisStream> stream_;
  RespReader reader_;
  Flushing flushing_{*this};
  std::deque<ReplyHandler*> awaited_;
  std::string sending_;
  std::string filling_;
  std::string_view words_;  // a literal, or the stream's
  StoreResult why_ = StoreResult::kUnavailable;
  Phase phase_ = Phase::kDown;
  bool flush_posted_ = false;
  bool sends_ = false;  // `sending_`
  bool ended_ = false;  // the stream
};

}  // namespace ktlsim::context_store
