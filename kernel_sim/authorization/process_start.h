// StartProcess: a child process that runs another program.
//
// The process that starts it has threads, which may hold any lock at that moment. So everything
// that the child needs is made ready before the fork, and until the program runs the child makes
// system calls only: it allocates nothing, takes no lock, and runs no handler of a fork.
//
// What a newcomer gets wrong: the parent cannot rely on the child. It may stand in a folder that
// hangs, and once it is somebody else that one may stop it or end it. So the parent waits for a
// limited time, and sees for itself whether the program runs.
//
// Private to authorization/. Any thread, passive level.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace ktlsim::authorization {

// What a child takes on between the fork and the program, before it enters a folder or opens
// anything: an identity with the operating system, for example.
class ChildIdentity {
 public:
  virtual ~ChildIdentity() = default;
  // In the child: system calls only. 0, or an errno value, and the program is not run.
  virtual int TakeOn() const noexcept = 0;
};

struct ProcessPlan {
  // Tried one after the other, as execvp does; one only where the caller says which program.
  std::vector<std::string> programs = {};
  std::vector<std::string> arguments = {};    // the first is the program's name for itself
  std::vector<std::string> environment = {};  // NAME=VALUE
  std::string folder = {};                    // empty: the parent's
  // Descriptors of this process for 0, 1 and 2. kParents: the one that the parent has; kNothing,
  // and one that is closed or closes there: /dev/null.
  static constexpr int kParents = -2;
  static constexpr int kNothing = -1;
  std::array<int, 3> standard = {kParents, kParents, kParents};
  bool inherit = false;  // the other descriptors, unless they close by themselves
  bool own_session = false;
  bool own_group = false;
  const ChildIdentity* identity = nullptr;  // null: none but the parent's
  // From the fork until the program runs. A child that takes longer is killed.
  std::uint64_t limit_ms = 30'000;
};

// 0: the program runs as *child, which is the caller's to wait for. Otherwise an errno value, and
// there is no child: EBADF: a standard descriptor is none; EMFILE: there are none left, or
// /dev/null cannot be had; ETIMEDOUT: the limit is over; ECANCELED: the child was ended before the
// program ran. A child that the system does not end, since it waits for a device, is waited for by
// a later call. Programs are paths from the root: a relative one would be looked for in `folder`.
// May throw std::bad_alloc.
int StartProcess(const ProcessPlan& plan, pid_t* child);

}  // namespace ktlsim::authorization
