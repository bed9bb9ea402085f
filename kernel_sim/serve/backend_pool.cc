#include "kernel_sim/serve/backend_pool.h"

#include <algorithm>

#include "kernel_sim/base/assert.h"

namespace ktlsim::serve {
namespace {

bool Has(BackendPool::Tried tried, std::size_t backend) { return (tried >> backend & 1) != 0; }

std::uint64_t OutFor(std::uint32_t failures) {
  const std::uint32_t doublings = std::min(failures - 1, 10U);
  return std::min(kBackendOutMinNs << doublings, kBackendOutMaxNs);
}

}  // namespace

BackendPool::BackendPool(const ForwardOptions& options)
    : balance_(options.balance),
      connections_max_(options.connections_per_backend_max),
      size_(options.backends.size()),
      backends_(new Backend[size_]) {
  KTLSIM_CHECK(size_ > 0 && size_ <= kBackendsMax);
  for (std::size_t i = 0; i < size_; ++i) backends_[i].address = options.backends[i];
}

bool BackendPool::TakePlace(Backend& backend) {
  const std::uint32_t before = backend.in_use.fetch_add(1, std::memory_order_relaxed);
  if (connections_max_ == 0 || before < connections_max_) return true;
  backend.in_use.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

bool BackendPool::Claim(Backend& backend, std::uint64_t now_ns) {
  if (Healthy(backend)) return TakePlace(backend);
  std::uint64_t until_ns = backend.out_until_ns.load(std::memory_order_relaxed);
  if (now_ns < until_ns) return false;
  // The thread that moves the time is the one that tries; the others wait for its result.
  if (!backend.out_until_ns.compare_exchange_strong(until_ns, now_ns + kBackendOutMinNs,
                                                    std::memory_order_relaxed)) {
    return false;
  }
  return TakePlace(backend);
}

std::size_t BackendPool::Choose(std::uint64_t now_ns, Tried tried) {
  const std::size_t begin = next_.fetch_add(1, std::memory_order_relaxed) % size_;
  const std::size_t chosen = ChooseHealthy(begin, now_ns, tried);
  return chosen != kNone ? chosen : ChooseAmongOut(tried);
}

std::size_t BackendPool::ChooseHealthy(std::size_t begin, std::uint64_t now_ns, Tried tried) {
  // In the order of preference: by turns, or those with the least connections first.
  Tried looked_at = tried;
  for (std::size_t round = 0; round < size_; ++round) {
    std::size_t best = kNone;
    for (std::size_t i = 0; i < size_; ++i) {
      const std::size_t backend = (begin + i) % size_;
      if (Has(looked_at, backend)) continue;
      if (best == kNone ||
          (balance_ == Balance::kLeastConnections && in_use(backend) < in_use(best))) {
        best = backend;
      }
    }
    if (best == kNone) break;
    if (Claim(backends_[best], now_ns)) return best;
    looked_at |= Tried{1} << best;
  }
  return kNone;
}

std::size_t BackendPool::ChooseAmongOut(Tried tried) {
  std::size_t best = kNone;
  std::uint64_t best_ns = 0;
  for (std::size_t backend = 0; backend < size_; ++backend) {
    if (Has(tried, backend) || Healthy(backends_[backend])) continue;
    const std::uint64_t until_ns = backends_[backend].out_until_ns.load(std::memory_order_relaxed);
    if (best == kNone || until_ns < best_ns) {
      best = backend;
      best_ns = until_ns;
    }
  }
  return best != kNone && TakePlace(backends_[best]) ? best : kNone;
}

bool BackendPool::Succeeded(std::size_t backend) {
  return backends_[backend].failures.exchange(0, std::memory_order_relaxed) != 0;
}

bool BackendPool::Failed(std::size_t backend, std::uint64_t now_ns) {
  const std::uint32_t before = backends_[backend].failures.fetch_add(1, std::memory_order_relaxed);
  backends_[backend].out_until_ns.store(now_ns + OutFor(before + 1), std::memory_order_relaxed);
  return before == 0;
}

void BackendPool::Release(std::size_t backend) {
  const std::uint32_t before = backends_[backend].in_use.fetch_sub(1, std::memory_order_relaxed);
  KTLSIM_ASSERT(before > 0);
}

}  // namespace ktlsim::serve
