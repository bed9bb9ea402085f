// IdentityCalls: the system calls that read and change the identity of the calling thread alone.
//
// What a newcomer gets wrong: the functions of the C library with these names change every thread
// of the process.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_sim/base/unix_identity.h"

namespace ktlsim::unix_identity {

// A bit for each capability.
struct CapabilitySets {
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t ambient = 0;  // what a program that is run has in effect; permitted and inheritable

  bool operator==(const CapabilitySets&) const = default;
};

struct UserIds {
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  uid_t file = 0;  // with which files are opened

  bool operator==(const UserIds&) const = default;
};

struct GroupIds {
  gid_t real = 0;
  gid_t effective = 0;
  gid_t saved = 0;
  gid_t file = 0;

  bool operator==(const GroupIds&) const = default;
};

// All that a switch changes or keeps.
struct ThreadCredentials {
  UserIds user;
  GroupIds group;
  CapabilitySets capabilities;
  std::size_t groups_count = 0;
  std::array<gid_t, UnixIdentity::kGroupsMax> groups_memory{};

  // In the kernel's order.
  std::span<const gid_t> groups() const { return {groups_memory.data(), groups_count}; }
  bool operator==(const ThreadCredentials& other) const;
};

// The same ones, each as often, in any order: the kernel keeps an order of its own. False for more
// than UnixIdentity::kGroupsMax.
bool SameGroups(std::span<const gid_t> one, std::span<const gid_t> other) noexcept;

// Each returns 0 or an errno value. Real and saved ids stay as they are.
class IdentityCalls {
 public:
  virtual int SetGroups(std::span<const gid_t> groups) noexcept = 0;
  virtual int SetGroup(gid_t effective) noexcept = 0;
  virtual int SetUser(uid_t effective) noexcept = 0;
  // Ambient ones go with the inheritable ones; those of `sets` are raised last.
  virtual int SetCapabilities(const CapabilitySets& sets) noexcept = 0;
  // EINVAL: more than UnixIdentity::kGroupsMax supplementary groups.
  virtual int Read(ThreadCredentials* credentials) noexcept = 0;

 protected:
  ~IdentityCalls() = default;
};

// Linux's. They live as long as the process. Any thread.
IdentityCalls& LinuxCalls();

}  // namespace ktlsim::unix_identity
