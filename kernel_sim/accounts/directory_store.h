// DirectoryStore: the directory that counts now, and its file.
//
// What a newcomer gets wrong: what was taken stays as it is. Whoever works with a directory takes
// it once, and sees one state of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/base/mutex.h"

namespace ktlsim::accounts {

inline constexpr std::size_t kDirectoryBytesMax = std::size_t{16} << 20;
// What Load says when it has no memory.
inline constexpr std::string_view kNoMemoryForAccounts = "no memory for the accounts";

struct DirectorySnapshot {
  std::shared_ptr<const Directory> directory;  // null: there is none yet
  std::uint64_t generation = 0;                // another one after each change
};

class DirectoryStore {
 public:
  // Reads `path`. Empty: from now on it counts. Otherwise what is wrong and the remedy, in one
  // line; what counted before goes on counting. Passive level, any thread.
  std::string Load(const std::string& path) KTLSIM_EXCLUDES(lock_);
  // The same file again. Before the first Load it is a mistake.
  std::string Reload() KTLSIM_EXCLUDES(lock_);
  // Null: as at the beginning.
  void Use(std::shared_ptr<const Directory> directory) KTLSIM_EXCLUDES(lock_);

  // Any thread, any level.
  DirectorySnapshot snapshot() const KTLSIM_EXCLUDES(lock_);

 private:
  mutable SpinLock lock_;
  std::string path_ KTLSIM_GUARDED_BY(lock_);
  DirectorySnapshot current_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::accounts
