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
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/connector.h"
#include "io/stream.h"
#include "kernel_sim/context_store/context_store.h"
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

class RedisLink final : private io::StreamHandler, private io::ConnectHandler {
 public:
  // Both must outlive the link.
  RedisLink(io::Loop& loop, RedisLinkHandler& handler) : loop_(loop), handler_(handler) {}
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

  void OnConnected(Status outcome, io::SocketId socket) override;
  void OnReceived(io::BufferLease bytes) override;
  void OnReceiveEnded(Status reason) override;
  void OnSent(Status outcome) override;
  void OnClosed() override;

  void ReadReplies();
  void RequestFlush();
  void RunFlush();
  void Flush();
  void Down();

  io::Loop& loop_;
  RedisLinkHandler& handler_;
  std::optional<io::Connector> connector_;
  std::optional<io::Stream> stream_;
  RespReader reader_;
  Flushing flushing_{*this};
  std::deque<ReplyHandler*> awaited_;
  std::string sending_;
  std::string filling_;
  const char* words_ = "";
  StoreResult why_ = StoreResult::kUnavailable;
  Phase phase_ = Phase::kDown;
  bool flush_posted_ = false;
};

}  // namespace ktlsim::context_store
