// FileCalls: the system calls that a full or failing disk refuses, as an interface, so that tests
// can refuse them.
//
// Private to audit/.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace ktlsim::audit {

class FileCalls {
 public:
  virtual ~FileCalls() = default;

  virtual ssize_t Write(int file, const char* bytes, std::size_t count, off_t offset);
  virtual int Sync(int file);
  virtual int Truncate(int file, off_t size);
  // A descriptor, as open with O_CREAT.
  virtual int Make(const char* path, int flags, mode_t mode);
  virtual int SyncFolder(int folder);

  static FileCalls& System();
};

}  // namespace ktlsim::audit
