#include "kernel_sim/command/listen_check.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "io/unix_socket.h"

namespace ktlsim::command {
namespace {

bool SetFlag(int socket, int option) {
  const int on = 1;
  return setsockopt(socket, SOL_SOCKET, option, &on, sizeof(on)) == 0;
}

// The first port that needs no privilege (ip(7), ip_unprivileged_port_start).
unsigned FirstFreePort() {
  unsigned port = 0;
  std::ifstream file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  return file >> port ? port : 1024;
}

bool IsWildcard(const io::Address& address) {
  const std::string text = address.ToString();
  return text.starts_with("0.0.0.0:") || text.starts_with("[::]:");
}

const char* UnixRemedy(int error_number) {
  switch (error_number) {
    case EADDRINUSE:
      return "end the server that accepts there, or choose another path";
    case ENOTSOCK:
      return "something that is no socket has this path, and is left alone: choose another one, or "
             "remove it";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a folder that this user may write to";
    case ENOENT:
    case ENOTDIR:
      return "make its folder first";
    default:
      return "choose a path in a folder that this user may write to";
  }
}

}  // namespace

Status TryListen(const io::Address& address, bool share) {
  if (address.is_unix()) return io::TryUnix(address);
  const int trial = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (trial < 0) return IoError(errno, "open the listening socket");
  Status outcome;
  if (!SetFlag(trial, SO_REUSEADDR) || (share && !SetFlag(trial, SO_REUSEPORT))) {
    outcome = IoError(errno, "set up the listening socket");
  } else if (const int no = 0; address.family() == AF_INET6 &&
                               setsockopt(trial, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) != 0) {
    outcome = IoError(errno, "set up the listening socket");
  } else if (bind(trial, address.data(), address.size()) != 0) {
    outcome = IoError(errno, "bind the listening socket");
  }
  close(trial);
  return outcome;
}

std::string ListenRemedy(const io::Address& address, const Status& failure) {
  if (address.is_unix()) return UnixRemedy(failure.code());
  switch (failure.code()) {
    case EADDRINUSE:
      return "end the program that listens there, choose another port, or let both share this one "
             "(--reuse-port)";
    case EACCES:
      if (const unsigned first = FirstFreePort(); address.port() < first) {
        return fmt::format(
            "a port below {0} needs CAP_NET_BIND_SERVICE (systemd: "
            "AmbientCapabilities=CAP_NET_BIND_SERVICE); grant it, or choose a port from {0}",
            first);
      }
      return "a security policy of this machine forbids it";
    case EADDRNOTAVAIL:
      return "choose an address of this machine";
    default:
      return "choose an address of this machine and a free port";
  }
}

bool AddressesMeet(const io::Address& one, const io::Address& other) {
  if (one.is_unix() || other.is_unix()) return one.ToString() == other.ToString();
  if (one.port() != other.port() || one.port() == 0) return false;
  return IsWildcard(one) || IsWildcard(other) || one.ToString() == other.ToString();
}

}  // namespace ktlsim::command
