#include "kernel_sim/command/listen_check.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include <fmt/format.h>

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

}  // namespace

Status TryListen(const io::Address& address, bool share) {
  const int trial = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (trial < 0) return IoError(errno, "open the listening socket");
  Status outcome;
  if (!SetFlag(trial, SO_REUSEADDR) || (share && !SetFlag(trial, SO_REUSEPORT))) {
    outcome = IoError(errno, "set up the listening socket");
  } else if (bind(trial, address.data(), address.size()) != 0) {
    outcome = IoError(errno, "bind the listening socket");
  }
  close(trial);
  return outcome;
}

std::string ListenRemedy(const io::Address& address, const Status& failure) {
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
  if (one.port() != other.port() || one.port() == 0) return false;
  return IsWildcard(one) || IsWildcard(other) || one.ToString() == other.ToString();
}

}  // namespace ktlsim::command
