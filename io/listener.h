// Listener: accepts connections on one address for one loop, with pause for back-pressure.
//
// When descriptors or memory run out, accepting stops by itself and is tried again a little later;
// meanwhile connections wait in the kernel's backlog. On the loop's thread; handlers run at
// dispatch level, never from inside a call.
#pragma once

#include <cstdint>

#include "io/loop.h"
#include "io/member_timer.h"
#include "io/unix_socket.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/member_item.h"

namespace ktlsim::io {

class ListenerHandler {
 public:
  // The receiver owns `socket`. May still come after Pause, not after Close.
  virtual void OnAccepted(SocketId socket) = 0;
  // Accepting failed, out of descriptors or memory, and is put off for kRetryAfterNs.
  virtual void OnAcceptFailed(const Status& /*reason*/) {}
  // Exactly once, after Close. The listener may be destroyed from inside.
  virtual void OnListenerClosed() = 0;

 protected:
  ~ListenerHandler() = default;
};

class Listener {
 public:
  static constexpr std::uint64_t kRetryAfterNs = 50 * kNsPerMs;

  Listener(Loop& loop, ListenerHandler& handler) : loop_(loop), handler_(handler) {}
  // Never opened, or after OnListenerClosed was entered.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds, listens and begins to accept. After a failure it may be tried again.
  Status Open(const Address& address, const ListenOptions& options);
  // For ListenOptions::same_as. Only when open.
  SocketId socket() const { return socket_; }
  // With the port that the kernel chose.
  Result<Address> LocalAddress() { return loop_.LocalAddress(socket_); }

  // Holds connections back in the kernel's backlog. Cheap to call in any state.
  void Pause();
  void Resume();
  // OnListenerClosed follows from a later turn. The file of a Unix-domain socket that this one has
  // made is gone when this returns. Idempotent. Only when open.
  void Close();

  // How often accepting failed and was put off, and what the last failure was.
  std::uint64_t retries() const { return retries_; }
  Status last_failure() const { return last_failure_; }

 private:
  class Accept final : public AcceptOperation {
   public:
    explicit Accept(Listener& listener) : listener_(listener) {}
    void OnAccepted(SocketId socket) override { listener_.Accepted(socket); }
    void OnAcceptEnded(Status reason) override { listener_.AcceptEnded(reason); }

   private:
    Listener& listener_;
  };

  void Accepted(SocketId socket);
  void AcceptEnded(Status reason);
  void StartWhenWanted();
  void Finish();

  Loop& loop_;
  ListenerHandler& handler_;
  SocketId socket_ = kNoSocket;
  SocketFile file_;
  Accept accept_{*this};
  MemberTimer<&Listener::StartWhenWanted> retry_{*this};
  MemberItem<&Listener::Finish> farewell_{*this};
  Status last_failure_;
  std::uint64_t retries_ = 0;
  bool wanted_ = false;
  bool closing_ = false;
};

}  // namespace ktlsim::io
