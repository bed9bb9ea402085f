// Sockets: plain system calls, made on the ring's thread. None of them blocks.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "io/unix_socket.h"
#include "io/uring_ring.h"

namespace ktlsim::io {
namespace {

constexpr int kStreamType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

bool SetFlag(int socket, int level, int option) {
  const int on = 1;
  return setsockopt(socket, level, option, &on, sizeof(on)) == 0;
}

// Closes `socket` and returns the errno value of the call that failed before.
Status FailAndClose(int socket, const char* what) {
  const int error_number = errno;
  close(socket);
  return IoError(error_number, what);
}

// What `ask`, getsockname or getpeername, returns for `socket`.
Result<Address> AskFor(int (*ask)(int, sockaddr*, socklen_t*), int socket, const char* what) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (ask(socket, address, &length) != 0) return IoError(errno, what);
  try {
    return Address(address, length);
  } catch (const std::bad_alloc&) {
    return IoError(ENOMEM, what);
  }
}

}  // namespace

// Keeps track of a new descriptor, or closes it.
Result<SocketId> UringRing::Opened(SocketId socket) {
  if (NoteOpened(socket)) return socket;
  close(socket);
  return IoError(ENOMEM, "keep track of a socket");
}

Result<SocketId> UringRing::Listen(const Address& address, const ListenOptions& options) {
  KTLSIM_ASSERT(IsCurrentThread());
  if (options.same_as != kNoSocket) return ListenAlso(options.same_as);
  if (address.is_unix()) {
    const Result<int> listener =
        ListenOnUnix(address, options.backlog, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!listener) return listener.status();
    Result<SocketId> opened = Opened(listener.value());
    if (!opened) SocketFile(address).Remove();
    return opened;
  }
  const int listener = socket(address.family(), kStreamType, 0);
  if (listener < 0) return IoError(errno, "open the listening socket");
  const bool joins = options.share_port && !options.first_of_port;
  // Whatever net.ipv6.bindv6only says: [::] is every address.
  const int no = 0;
  if (address.family() == AF_INET6 &&
      setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) != 0) {
    return FailAndClose(listener, "set up the listening socket");
  }
  // Connections inherit TCP_NODELAY from here: no call per connection.
  if (!SetFlag(listener, SOL_SOCKET, SO_REUSEADDR) ||
      (joins && !SetFlag(listener, SOL_SOCKET, SO_REUSEPORT)) ||
      !SetFlag(listener, IPPROTO_TCP, TCP_NODELAY)) {
    return FailAndClose(listener, "set up the listening socket");
  }
  if (bind(listener, address.data(), address.size()) != 0) {
    return FailAndClose(listener, "bind the listening socket");
  }
  // When a socket is bound, Linux compares its flag with the flags that earlier ones have then.
  // This one is bound without, so the port was free. Set now, the flag lets others join.
  if (options.share_port && !joins && !SetFlag(listener, SOL_SOCKET, SO_REUSEPORT)) {
    return FailAndClose(listener, "set up the listening socket");
  }
  if (listen(listener, options.backlog) != 0) return FailAndClose(listener, "listen");
  return Opened(listener);
}

// A descriptor of our own, because each ring closes what it has opened.
Result<SocketId> UringRing::ListenAlso(SocketId socket) {
  const int duplicate = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return IoError(errno, "share the listening socket");
  return Opened(duplicate);
}

Result<SocketId> UringRing::OpenStream(int family) {
  KTLSIM_ASSERT(IsCurrentThread());
  const int stream = socket(family, kStreamType, 0);
  if (stream < 0) return IoError(errno, "open a socket");
  if (family != AF_UNIX && !SetFlag(stream, IPPROTO_TCP, TCP_NODELAY)) {
    return FailAndClose(stream, "set TCP_NODELAY");
  }
  return Opened(stream);
}

Result<Address> UringRing::LocalAddress(SocketId socket) {
  return AskFor(&getsockname, socket, "ask for the local address");
}

Result<Address> UringRing::PeerAddress(SocketId socket) {
  return AskFor(&getpeername, socket, "ask for the peer's address");
}

void UringRing::ShutdownSend(SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  // ENOTCONN: the peer was faster and has reset the connection; the receive reports it.
  if (shutdown(socket, SHUT_WR) != 0) KTLSIM_ASSERT(errno == ENOTCONN);
}

// close(2) and not IORING_OP_CLOSE: the number is free at once for the next accept, and no failure
// to submit can leak it.
void UringRing::Close(SocketId socket, bool reset) {
  NoteClosed(socket);
  if (reset) {
    const linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  }
  close(socket);
}

std::string RaiseFileLimit(std::size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return "the limit on open files cannot be read";
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  if (limit.rlim_cur >= wanted) return {};
  return "only " + std::to_string(limit.rlim_cur) + " files may be open at once, " +
         std::to_string(wanted) + " are wanted: raise the hard limit (ulimit -Hn, LimitNOFILE=)";
}

}  // namespace ktlsim::io
