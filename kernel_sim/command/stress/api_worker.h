// The workers that call the asynchronous functions directly, and the end of a round with calls in
// flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

enum class ApiMix : std::uint8_t {
  kEverything,
  kFullQueues,  // the library was started with a small QueueDepth: mostly bursts
  kRestarts,    // the library stops and starts all the time: every call may find it stopped
};
inline constexpr std::size_t kApiMixes = 3;

// A thread's work until `round.ending`: conversations, polled calls, chains, bursts, misuse. What
// it leaves in flight counts in `round.live`.
void RunApiWorker(StressRound& round, std::uint64_t seed, ApiMix mix);

// Calls that are still in flight when KtlsimStop is called right after them. They cannot be
// refused, and leave nothing over.
class LastCalls {
 public:
  // Makes what they will delete and free.
  explicit LastCalls(StressRound& round);
  void Submit();

 private:
  StressRound& round_;
  std::vector<CtxtHandle> contexts_;
  std::vector<CredHandle> credentials_;
};

}  // namespace ktlsim::command
