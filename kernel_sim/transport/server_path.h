// ServerPath: the TLS server side of a transport application. One listener on every I/O processor
// of its role, one Connection per accepted socket, driven by AcceptSecurityContext. The listeners
// of a port have a socket each, which share it (SO_REUSEPORT); those of a Unix-domain socket accept
// from the one backlog that it has, whichever processor is first.
//
// Accepting is held back while a processor has too many handshakes or connections, or while the
// library refuses first legs; meanwhile peers wait in the kernel's backlog. A handshake that has
// waited for its peer for longer than kPeerPatienceNs does not count until the peer's next message,
// so silent peers do not hold back others.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/address.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/transport/connection.h"
#include "kernel_sim/transport/handshake_times.h"
#include "kernel_sim/transport/profile.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::transport {

// For each accepted connection, on its loop's thread at dispatch level, before the handshake. The
// handler belongs to its maker and must live until its OnEnded. Null, or a bad_alloc: there is no
// memory for it, and the connection is refused.
using HandlerFactory = std::function<ConnectionHandler*(Connection& connection)>;

// Called for every accepted connection, on its loop's thread at dispatch level.
class EndObserver {
 public:
  virtual void OnConnectionEnded(const Connection& connection, const EndReason& reason) = 0;
  // No connection could be accepted: out of descriptors or memory, or the system refuses. The
  // listener tries again a little later; meanwhile clients wait in the backlog.
  virtual void OnAcceptFailed(const Status& /*reason*/) {}

 protected:
  ~EndObserver() = default;
};

struct ServerOptions {
  TlsOptions tls;
  io::Address address = io::Address::Loopback(0);
  std::string role;                   // processors of this role only; empty: all I/O processors
  std::uint32_t max_connections = 0;  // over all processors; 0: no limit
  std::uint32_t max_handshakes_per_processor = 512;
  std::uint64_t drain_ns = 5 * kNsPerSecond;  // how long Stop waits for orderly ends
  int backlog = 4096;
  // Another program of the same user may listen on the port, too, if it shares the port as well;
  // connections then go to either. Without it Start fails with EADDRINUSE. Not for Unix-domain
  // sockets, which cannot be shared.
  bool share_port = false;
  EndObserver* observer = nullptr;  // lives until Stop
  // KTLSIM_NOTIFY_*: which threads run the callbacks of connections. From the pool the work is
  // posted back to the connection's loop; handlers run there either way.
  ULONG notify_mode = KTLSIM_NOTIFY_ON_PROCESSOR;
  // Gets the time of each handshake, from accepting to being established; outlives the path. Null:
  // nobody measures.
  HandshakeTimesOfLoops* handshake_times = nullptr;
};

class ServerPath {
 public:
  ServerPath();
  // Stopped, or never started.
  ~ServerPath();
  ServerPath(const ServerPath&) = delete;
  ServerPath& operator=(const ServerPath&) = delete;

  // Listens on all processors of the role and returns the bound address. Passive level; starts the
  // library with defaults if it does not run yet. On failure, a lack of memory included
  // (kResource), nothing is left running.
  Result<io::Address> Start(const ServerOptions& options, HandlerFactory factory);

  // New connections are made with these from now on; existing ones keep what they have. Not changed
  // by this: address, role, backlog, share_port, observer, notify_mode and handshake_times.
  // `factory` is destroyed on a loop, at dispatch level, after the last connection for which it
  // made a handler. Passive level, not at the same time as a stop, nor after one has begun. Only
  // when started; on failure nothing has changed.
  Status Replace(const ServerOptions& options, HandlerFactory factory);

  // Replace in two steps: first everything that can fail, which changes nothing, then the part that
  // cannot. For a caller that replaces several paths or none. No stop may begin in between. Passive
  // level.
  class Replacement {
   private:
    friend class ServerPath;
    std::shared_ptr<const void> content_;
  };
  Result<Replacement> Prepare(const ServerOptions& options, HandlerFactory factory) const;
  void Commit(const Replacement& replacement);

  // Stops accepting, lets every connection drain (OnDrain), and aborts those that are still there
  // after the drain limit; does not wait for it. Stop must follow. Passive level, not from a
  // handler. No-op when not started, or begun already. Allocates nothing, nor does Stop.
  void BeginStop();
  // True: a Stop now need not wait. Passive level.
  bool Drained() const;
  // BeginStop, and returns when each connection has ended and its handler knows. Passive level, not
  // from a handler. No-op when not started. Before KtlsimStop: the connections live on its
  // processors.
  void Stop();

  // Any thread, any level, also after Stop.
  TransportStatistics Statistics() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ktlsim::transport
