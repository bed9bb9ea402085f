// Progress: shows on standard error how far a phase is: on a terminal one line that is overwritten,
// elsewhere a line per phase.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ktlsim::command {

class Progress {
 public:
  Progress();
  void Begin(const std::string& operation, double seconds);
  void Update(const std::string& operation, std::uint64_t done, double left_s);
  // The time is over, and operations are still in flight.
  void Wait(const std::string& operation, std::size_t connections, double left_s);
  void End();

 private:
  const bool terminal_;
  bool waiting_told_ = false;
};

}  // namespace ktlsim::command
