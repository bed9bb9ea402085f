// ForkGate: nobody is in the midst of work that a fork would cut in two.
//
// A forked child has one thread. A lock that another thread held is held there for ever, and what
// it guarded is half changed. Locks of ours can be taken in front of a fork; those inside of
// OpenSSL cannot. So work that takes them stands inside this gate, and a fork waits until nobody
// does: some hundred microseconds, as long as a handshake leg.
//
// What a newcomer gets wrong: who is inside must wait for nobody who may fork, so no code of a
// caller's runs there.
#pragma once

namespace ktlsim {

class ForkGate {
 public:
  // Inside for a scope, which may be nested. Any level; waits while a fork is under way.
  class Scope {
   public:
    Scope() { Enter(); }
    ~Scope() { Leave(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // In front of a fork, one thread at a time: returns when nobody else is inside.
  static void Close();
  static void Open();
  // In the child: who was inside or on the way does not exist here.
  static void OpenInChild();

 private:
  static void Enter();
  static void Leave();
};

}  // namespace ktlsim
