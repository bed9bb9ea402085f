// RedisStream: bytes to and from one server, which a RedisLink talks over. The plain one is here;
// one with TLS is handed in from above, since nothing here knows TLS.
//
// What a newcomer gets wrong: Close only begins the end, and a connection that breaks has ended
// only with OnStreamEnded too. What is handed over in between is dropped.
//
// Everything happens on the loop's thread; nothing throws.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "io/connector.h"
#include "io/stream.h"

namespace ktlsim::context_store {

class RedisStreamHandler {
 public:
  virtual void OnStreamOpen() = 0;
  virtual void OnStreamBytes(std::span<const std::byte> bytes) = 0;
  // What Send did not take at once has left.
  virtual void OnStreamSent() = 0;
  // Exactly once for each Connect, from a later turn, and last. `words` say why and live until the
  // next Connect; empty: Close was called.
  virtual void OnStreamEnded(std::string_view words) = 0;

 protected:
  ~RedisStreamHandler() = default;
};

class RedisStream {
 public:
  RedisStream() = default;
  RedisStream(const RedisStream&) = delete;
  RedisStream& operator=(const RedisStream&) = delete;
  // Not between Connect and OnStreamEnded.
  virtual ~RedisStream() = default;

  // Not before OnStreamEnded of the last one.
  virtual void Connect(const io::Address& server) = 0;
  // After OnStreamOpen, one at a time. True: all of it was taken. False: OnStreamSent follows, or
  // the stream ends; until then `bytes` stay as they are.
  [[nodiscard]] virtual bool Send(std::span<const std::byte> bytes) = 0;
  // Drops what is on its way. No-op without a connection.
  virtual void Close() = 0;
};

// Makes the streams of one store. It must outlive them.
class RedisStreams {
 public:
  // On any thread. Throws std::bad_alloc.
  virtual std::unique_ptr<RedisStream> Make(io::Loop& loop, RedisStreamHandler& handler) = 0;

 protected:
  ~RedisStreams() = default;
};

class PlainRedisStream final : public RedisStream,
                               private io::StreamHandler,
                               private io::ConnectHandler {
 public:
  // Both must outlive the stream.
  PlainRedisStream(io::Loop& loop, RedisStreamHandler& handler) : loop_(loop), handler_(handler) {}

  void Connect(const io::Address& server) override;
  [[nodiscard]] bool Send(std::span<const std::byte> bytes) override;
  void Close() override { End(""); }

 private:
  void OnConnected(Status outcome, io::SocketId socket) override;
  void OnReceived(io::BufferLease bytes) override;
  void OnReceiveEnded(Status reason) override;
  void OnSent(Status outcome) override;
  void OnClosed() override;
  void End(const char* words);

  io::Loop& loop_;
  RedisStreamHandler& handler_;
  std::optional<io::Connector> connector_;
  std::optional<io::Stream> stream_;
  const char* words_ = "";
  bool ending_ = false;
};

}  // namespace ktlsim::context_store
