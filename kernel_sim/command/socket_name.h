// SocketName: how people write where a socket listens or connects, and the addresses that this
// means.
//
//   HOST:PORT          a name, an IPv4 address or [IPv6]; a name can have several addresses
//   :PORT, *:PORT      to listen on every address of the machine, IPv4 and IPv6
//   unix:/PATH         a Unix-domain socket; unix:@NAME is one without a file (unix(7))
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/address.h"

namespace ktlsim::command {

enum class SocketUse : std::uint8_t { kListen, kConnect };

struct SocketName {
  std::string host;  // a name, or an address without brackets; empty for the other two forms
  std::uint16_t port = 0;
  bool every_address = false;
  io::Address unix_socket;  // or none

  // Equal texts for names that certainly mean the same, without a look-up.
  std::string Key() const;
};

// Empty: done. Else what is wrong and what would be right; `*name` is as it was. No look-up. Only
// a listener may name every address, or port 0.
std::string ParseSocketName(std::string_view text, SocketUse use, SocketName* name);

// The addresses of `name`, each once, in the resolver's order. Looking up a name may take long:
// passive level. Empty: done; else why there are none and the remedy.
//
// IPv6 addresses of a name are left out where the machine has no IPv6 at all, because /etc/hosts
// often has them nevertheless.
std::string LookUp(const SocketName& name, std::vector<io::Address>* addresses);

}  // namespace ktlsim::command
