// ForwardService: passes plaintext on to backends, over TCP or Unix-domain sockets, byte for byte.
//
// Back-pressure both ways: what may wait for a slow backend or a slow client is bounded by
// kForwardBufferBytes twice per direction, beyond what the sockets hold; the other side is then not
// read. Ends are passed on as they are: close_notify as FIN and back, a reset as a reset. A FIN
// without close_notify becomes a reset: the backend must not take a cut stream for a whole one
// (RFC 8446 6.1). A backend's reset becomes FIN without close_notify after what the backend had
// sent, for that may be an early response to a request that it did not read. A Unix-domain socket
// has no reset, though, and such a backend cannot tell. One whose backlog is full refuses at once
// (EAGAIN), where TCP would wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/address.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/serve/service.h"

namespace ktlsim::serve {

inline constexpr std::size_t kBackendsMax = 64;
inline constexpr std::size_t kForwardBufferBytes = 66 * 1024;

enum class Balance : std::uint8_t { kRoundRobin, kLeastConnections };

// Called when the health of a backend changes, on any loop's thread at dispatch level.
class BackendWatcher {
 public:
  // It could not be connected to, and is left out for a while.
  virtual void OnBackendOut(const io::Address& backend, Status failure) = 0;
  // It can be connected to again.
  virtual void OnBackendBack(const io::Address& backend) = 0;
  // A client was turned away: no backend accepted, or all are at their limit.
  virtual void OnNoBackend(const io::Address& client) = 0;

 protected:
  ~BackendWatcher() = default;
};

struct ForwardOptions {
  std::vector<io::Address> backends;  // 1 to kBackendsMax
  Balance balance = Balance::kRoundRobin;
  bool proxy_protocol = false;
  std::uint64_t connect_ns = 5 * kNsPerSecond;    // longest wait for a backend to accept; 0: none
  std::uint32_t connections_per_backend_max = 0;  // 0: no limit
  BackendWatcher* watcher = nullptr;
};

// Since the start; may be read from any thread.
struct ForwardStatistics {
  std::uint64_t forwarded = 0;         // connections that got a backend
  std::uint64_t connect_failures = 0;  // attempts, of which a connection can make several
  std::uint64_t without_backend = 0;   // connections that got none
  std::uint64_t backend_resets = 0;
  std::uint64_t buffered_peak = 0;  // bytes, the most that one connection had in one direction

  ForwardStatistics& operator+=(const ForwardStatistics& other);
};

class ForwardService : public Service {
 public:
  virtual ForwardStatistics Statistics() const = 0;
};

// Passive level.
std::unique_ptr<ForwardService> MakeForwardService(const ForwardOptions& options);

}  // namespace ktlsim::serve
