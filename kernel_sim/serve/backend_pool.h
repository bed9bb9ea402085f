// BackendPool: which backend gets the next connection.
//
// Health is passive: a backend that cannot be connected to is left out for a time that doubles with
// each failure in a row, from kBackendOutMinNs to kBackendOutMaxNs; when it is over, one connection
// at a time tries it. When all are out, the one whose time ends first is tried all the same: a
// client that fails is no worse off than one that is turned away.
//
// Private to serve/. Any thread, any level; no lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/address.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/serve/forward_service.h"

namespace ktlsim::serve {

inline constexpr std::uint64_t kBackendOutMinNs = kNsPerSecond;
inline constexpr std::uint64_t kBackendOutMaxNs = 30 * kNsPerSecond;

class BackendPool {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};
  using Tried = std::uint64_t;  // a bit per backend

  // 1 to kBackendsMax of them.
  explicit BackendPool(const ForwardOptions& options);

  // A backend that is not in `tried`, counted as in use until Release; kNone: there is none, or all
  // are at their limit.
  std::size_t Choose(std::uint64_t now_ns, Tried tried);
  // It accepted. True: it had been out.
  bool Succeeded(std::size_t backend);
  // It could not be connected to. True: it has not been out before.
  bool Failed(std::size_t backend, std::uint64_t now_ns);
  void Release(std::size_t backend);

  const io::Address& address(std::size_t backend) const { return backends_[backend].address; }
  std::uint32_t in_use(std::size_t backend) const {
    return backends_[backend].in_use.load(std::memory_order_relaxed);
  }
  std::size_t size() const { return size_; }

 private:
  struct alignas(64) Backend {
    io::Address address;
    std::atomic<std::uint32_t> in_use{0};
    std::atomic<std::uint32_t> failures{0};      // in a row
    std::atomic<std::uint64_t> out_until_ns{0};  // matters while `failures` is not 0
  };

  bool Healthy(const Backend& backend) const {
    return backend.failures.load(std::memory_order_relaxed) == 0;
  }
  // Takes a place in it. `now_ns`: of a backend that is out, only when its time is over.
  bool Claim(Backend& backend, std::uint64_t now_ns);
  bool TakePlace(Backend& backend);
  std::size_t ChooseHealthy(std::size_t begin, std::uint64_t now_ns, Tried tried);
  std::size_t ChooseAmongOut(Tried tried);

  const Balance balance_;
  const std::uint32_t connections_max_;
  const std::size_t size_;
  const std::unique_ptr<Backend[]> backends_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace ktlsim::serve
