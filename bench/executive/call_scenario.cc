// A fixed number of calls that do nothing, in memory and on one thread, for counting instructions:
//
//   valgrind --tool=callgrind --callgrind-out-file=/dev/null ktlsim_call_scenario CALLS SAMPLE
//
// SAMPLE is that of a trace; 0: there is none. `unwritten` after it leaves out what the trace's own
// thread does. The difference between two numbers of calls, divided by theirs, is what a call
// costs.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "kernel_sim/base/call_trace.h"
#include "kernel_sim/command/trace_file.h"
#include "kernel_sim/executive/executive.h"

namespace ktlsim::executive {
namespace {

// As many calls as come between two readings of the writer, about.
constexpr std::uint64_t kCallsOfReading = 1000;

RunResult Nothing(Request&) { return RunResult::kCompleted; }

class World {
 public:
  World() {
    ExecutiveOptions options;
    options.processors = 1;
    options.clock = &network_;
    options.step = [this] {
      executive_.processors()[0]->Step();
      return true;
    };
    options.ring_factory = [this]() -> Result<std::unique_ptr<io::Ring>> {
      Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, {});
      if (!ring.ok()) return ring.status();
      return std::unique_ptr<io::Ring>(std::move(*ring));
    };
    if (!executive_.Start(options).ok()) std::abort();
    handle_ = contexts_.Create();
    contexts_.SetMode(handle_, NotifyMode::kOnProcessor);
    contexts_.SetCallback(handle_, [](_SspiAsyncContext*, void*) {}, nullptr);
  }
  ~World() {
    contexts_.Free(handle_);
    executive_.Stop();
  }

  void Call() {
    Request* request = nullptr;
    contexts_.Reinit(handle_);
    if (contexts_.BeginSubmit(handle_, true, &request) != AsyncResult::kOk) std::abort();
    request->Prepare(Lane::kRecord, &Nothing, nullptr, {});
    if (executive_.Submit(*request) != Executive::Admission::kAccepted) std::abort();
    executive_.processors()[0]->Step();
  }

 private:
  io::MemoryNetwork network_{io::MemoryNetworkOptions{}};
  MonotonicClock clock_;
  AsyncContextTable contexts_{clock_};
  Executive executive_{contexts_};
  AsyncHandle handle_ = 0;
};

// What the thread of the trace does.
void Read(CallTrace& trace) {
  std::string text;
  CallTrace::Taken taken(trace);
  trace.TakeFinished(&taken);
  taken.ForEach([&text](const CallRecord& record) { command::AppendTraceEvents(record, &text); });
}

void Play(std::uint64_t calls, std::uint32_t sample, bool writes) {
  std::optional<CallTrace> trace;
  if (sample != 0) CallTrace::Use(&trace.emplace(sample, 1));
  {
    World world;
    for (std::uint64_t i = 0; i < calls; ++i) {
      world.Call();
      if (trace && i % kCallsOfReading == 0) {
        if (writes) {
          Read(*trace);
        } else {
          CallTrace::Taken taken(*trace);
          trace->TakeFinished(&taken);
        }
      }
    }
  }
  CallTrace::Use(nullptr);
}

}  // namespace
}  // namespace ktlsim::executive

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  ktlsim::executive::Play(std::strtoull(argv[1], nullptr, 10),
                          static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10)),
                          argc == 3 || std::string_view(argv[3]) != "unwritten");
  return 0;
}
