// MemberTimer: a timer that calls a member function of the object that it belongs to.
//
//   class Listener {
//     void StartWhenWanted();
//     MemberTimer<&Listener::StartWhenWanted> retry_{*this};
//   };
#pragma once

#include "io/loop.h"

namespace ktlsim::io {

template <auto kFunction>
class MemberTimer;

// The owner may be destroyed from inside the function, once its timer is neither armed nor about to
// be started again.
template <typename Owner, void (Owner::*kFunction)()>
class MemberTimer<kFunction> final : public Timer {
 public:
  explicit MemberTimer(Owner& owner) : owner_(owner) {}
  void OnTimer() override { (owner_.*kFunction)(); }

 private:
  Owner& owner_;
};

}  // namespace ktlsim::io
