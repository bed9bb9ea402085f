// The machine on which a figure was measured.
#pragma once

#include <string>

namespace ktlsim::command {

struct Machine {
  unsigned cores = 0;  // that this process may use
  unsigned cores_online = 0;
  std::string cpu;         // empty: the system does not report it
  std::string ring_level;  // KTLSIM_RING_LEVEL; empty: all that the kernel offers
  std::string kernel;
  std::string openssl;
  std::string aead;  // the engine that protects records, and why this one
  std::string build_type;
  std::string sanitizers;
  bool optimized = false;  // figures mean something
};

Machine DescribeMachine();

}  // namespace ktlsim::command
