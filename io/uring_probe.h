// What the ring needs of the kernel, and words for what is missing. Private to io and its tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel_sim/base/status.h"

namespace ktlsim::io {

extern const unsigned kRingSetupFlags;

// What a kernel was found to have. Bits are those of <liburing.h>.
struct UringInventory {
  unsigned features = 0;
  unsigned long long opcodes = 0;  // bit n: opcode n is supported
  bool provided_buffers = false;
};

// Empty when nothing is missing; otherwise the names, with the kernel version that brought each.
// Features younger than `level` ("6.1", or empty for no limit) count as missing.
std::string NameMissing(const UringInventory& inventory, const std::string& level);

// io_uring_setup failed with `error_number`: sets the probe text and returns the status.
Status ExplainSetupFailure(int error_number);
// The cause and its remedy. `io_uring_disabled` is the content of that sysctl, empty when there is
// none; `locked_bytes_max` is RLIMIT_MEMLOCK.
std::string ExplainRefusal(int error_number, const std::string& io_uring_disabled,
                           std::uint64_t locked_bytes_max);

void SetProbeText(std::string_view text);

}  // namespace ktlsim::io
