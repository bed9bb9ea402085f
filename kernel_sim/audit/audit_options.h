// How an audit trail is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kernel_sim/audit/file_calls.h"

namespace ktlsim::audit {

// What becomes of an access that cannot be recorded, because the disk or the queue is full.
enum class FullPolicy : std::uint8_t {
  kRefuse,  // it is refused
  kCount,   // it goes on, and a later record has the number of those that are lost
};

enum class SyncPolicy : std::uint8_t {
  kEveryBatch,  // lines are on the disk before the head is, and the head before the next lines
  kNever,       // left to the system: enough for a process that dies, not for a machine
};

// Nanoseconds since 1970, without a system call.
std::uint64_t UnixTimeNs();

struct AuditOptions {
  std::string path;       // of the file that is written
  std::string head_path;  // empty: the path with ".head" at its end
  // For a trail that is new; for one that is continued it may be empty, and is compared otherwise.
  std::span<const std::byte> secret;
  FullPolicy when_full = FullPolicy::kRefuse;
  SyncPolicy sync = SyncPolicy::kEveryBatch;
  std::uint64_t rotate_bytes = 0;        // a file that has so many is rotated; 0: by Rotate alone
  std::size_t queue_depth = 4096;        // records; a power of two
  std::uint64_t linger_ns = 1'000'000;   // waiting for more before the writer sleeps
  std::uint64_t retry_ns = 100'000'000;  // between attempts to write
  FileCalls* calls = nullptr;            // null: the system's
  std::uint64_t (*unix_time_ns)() = &UnixTimeNs;
};

}  // namespace ktlsim::audit
