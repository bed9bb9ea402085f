// Unix-domain sockets to listen on, and their files (unix(7)).
//
// What a newcomer gets wrong: the file outlives its socket. A server that was killed leaves its
// file, and bind refuses a path that exists. So the file of a socket that no process accepts on is
// replaced, the file of one that some process accepts on is in use, and any other file is left
// alone.
#pragma once

#include <sys/types.h>

#include "io/address.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::io {

// Opens a socket of SOCK_STREAM | `flags` that listens on `address`, a Unix-domain one with a name.
// The file gets the permissions that the umask leaves of 0777: users that may write to it can
// connect. Its folder is locked meanwhile (flock), so that one of two programs that start at the
// same time wins. Any thread; waits for nothing.
//
// kIo: EADDRINUSE: another socket accepts there, or is just about to; ENOTSOCK: the path is no
// socket's; others as of bind.
Result<int> ListenOnUnix(const Address& address, int backlog, int flags);

// Whether ListenOnUnix would succeed, as far as can be seen without it; changes nothing.
Status TryUnix(const Address& address);

// The file of a listening socket, to be removed when that is closed.
class SocketFile {
 public:
  SocketFile() = default;
  // Call for a socket that was just bound to `address`.
  explicit SocketFile(const Address& address);
  // Removes it if it is still the same: another server's at this path stays. Once only.
  void Remove();

 private:
  Address address_;
  dev_t device_ = 0;
  ino_t number_ = 0;
  bool there_ = false;
};

}  // namespace ktlsim::io
