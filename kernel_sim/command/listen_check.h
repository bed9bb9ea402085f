// Addresses to listen on: whether they can be used, and what to do if not.
#pragma once

#include <string>

#include "io/address.h"
#include "kernel_sim/base/status.h"

namespace ktlsim::command {

// Binds a socket to `address` and closes it again; a Unix-domain address is checked without that.
// kIo with the errno value: EADDRINUSE when another socket listens there, with `share` only when
// that one does not share (SO_REUSEPORT). Passive level.
Status TryListen(const io::Address& address, bool share);

// What to do about a `failure` to listen on `address`, in words.
std::string ListenRemedy(const io::Address& address, const Status& failure);

// Whether sockets that listen on these two addresses would exclude each other.
bool AddressesMeet(const io::Address& one, const io::Address& other);

}  // namespace ktlsim::command
