#include "io/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include "kernel_sim/base/descriptor.h"

namespace ktlsim::io {
namespace {

// Nothing here takes memory: it happens on a ring's thread.
struct FolderName {
  explicit FolderName(const Address& address) {
    const std::string_view path = address.unix_path();
    path.copy(text, path.rfind('/') + 1);
  }
  char text[kUnixNameMax + 1] = {};
};

// Whether any process accepts on the socket at `address`. 0: none; else the errno value that says
// why the address cannot be used.
int WhoAccepts(const Address& address) {
  const Descriptor client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!client.valid()) return errno;
  if (connect(client.number(), address.data(), address.size()) == 0) return EADDRINUSE;
  switch (errno) {
    case ECONNREFUSED:
    case ENOENT:
      return 0;
    case EACCES:
    case EPERM:
      return EACCES;
    default:
      // EAGAIN: the backlog is full. EPROTOTYPE: it is of another kind.
      return EADDRINUSE;
  }
}

enum class Found : std::uint8_t { kNothing, kDead, kTaken };

// What is at the path of `address`. kTaken: `*error_number` says by what.
Found LookAt(const Address& address, int* error_number) {
  struct stat status{};
  if (lstat(address.unix_path().data(), &status) != 0) return Found::kNothing;
  *error_number = S_ISSOCK(status.st_mode) ? WhoAccepts(address) : ENOTSOCK;
  return *error_number == 0 ? Found::kDead : Found::kTaken;
}

// Empty: it is ours. To other programs a socket that is bound and does not listen yet looks dead.
Status MakeWay(const Address& address) {
  int error_number = 0;
  switch (LookAt(address, &error_number)) {
    case Found::kNothing:
      return {};
    case Found::kTaken:
      return IoError(error_number, "bind the listening socket");
    case Found::kDead:
      break;
  }
  if (unlink(address.unix_path().data()) == 0 || errno == ENOENT) return {};
  return IoError(errno, "remove the socket file that a server has left");
}

}  // namespace

Result<int> ListenOnUnix(const Address& address, int backlog, int flags) {
  Descriptor listener(socket(AF_UNIX, SOCK_STREAM | flags, 0));
  if (!listener.valid()) return IoError(errno, "open the listening socket");
  const bool has_file = !address.unix_path().empty();
  // A folder that may be written to but not read goes without the lock.
  const Descriptor folder(
      has_file ? open(FolderName(address).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
  if (folder.valid() && flock(folder.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return IoError(EADDRINUSE, "lock the folder of the listening socket");
  }
  if (has_file) {
    if (const Status way = MakeWay(address); !way.ok()) return way;
  }
  if (bind(listener.number(), address.data(), address.size()) != 0) {
    return IoError(errno, "bind the listening socket");
  }
  if (listen(listener.number(), backlog) != 0) {
    const Status refused = IoError(errno, "listen");
    SocketFile(address).Remove();
    return refused;
  }
  return listener.Release();
}

Status TryUnix(const Address& address) {
  if (address.unix_path().empty()) {
    const Descriptor trial(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!trial.valid()) return IoError(errno, "open the listening socket");
    if (bind(trial.number(), address.data(), address.size()) == 0) return {};
    return IoError(errno, "bind the listening socket");
  }
  int error_number = 0;
  if (LookAt(address, &error_number) == Found::kTaken) {
    return IoError(error_number, "bind the listening socket");
  }
  if (access(FolderName(address).text, W_OK | X_OK) == 0) return {};
  return IoError(errno, "bind the listening socket");
}

SocketFile::SocketFile(const Address& address) : address_(address) {
  struct stat status{};
  const std::string_view path = address.unix_path();
  there_ = !path.empty() && lstat(path.data(), &status) == 0;
  device_ = status.st_dev;
  number_ = status.st_ino;
}

void SocketFile::Remove() {
  if (!std::exchange(there_, false)) return;
  struct stat status{};
  const char* const path = address_.unix_path().data();
  if (lstat(path, &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == number_) unlink(path);
}

}  // namespace ktlsim::io
