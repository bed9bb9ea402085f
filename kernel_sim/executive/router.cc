#include "kernel_sim/executive/router.h"

namespace ktlsim::executive {

void Router::Start(Placement placement, unsigned io_processors) {
  static std::atomic<std::uint32_t> starts{0};
  placement_ = placement;
  io_processors_ = io_processors;
  epoch_ = starts.fetch_add(1) + 1;
  next_io_.store(0, std::memory_order_relaxed);
  next_crypto_.store(0, std::memory_order_relaxed);
}

Processor& Router::NextIo() {
  return *processors_[next_io_.fetch_add(1, std::memory_order_relaxed) % io_processors_];
}

Processor& Router::Route(Lane lane, Strand* strand, Processor* origin) {
  if (strand != nullptr) {
    if (Processor* home = HomeOf(*strand)) return *home;
  }
  Processor* chosen = nullptr;
  const std::size_t crypto = processors_.size() - io_processors_;
  if (crypto != 0 && lane == Lane::kHandshake) {
    const std::size_t next = next_crypto_.fetch_add(1, std::memory_order_relaxed) % crypto;
    chosen = processors_[io_processors_ + next].get();
  } else {
    chosen = origin != nullptr ? origin : &NextIo();
  }
  if (strand != nullptr) SetHome(*strand, *chosen);
  return *chosen;
}

void Router::MoveHome(Strand& strand, Processor* origin) {
  if (placement_ != Placement::kPool) return;
  const Processor* home = HomeOf(strand);
  if (home != nullptr && home->index() < io_processors_) return;
  // A callback without a submitting processor runs on the crypto one, and so do its submissions.
  const bool from_io = origin != nullptr && origin->index() < io_processors_;
  SetHome(strand, from_io ? *origin : NextIo());
}

}  // namespace ktlsim::executive
