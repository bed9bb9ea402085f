// MemoryNetwork: a simulated kernel for seeded schedules: sockets, virtual time, faults, a trace.
//
// One per simulated machine, with one MemoryRing (memory_ring.h) per simulated processor.
// Everything runs on one thread and nothing blocks. Time passes only in two calls:
// AdvanceTo, or a Turn that may wait. The same seed and the same calls give the same run, byte for
// byte.
//
// The one thing a newcomer gets wrong: AdvanceTo calls no handler. It lets segments arrive, and so
// makes rings Ready; their next Turn reports what became due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "io/seeded_random.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::io {

class MemoryKernel;
class MemoryRing;
struct MemoryRingOptions;

// How often each kind of fault happens: times in a thousand occasions.
struct MemoryFaults {
  unsigned reorder = 0;        // the completions of different operations of one turn change places
  unsigned delay = 0;          // a completion shows up later, up to delay_max_ns
  unsigned short_receive = 0;  // fewer bytes than are there
  bool one_byte_receives = false;
  unsigned short_send = 0;      // the kernel takes fewer bytes than it could
  unsigned reset = 0;           // a segment is lost and the connection with it: RST to both ends
  unsigned truncate = 0;        // the connection ends with FIN after a segment, RST to its sender
  unsigned no_buffers = 0;      // ENOBUFS though there are buffers, also when a receive is armed
  unsigned late_cancel = 0;     // a cancellation takes effect up to delay_max_ns later
  unsigned accept_failure = 0;  // EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR
  unsigned connect_refused = 0;
  unsigned connect_timeout = 0;
  unsigned spurious_end = 0;     // a multishot operation ends although nothing happened to it
  unsigned interrupted = 0;      // EINTR or EAGAIN instead of anything
  unsigned submission_full = 0;  // no place in the submission queue
  std::uint64_t delay_max_ns = 2 * kNsPerMs;

  // Everything at once, at rates that leave most connections alive.
  static MemoryFaults All();
};

// Ends connection number `connection` (in the order of their acceptance into a backlog, from 0)
// after the first `offset` bytes of one direction.
struct MemoryCut {
  std::uint64_t connection = 0;
  bool from_client = true;
  std::uint64_t offset = 0;
  bool reset = true;  // RST to both ends; otherwise FIN to the receiver and RST to the sender
};

// Completes requests of one kind with `result` instead of carrying them out: a negative errno
// value, or 0 for a request that did nothing.
struct MemoryFailure {
  Operation::Kind kind = Operation::Kind::kReceive;
  std::uint64_t skip = 0;  // so many are carried out first
  std::int32_t result = 0;
  std::uint64_t times = 1;  // then so many fail, and later ones are carried out again
};

struct MemoryNetworkOptions {
  std::uint64_t seed = 1;
  std::uint64_t start_ns = kNsPerSecond;
  // How long a segment travels.
  std::uint64_t latency_min_ns = 5 * kNsPerUs;
  std::uint64_t latency_max_ns = 50 * kNsPerUs;
  std::uint64_t connect_timeout_ns = 127 * kNsPerSecond;
  // What one direction of a connection holds: sent and not yet received.
  std::size_t socket_buffer_bytes = 256 * 1024;
  std::size_t sockets_max = 65536;  // OpenStream and accepting fail with EMFILE beyond
  MemoryFaults faults;
  std::vector<MemoryCut> cuts;
  bool keep_trace = false;  // as text; the hash is always there
  bool keep_wire = false;   // every byte sent, by connection and direction
};

class MemoryNetwork final : public Clock {
 public:
  explicit MemoryNetwork(const MemoryNetworkOptions& options);
  // All rings are destroyed.
  ~MemoryNetwork() override;
  MemoryNetwork(const MemoryNetwork&) = delete;
  MemoryNetwork& operator=(const MemoryNetwork&) = delete;

  std::uint64_t NowNs() const override;
  // When something next happens by itself, on the network or on a ring (a timer, a late
  // completion): now if a ring is Ready, TimerWheel::kNever if nothing ever will.
  std::uint64_t NextEventNs();
  // A time in the past changes nothing. Runs the network's own events on the way, earliest first;
  // calls no handler.
  void AdvanceTo(std::uint64_t time_ns);
  // To NextEventNs. False: nothing will ever happen by itself.
  bool AdvanceToNextEvent();
  bool AnyReady();
  // In the order of their creation.
  const std::vector<MemoryRing*>& rings() const;

  // From now on.
  void SetFaults(const MemoryFaults& faults);
  const MemoryFaults& faults() const;
  // Replaces the last one, and counts from now on.
  void SetFailure(const MemoryFailure& failure);
  // How many requests the last one has failed.
  std::uint64_t failed() const;
  // The kernel loses the completion after the next `skip` ones of this kind, and reports to its
  // ring that it has lost one.
  void LoseCompletion(Operation::Kind kind, std::uint64_t skip);
  // As MemoryNetworkOptions::sockets_max, from now on. Open sockets stay open.
  void SetSocketsMax(std::size_t sockets_max);

  // Adds an event to the trace, in order with the network's own.
  void Note(const char* event, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0);
  std::uint64_t TraceHash() const;
  // One line per event. Empty unless kept.
  const std::string& TraceText() const;
  // What one end of connection number `connection` (as in MemoryCut) has sent. Empty unless kept.
  const std::vector<std::byte>& Wire(std::uint64_t connection, bool from_client) const;
  // How many connections there have been.
  std::uint64_t connections() const;

 private:
  friend Result<std::unique_ptr<MemoryRing>> CreateMemoryRing(MemoryNetwork& network,
                                                              const MemoryRingOptions& options);
  std::unique_ptr<MemoryKernel> kernel_;
};

}  // namespace ktlsim::io
