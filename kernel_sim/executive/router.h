// Router: which processor runs a call.
//
// The calls of a strand run where its home is, so that a context's state stays in one processor's
// cache. A strand gets its home with its first call, and moves at most once: when a handshake that
// ran on a crypto processor has ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernel_sim/executive/processor.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/executive/strand.h"

namespace ktlsim::executive {

enum class Placement : std::uint8_t {
  kInline,  // a context's work runs on the processor that submitted its first leg
  kPool,    // handshake legs run on crypto processors, until the handshake ends
};

class Router {
 public:
  // `processors`: the I/O ones first, then the crypto ones. They change only between a stop and the
  // next Start.
  explicit Router(const std::vector<std::unique_ptr<Processor>>& processors)
      : processors_(processors) {}

  // Before the first call of each start. Homes of earlier starts are forgotten.
  void Start(Placement placement, unsigned io_processors);

  // For accepted calls. Any thread, any level.

  // The home of `strand`, or the processor that becomes it. `origin`: the processor whose thread
  // submits, or null. With a null `strand` the call is placed by itself.
  Processor& Route(Lane lane, Strand* strand, Processor* origin);
  // The handshake of the strand's context is over: under kPool its work moves to `origin`, or to
  // some I/O processor. From the strand's running call.
  void MoveHome(Strand& strand, Processor* origin);
  // Null: it has none, or one of an earlier start.
  Processor* HomeOf(const Strand& strand) const {
    const Strand::Home home = strand.home();
    return home.epoch == epoch_ ? processors_[home.processor].get() : nullptr;
  }

  // The processors with sockets.
  std::span<const std::unique_ptr<Processor>> io_processors() const {
    return std::span(processors_).first(io_processors_);
  }

 private:
  Processor& NextIo();
  void SetHome(Strand& strand, const Processor& processor) const {
    strand.set_home({epoch_, processor.index()});
  }

  const std::vector<std::unique_ptr<Processor>>& processors_;

  // Fixed between Start and the next one.
  Placement placement_ = Placement::kInline;
  unsigned io_processors_ = 0;
  std::uint32_t epoch_ = 0;  // of this start; no two starts in a process have the same

  // Shared.
  std::atomic<std::uint64_t> next_io_{0};
  std::atomic<std::uint64_t> next_crypto_{0};
};

}  // namespace ktlsim::executive
