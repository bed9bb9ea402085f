#include "kernel_sim/audit/file_calls.h"

#include <fcntl.h>
#include <unistd.h>

namespace ktlsim::audit {

ssize_t FileCalls::Write(int file, const char* bytes, std::size_t count, off_t offset) {
  return pwrite(file, bytes, count, offset);
}

int FileCalls::Sync(int file) { return fdatasync(file); }

int FileCalls::Truncate(int file, off_t size) { return ftruncate(file, size); }

int FileCalls::Make(const char* path, int flags, mode_t mode) { return open(path, flags, mode); }

int FileCalls::SyncFolder(int folder) { return fsync(folder); }

FileCalls& FileCalls::System() {
  static FileCalls calls;
  return calls;
}

}  // namespace ktlsim::audit
