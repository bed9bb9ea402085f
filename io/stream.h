// Stream: one connected TCP socket on one loop.
//
// What a newcomer gets wrong: Close only begins the end. What is in flight is cancelled, and the
// stream, its handler and the bytes being sent stay alive until OnClosed.
//
// Everything here happens on the loop's thread. Handlers run at dispatch level, never from inside a
// call of the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "io/loop.h"
#include "kernel_sim/base/member_item.h"

namespace ktlsim::io {

class StreamHandler {
 public:
  // At least one byte, in order. May still come after PauseReceiving.
  virtual void OnReceived(BufferLease bytes) = 0;
  // No more bytes will come. ok: the peer sent FIN, and sending is still possible. Not called for
  // a pause.
  virtual void OnReceiveEnded(Status reason) = 0;
  // The bytes of Send are the caller's again. Not ok: nothing more can be sent.
  virtual void OnSent(Status outcome) = 0;
  // Exactly once, after Close and after everything else. The stream may be destroyed from inside.
  virtual void OnClosed() = 0;

 protected:
  ~StreamHandler() = default;
};

class Stream {
 public:
  enum class CloseMode : std::uint8_t {
    kGraceful,  // FIN after what was sent; the kernel sends RST if received bytes lie unread
    kReset,     // RST; what was not yet sent is dropped
  };

  // Takes over `socket`. `handler` must live until OnClosed.
  // Without `multishot` PauseReceiving takes effect with the next buffer at the latest.
  Stream(Loop& loop, SocketId socket, StreamHandler& handler, bool multishot = true);
  // Only after OnClosed was entered.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Begins, and after a pause continues, to receive. No-op when receiving, ended or closing.
  void ResumeReceiving();
  // Back-pressure: leaves further bytes to the socket, and so to the peer's window.
  void PauseReceiving();
  bool receiving() const { return receive_wanted_; }

  // One at a time: not again before OnSent. `bytes` stay alive and untouched until OnSent, or
  // until OnClosed when Close comes first. Not after Close or ShutdownSend.
  void Send(std::span<const std::byte> bytes);
  bool sending() const { return send_.in_flight(); }

  // Sends FIN. Not while sending. No-op the second time and when closing.
  void ShutdownSend();

  // From here on no handler is called but OnClosed, from a later turn. A send in flight is broken
  // off; to close gracefully, wait for its OnSent first. A second call changes nothing, except that
  // kReset wins over kGraceful.
  void Close(CloseMode mode);
  bool closing() const { return closing_; }

 private:
  class Receive final : public ReceiveOperation {
   public:
    Receive(Stream& stream, bool multishot) : ReceiveOperation(multishot), stream_(stream) {}
    void OnReceived(BufferLease bytes) override { stream_.Received(std::move(bytes)); }
    void OnReceiveEnded(Status reason) override { stream_.ReceiveEnded(reason); }

   private:
    Stream& stream_;
  };
  class Sending final : public SendOperation {
   public:
    explicit Sending(Stream& stream) : stream_(stream) {}
    void OnSent(Status outcome) override { stream_.Sent(outcome); }

   private:
    Stream& stream_;
  };

  void Received(BufferLease bytes);
  void ReceiveEnded(Status reason);
  void Sent(Status outcome);
  void FinishWhenIdle();
  void Finish();

  Loop& loop_;
  StreamHandler& handler_;
  SocketId socket_;
  Receive receive_;
  Sending send_{*this};
  MemberItem<&Stream::Finish> farewell_{*this};
  CloseMode close_mode_ = CloseMode::kGraceful;
  bool receive_wanted_ = false;
  bool receive_ended_ = false;
  bool send_shut_down_ = false;
  bool closing_ = false;
};

}  // namespace ktlsim::io
