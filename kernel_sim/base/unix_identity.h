// UnixIdentity: a Unix user, as whom the operating system judges what a thread opens. UnixSwitch:
// who changes a thread's.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace ktlsim {

struct UnixIdentity {
  // Supplementary groups that anybody here may have.
  static constexpr std::size_t kGroupsMax = 1024;

  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // sorted, each once

  bool operator==(const UnixIdentity&) const = default;

  // Who has no Unix user: it opens what everybody may.
  static const UnixIdentity& Nobody() {
    static const UnixIdentity nobody{.uid = 65534, .gid = 65534, .groups = {}};
    return nobody;
  }
};

// Changes as whom the calling thread, and no other, acts with the operating system.
class UnixSwitch {
 public:
  // The thread has to have the process's identity. 0: it has that of `identity` and no capability
  // in effect; otherwise an errno value, and it has the process's as before. Passive level, or on a
  // processor for a moment.
  [[nodiscard]] virtual int Take(const UnixIdentity& identity) noexcept = 0;
  // The thread has the process's identity again. Where it cannot, the process ends.
  virtual void Return() noexcept = 0;

 protected:
  ~UnixSwitch() = default;
};

}  // namespace ktlsim
