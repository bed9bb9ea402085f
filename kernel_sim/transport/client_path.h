// ClientPath: the TLS client side of a transport application: dials from the I/O processors of its
// role, one Connection each, driven by InitializeSecurityContext.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/address.h"
#include "io/loop.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/transport/connection.h"
#include "kernel_sim/transport/profile.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::transport {

struct ClientPathOptions {
  std::string role;  // processors of this role only; empty: all I/O processors
  std::uint64_t drain_ns = 5 * kNsPerSecond;
  // KTLSIM_NOTIFY_*: which threads run the callbacks of connections. From the pool the work is
  // posted back to the connection's loop; handlers run there either way.
  ULONG notify_mode = KTLSIM_NOTIFY_ON_PROCESSOR;
};

class ClientPath {
 public:
  ClientPath();
  // Stopped, or never started.
  ~ClientPath();
  ClientPath(const ClientPath&) = delete;
  ClientPath& operator=(const ClientPath&) = delete;

  // Passive level; starts the library with defaults if it does not run yet. kContract: no processor
  // has the role.
  Status Start(const ClientPathOptions& options);

  // The loops one can dial from, fixed from Start to Stop. Get onto one with Loop::Post.
  const std::vector<io::Loop*>& loops() const;

  // Dials `peer` from `loop`, which is one of loops(), on its thread at dispatch level. `profile`
  // is a client's and must outlive the connection, `handler` lives until its OnEnded, which also
  // reports a failure to connect. Null: no memory, or the path is stopping; the handler is not
  // called.
  Connection* Connect(io::Loop& loop, const io::Address& peer, const TlsProfile& profile,
                      ConnectionHandler& handler);

  // Closes every connection, aborts those that are still there after the drain limit, and returns
  // when each has ended and its handler knows. Passive level, not from a handler. No-op when not
  // started. Before KtlsimStop: the connections live on its processors.
  void Stop();

  // Any thread, any level, also after Stop.
  TransportStatistics Statistics() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ktlsim::transport
