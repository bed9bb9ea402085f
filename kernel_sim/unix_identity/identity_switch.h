// IdentitySwitch: lets a thread act as a Unix user, and as the process again.
//
//   taken:    supplementary groups, group, user, no capability in effect, inheritable or ambient;
//             then all of it is read
//   returned: the same in reverse
//
// Only effective ids change, and with them those that files are opened with. The real ones stay, so
// that the client cannot send the process signals; the saved ones stay, and the permitted
// capabilities, so that there is a way back.
//
// What a newcomer gets wrong: a program that is run meanwhile (exec, system) is not the client for
// good. Its real ids are the process's: it can return to those, and where they are root's the
// kernel permits it every capability again. BecomeForGood (become.h) is for such children.
//
// A thread that is not as the process was at the start is not touched: somebody else changes
// identities here, or the thread was started by one that was somebody else.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/base/unix_identity.h"
#include "kernel_sim/unix_identity/identity_calls.h"

namespace ktlsim::unix_identity {

struct SwitchFigures {
  std::uint64_t taken = 0;
  std::uint64_t refused = 0;  // could not be taken on
};

class IdentitySwitch final : public UnixSwitch {
 public:
  // `calls` lives as long as this.
  explicit IdentitySwitch(IdentityCalls& calls) : calls_(calls) {}
  IdentitySwitch(const IdentitySwitch&) = delete;
  IdentitySwitch& operator=(const IdentitySwitch&) = delete;

  // The process is as the calling thread from now on, which the first call decides; and whether it
  // can act as somebody else and return. Empty: it can. Otherwise why not, and what to do. Before
  // the first switch, and on one thread at a time.
  std::string Prepare();

  // EPERM: `identity` has uid or gid 0, too many groups, or the thread is not as the process; or
  // the kernel does not permit it, or has given something else. Other values are the kernel's.
  int Take(const UnixIdentity& identity) noexcept override;
  void Return() noexcept override;

  SwitchFigures figures() const;

 private:
  int TryCapabilities() noexcept;
  CapabilitySets InEffect() const noexcept;
  CapabilitySets NoneInEffect() const noexcept;
  int TakeUncounted(const UnixIdentity& identity) noexcept;
  int Change(const UnixIdentity& identity) noexcept;
  bool HasTaken(const UnixIdentity& identity) noexcept;

  IdentityCalls& calls_;
  ThreadCredentials process_;  // written before the first switch
  bool prepared_ = false;
  StripedCounter taken_;
  StripedCounter refused_;
};

}  // namespace ktlsim::unix_identity
