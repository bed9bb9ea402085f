// Forwarder: one client connection and its socket to a backend.
//
// Private to serve/.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/loop.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/serve/backend_pool.h"
#include "kernel_sim/serve/forward_service.h"
#include "kernel_sim/transport/connection.h"
#include "kernel_sim/transport/memory.h"

namespace ktlsim::serve {

// What the forwarders of one service share.
struct ForwardShare {
  explicit ForwardShare(const ForwardOptions& forward_options)
      : options(forward_options), pool(forward_options) {}

  const ForwardOptions options;
  BackendPool pool;
  Rundown forwarders;
};

// What those on one loop share.
struct ForwardLoopShare {
  explicit ForwardLoopShare(io::Loop& its_loop) : loop(its_loop) {}

  io::Loop& loop;
  transport::BufferPool buffers;
  transport::Counter forwarded, connect_failures, without_backend, backend_resets;
  std::atomic<std::uint64_t> buffered_peak{0};  // written on the loop only
};

// Both shares must live until ForwardShare::forwarders is drained. Null: no memory, or it is
// closed.
transport::ConnectionHandler* MakeForwarder(ForwardShare& share, ForwardLoopShare& loop_share);

}  // namespace ktlsim::serve
