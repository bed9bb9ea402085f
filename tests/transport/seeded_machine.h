// SeededMachine: the whole library and its paths on one thread, replayed from a seed: in-memory
// rings on one simulated network, virtual time, and a scheduler that draws which actor takes the
// next step.
//
// The runtime runs while a machine lives. The test's own thread is one of the actors: every wait (a
// synchronous call, a path's Stop, a peer's ReceiveSome) lets the others step.
//
// What a newcomer gets wrong: time passes only when no actor can do anything at this instant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "kernel_sim/base/stepping.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/executive/seeded_scheduler.h"
#include "tests/support/deterministic_tls.h"
#include "tests/transport/raw_peer.h"

namespace ktlsim::test {

struct SeededMachineOptions {
  io::MemoryNetworkOptions network;  // with the seed of everything
  io::MemoryRingOptions ring{.receive_buffers = 64};
  unsigned processors = 2;
  std::vector<std::string> roles = {"server", "client"};
  executive::Placement placement = executive::Placement::kInline;
  unsigned crypto_processors = 1;
  std::uint32_t queue_depth = 4096;
};

// Faults that end no connection: everything arrives, but in another order, later, or in pieces.
io::MemoryFaults HarmlessFaults();

class SeededMachine {
 public:
  explicit SeededMachine(const SeededMachineOptions& options);
  // Call when paths are stopped and credentials freed. Stops the runtime and expects that nothing
  // is left.
  ~SeededMachine();
  SeededMachine(const SeededMachine&) = delete;
  SeededMachine& operator=(const SeededMachine&) = delete;

  io::MemoryNetwork& network() { return network_; }
  executive::SeededScheduler& scheduler() { return scheduler_; }
  // For the test's own choices.
  io::SeededRandom& random() { return random_; }
  std::uint64_t NowNs() const { return network_.NowNs(); }

  // Steps until `done`. False, with a failure: no actor can move any more, or it takes too long.
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done);
  // Steps until this much virtual time has passed.
  void RunFor(std::uint64_t duration_ns);
  // Connects from a ring of its own.
  std::unique_ptr<PeerSocket> Dial(const io::Address& address);

  // A hash of everything that happened; and the latest events in words.
  std::uint64_t TraceHash() const { return scheduler_.trace_hash() ^ network_.TraceHash(); }
  std::string TraceText() const { return scheduler_.TraceText() + network_.TraceText(); }
  // Every byte every connection has sent, if kept.
  std::vector<std::vector<std::byte>> Wire() const;

  // The paths have stopped: no ring has anything in flight, and every call has completed.
  void ExpectQuiet();

 private:
  class Peer;
  class PeerHandle;

  io::MemoryNetwork network_;
  io::SeededRandom random_;
  executive::SeededScheduler scheduler_;
  DeterministicTls deterministic_;
  std::deque<WorkItem*> passive_;
  Stepping stepping_;
  std::unique_ptr<io::MemoryRing> peer_ring_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace ktlsim::test
