// The real ring: io_uring, one per thread.
//
// Needs Linux 6.1 and uses nothing newer. What a newcomer gets wrong: the ring belongs to the
// thread that created it (SINGLE_ISSUER), so CreateUring, Turn and the destructor all run there,
// and the kernel completes nothing while that thread is elsewhere (DEFER_TASKRUN): a thread that
// does not call Turn receives nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "io/ring.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::io {

struct UringOptions {
  unsigned submission_entries = 1024;
  // One multishot operation posts many completions. What does not fit is kept by the kernel on a
  // slow path and counted (RingStatistics::completion_overflow). At least 4x submission_entries.
  unsigned completion_entries = 8192;
  unsigned receive_buffers = 256;  // power of two, at most 32768
  std::size_t receive_buffer_bytes = 32768;
  // When the submission queue is full: true hands it to the kernel at once, from within Start...;
  // false lets operations wait for the next turn, so that Start... never makes a system call.
  bool submit_when_full = true;
  // For tests: a receive waits before it looks (IORING_RECVSEND_POLL_FIRST), so that a test need
  // not hit the moment between the look and the wait.
  bool receive_waits_first = false;
};

// On the thread that will own the ring. kContract: bad options. kIo: the system refuses;
// LastProbeText() then says in words what is missing and why.
Result<std::unique_ptr<Ring>> CreateUring(const UringOptions& options);

struct UringFeatures {
  std::string kernel;     // as uname says
  unsigned features = 0;  // IORING_FEAT_ bits
  unsigned last_opcode = 0;
};

// Tries everything CreateUring needs. Any thread, passive level. KTLSIM_RING_LEVEL=6.1 in the
// environment hides the features of later kernels; a lower level makes the probe fail and name the
// features that it lacks.
Result<UringFeatures> ProbeUring();

// Why the last ProbeUring or CreateUring of the process failed, on whatever thread: cause and
// remedy, for people. Any thread, passive level.
std::string LastProbeText();

// Raises the soft limit on open files to the hard one. Empty when the soft limit then is at least
// `wanted`; otherwise a sentence for the operator. Before the first listener starts: the kernel
// notes the limit when an accept is submitted. Any thread, passive level.
std::string RaiseFileLimit(std::size_t wanted);

}  // namespace ktlsim::io
