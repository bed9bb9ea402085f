// ForkGate: while the process forks, no thread is in the middle of work that uses foreign locks.
//
// A forked child has one thread. A lock that another thread held is never released there, and what
// it guarded is half changed. The library's own locks can be taken before a fork; those inside
// OpenSSL cannot. So work that takes them is done inside this gate, and a fork waits until nobody
// is inside: some hundred microseconds, the time of a handshake leg.
//
// What a newcomer gets wrong: a thread inside the gate must not wait for a thread that may fork. So
// no caller's code runs inside it.
#pragma once

namespace ktlsim {

class ForkGate {
 public:
  // The thread is inside during the scope. Scopes may be nested. Any level; waits while a fork is
  // under way.
  class Scope {
   public:
    Scope() { Enter(); }
    ~Scope() { Leave(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // Before a fork, by one thread at a time: returns when no other thread is inside.
  static void Close();
  static void Open();
  // In the child, where the other threads that were inside do not exist.
  static void OpenInChild();

 private:
  static void Enter();
  static void Leave();
};

}  // namespace ktlsim
