#include "kernel_sim/accounts/directory_store.h"

#include <new>

#include "kernel_sim/base/file.h"
#include "kernel_sim/base/fork_gate.h"

namespace ktlsim::accounts {

std::string DirectoryStore::Load(const std::string& path) try {
  const Result<FileText> file = ReadFile(path.c_str(), kDirectoryBytesMax);
  if (!file) return path + ": " + file.status().ToString() + "; name a file that can be read";
  std::string error;
  std::shared_ptr<const Directory> directory = Directory::Parse(file->text(), path, &error);
  if (directory == nullptr) return error;
  std::string kept = path;
  Use(std::move(directory));
  const ForkGate::Scope inside;
  const SpinLockHolder holder(lock_);
  path_.swap(kept);
  return {};
} catch (const std::bad_alloc&) {
  return std::string(kNoMemoryForAccounts);
}

std::string DirectoryStore::Reload() {
  std::string path;
  {
    const ForkGate::Scope inside;
    const SpinLockHolder holder(lock_);
    path = path_;
  }
  return path.empty() ? "no file of accounts was loaded" : Load(path);
}

void DirectoryStore::Use(std::shared_ptr<const Directory> directory) {
  const ForkGate::Scope inside;
  const SpinLockHolder holder(lock_);
  // The earlier one is destroyed with the parameter, after the lock.
  current_.directory.swap(directory);
  ++current_.generation;
}

DirectorySnapshot DirectoryStore::snapshot() const {
  const ForkGate::Scope inside;
  const SpinLockHolder holder(lock_);
  return current_;
}

}  // namespace ktlsim::accounts
