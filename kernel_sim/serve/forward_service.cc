#include "kernel_sim/serve/forward_service.h"

#include <algorithm>
#include <new>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/serve/forwarder.h"

namespace ktlsim::serve {
namespace {

class TcpForwardService final : public ForwardService {
 public:
  explicit TcpForwardService(const ForwardOptions& options) : share_(options) {}

  transport::ConnectionHandler* NewHandler(transport::Connection& connection) override {
    ForwardLoopShare* const here = ShareOf(connection.loop());
    return here != nullptr ? MakeForwarder(share_, *here) : nullptr;
  }

  void Stop() override {
    share_.forwarders.Close();
    share_.forwarders.WaitUntilDrained();
  }

  ForwardStatistics Statistics() const override {
    ForwardStatistics statistics;
    SpinLockHolder lock(lock_);
    for (const auto& share : loop_shares_) {
      statistics += {.forwarded = share->forwarded.value(),
                     .connect_failures = share->connect_failures.value(),
                     .without_backend = share->without_backend.value(),
                     .backend_resets = share->backend_resets.value(),
                     .buffered_peak = share->buffered_peak.load(std::memory_order_relaxed)};
    }
    return statistics;
  }

 private:
  // Made by the loop's first connection. Null: no memory.
  ForwardLoopShare* ShareOf(io::Loop& loop) {
    SpinLockHolder lock(lock_);
    for (const auto& share : loop_shares_) {
      if (&share->loop == &loop) return share.get();
    }
    try {
      return loop_shares_.emplace_back(std::make_unique<ForwardLoopShare>(loop)).get();
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  ForwardShare share_;
  mutable SpinLock lock_;
  std::vector<std::unique_ptr<ForwardLoopShare>> loop_shares_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace

ForwardStatistics& ForwardStatistics::operator+=(const ForwardStatistics& other) {
  forwarded += other.forwarded;
  connect_failures += other.connect_failures;
  without_backend += other.without_backend;
  backend_resets += other.backend_resets;
  buffered_peak = std::max(buffered_peak, other.buffered_peak);
  return *this;
}

std::unique_ptr<ForwardService> MakeForwardService(const ForwardOptions& options) {
  return std::make_unique<TcpForwardService>(options);
}

}  // namespace ktlsim::serve
