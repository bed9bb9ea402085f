#include "io/memory_network.h"

#include "io/memory_kernel.h"
#include "io/memory_ring.h"

namespace ktlsim::io {

MemoryFaults MemoryFaults::All() {
  return {.reorder = 500,
          .delay = 200,
          .short_receive = 300,
          .short_send = 200,
          .reset = 5,
          .truncate = 5,
          .no_buffers = 100,
          .late_cancel = 300,
          .accept_failure = 100,
          .connect_refused = 50,
          .connect_timeout = 20,
          .spurious_end = 100,
          .interrupted = 100,
          .submission_full = 100};
}

MemoryNetwork::MemoryNetwork(const MemoryNetworkOptions& options)
    : kernel_(std::make_unique<MemoryKernel>(options)) {}

MemoryNetwork::~MemoryNetwork() { KTLSIM_ASSERT(kernel_->rings().empty()); }

std::uint64_t MemoryNetwork::NowNs() const { return kernel_->now_ns(); }

std::uint64_t MemoryNetwork::NextEventNs() { return kernel_->NextEventNs(); }

void MemoryNetwork::AdvanceTo(std::uint64_t time_ns) { kernel_->AdvanceTo(time_ns); }

bool MemoryNetwork::AdvanceToNextEvent() {
  const std::uint64_t next = kernel_->NextEventNs();
  if (next == TimerWheel::kNever) return false;
  kernel_->AdvanceTo(next);
  return true;
}

bool MemoryNetwork::AnyReady() { return kernel_->AnyReady(); }

const std::vector<MemoryRing*>& MemoryNetwork::rings() const { return kernel_->rings(); }

void MemoryNetwork::SetFaults(const MemoryFaults& faults) { kernel_->SetFaults(faults); }

const MemoryFaults& MemoryNetwork::faults() const { return kernel_->faults(); }

void MemoryNetwork::SetFailure(const MemoryFailure& failure) { kernel_->SetFailure(failure); }

void MemoryNetwork::LoseCompletion(Operation::Kind kind, std::uint64_t skip) {
  kernel_->LoseCompletion(kind, skip);
}

std::uint64_t MemoryNetwork::failed() const { return kernel_->failed(); }

void MemoryNetwork::SetSocketsMax(std::size_t sockets_max) { kernel_->SetSocketsMax(sockets_max); }

void MemoryNetwork::Note(const char* event, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  kernel_->Note(event, a, b, c);
}

std::uint64_t MemoryNetwork::TraceHash() const { return kernel_->TraceHash(); }

const std::string& MemoryNetwork::TraceText() const { return kernel_->TraceText(); }

const std::vector<std::byte>& MemoryNetwork::Wire(std::uint64_t connection,
                                                  bool from_client) const {
  return kernel_->Wire(connection, from_client);
}

std::uint64_t MemoryNetwork::connections() const { return kernel_->connections_made(); }

}  // namespace ktlsim::io
