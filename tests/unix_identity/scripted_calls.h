// ScriptedCalls: a thread's identity in memory, as Linux changes it, and calls that fail on demand.
// ClientIdentity: somebody with a Unix user.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/unix_identity/identity_calls.h"

namespace ktlsim::unix_identity {

inline constexpr std::uint64_t kSetGid = 1U << 6U;
inline constexpr std::uint64_t kSetUid = 1U << 7U;
inline constexpr std::uint64_t kOverride = 1U << 1U;  // CAP_DAC_OVERRIDE

struct ClientIdentity final : Identity {
  explicit ClientIdentity(UnixIdentity identity) : rights(std::move(identity)) {}
  const UnixIdentity* unix_identity() const noexcept override { return &rights; }
  const UnixIdentity rights;
};

class ScriptedCalls final : public IdentityCalls {
 public:
  ScriptedCalls() {
    now.user = {.real = 33, .effective = 33, .saved = 33, .file = 33};
    now.group = {.real = 34, .effective = 34, .saved = 34, .file = 34};
    now.capabilities.effective = kSetGid | kSetUid | kOverride;
    now.capabilities.permitted = now.capabilities.effective;
    now.groups_count = 2;
    now.groups_memory[0] = 5;
    now.groups_memory[1] = 6;
  }

  int SetGroups(std::span<const gid_t> groups) noexcept override {
    std::string words = "groups";
    for (const gid_t group : groups) words.append(" ").append(std::to_string(group));
    if (const int failure = Begin(words); failure != 0) return failure;
    if (!Has(kSetGid)) return EPERM;
    now.groups_count = groups.size();
    std::size_t at = 0;
    for (const gid_t group : groups) now.groups_memory[at++] = group;
    if (reverses_groups)
      std::ranges::reverse(now.groups_memory.begin(), now.groups_memory.begin() + at);
    return 0;
  }
  int SetGroup(gid_t effective) noexcept override {
    if (const int failure = Begin("group " + std::to_string(effective)); failure != 0) {
      return failure;
    }
    if (!Has(kSetGid) && effective != now.group.real && effective != now.group.saved) return EPERM;
    now.group.effective = now.group.file = effective;
    return 0;
  }
  int SetUser(uid_t effective) noexcept override {
    if (const int failure = Begin("user " + std::to_string(effective)); failure != 0) {
      return failure;
    }
    if (!Has(kSetUid) && effective != now.user.real && effective != now.user.saved) return EPERM;
    CapabilitySets& sets = now.capabilities;
    if (now.user.effective == 0 && effective != 0) sets.effective = 0;
    if (now.user.effective != 0 && effective == 0) sets.effective = sets.permitted;
    now.user.effective = effective;
    const uid_t wrong = std::exchange(wrong_file_user, 0);
    now.user.file = wrong != 0 ? wrong : effective;
    return 0;
  }
  int SetCapabilities(const CapabilitySets& sets) noexcept override {
    if (const int failure = Begin("capabilities " + std::to_string(sets.effective)); failure != 0) {
      return failure;
    }
    if ((sets.effective & ~sets.permitted) != 0) return EPERM;
    if ((sets.permitted & ~now.capabilities.permitted) != 0) return EPERM;
    const std::uint64_t raised = sets.inheritable & ~now.capabilities.inheritable;
    if ((raised & ~now.capabilities.permitted) != 0) return EPERM;
    if ((sets.ambient & ~(sets.permitted & sets.inheritable)) != 0) return EPERM;
    now.capabilities = sets;
    return 0;
  }
  int Read(ThreadCredentials* credentials) noexcept override {
    if (const int failure = Begin("read"); failure != 0) return failure;
    *credentials = now;
    return 0;
  }

  ThreadCredentials now;
  std::vector<std::string> log;
  std::size_t fail_at = static_cast<std::size_t>(-1);  // the number of a call, from 0
  bool fail_next = false;                              // and the one after it
  int error_number = ENOMEM;
  bool reverses_groups = false;  // the kernel's own order
  uid_t wrong_file_user = 0;  // with which files are opened after the next SetUser; 0: the user's

 private:
  bool Has(std::uint64_t capability) const {
    return (now.capabilities.effective & capability) != 0;
  }
  int Begin(const std::string& words) {
    log.push_back(words);
    const std::size_t number = log.size() - 1;
    const bool fails = number == fail_at || (fail_next && number == fail_at + 1);
    return fails ? error_number : 0;
  }
};

}  // namespace ktlsim::unix_identity
