// Connector: opens a socket and connects it. One attempt at a time, on the loop's thread.
#pragma once

#include "io/loop.h"
#include "kernel_sim/base/member_item.h"

namespace ktlsim::io {

class ConnectHandler {
 public:
  // Exactly once per Connect, from a later turn. ok: `socket` is the receiver's. Otherwise
  // kNoSocket. The connector may be used again or destroyed from inside.
  virtual void OnConnected(Status outcome, SocketId socket) = 0;

 protected:
  ~ConnectHandler() = default;
};

class Connector {
 public:
  Connector(Loop& loop, ConnectHandler& handler) : loop_(loop), handler_(handler) {}
  // Not while connecting.
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  void Connect(const Address& peer);
  // Asks for an early end; OnConnected follows in any case, and may even bring a socket.
  void Cancel() { loop_.Cancel(attempt_); }
  bool connecting() const { return connecting_; }

 private:
  class Attempt final : public ConnectOperation {
   public:
    explicit Attempt(Connector& connector) : connector_(connector) {}
    void OnConnected(Status outcome) override { connector_.Ended(outcome); }

   private:
    Connector& connector_;
  };

  void Refused() { Ended(refusal_); }
  void Ended(Status outcome);

  Loop& loop_;
  ConnectHandler& handler_;
  Attempt attempt_{*this};
  MemberItem<&Connector::Refused> refusing_{*this};
  Status refusal_;
  SocketId socket_ = kNoSocket;
  bool connecting_ = false;
};

}  // namespace ktlsim::io
