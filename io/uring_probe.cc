#include "io/uring_probe.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include <liburing.h>

#include "io/uring.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/base/mutex.h"

namespace ktlsim::io {

const unsigned kRingSetupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

namespace {

// One for the process, not for each thread: rings are created on threads of their own, and other
// threads print this. In static memory, since it may say that there is no memory.
constexpr std::size_t kProbeTextBytes = 1024;
struct ProbeText {
  Mutex mutex;
  std::array<char, kProbeTextBytes> text KTLSIM_GUARDED_BY(mutex) = {};
};
constinit ProbeText probe_text;

struct Version {
  int major = 0;
  int minor = 0;
  bool operator<=(const Version& other) const {
    return major < other.major || (major == other.major && minor <= other.minor);
  }
};

struct Requirement {
  enum class Kind { kFeature, kOpcode, kProvidedBuffers, kVersionOnly };
  const char* name;
  Version since;
  Kind kind;
  unsigned value;
};

using Kind = Requirement::Kind;

// Features without a bit or opcode of their own are implied by DEFER_TASKRUN, which is younger than
// all of them and is tried by setting up a ring.
constexpr std::array kRequirements = {
    Requirement{"IORING_FEAT_NODROP", {5, 5}, Kind::kFeature, IORING_FEAT_NODROP},
    Requirement{"IORING_FEAT_SUBMIT_STABLE", {5, 5}, Kind::kFeature, IORING_FEAT_SUBMIT_STABLE},
    Requirement{"IORING_FEAT_FAST_POLL", {5, 7}, Kind::kFeature, IORING_FEAT_FAST_POLL},
    Requirement{"IORING_FEAT_EXT_ARG", {5, 11}, Kind::kFeature, IORING_FEAT_EXT_ARG},
    Requirement{"IORING_FEAT_CQE_SKIP", {5, 17}, Kind::kFeature, IORING_FEAT_CQE_SKIP},
    Requirement{"IORING_OP_POLL_ADD", {5, 1}, Kind::kOpcode, IORING_OP_POLL_ADD},
    Requirement{"IORING_OP_ASYNC_CANCEL", {5, 5}, Kind::kOpcode, IORING_OP_ASYNC_CANCEL},
    Requirement{"IORING_OP_ACCEPT", {5, 5}, Kind::kOpcode, IORING_OP_ACCEPT},
    Requirement{"IORING_OP_CONNECT", {5, 5}, Kind::kOpcode, IORING_OP_CONNECT},
    Requirement{"IORING_OP_SEND", {5, 6}, Kind::kOpcode, IORING_OP_SEND},
    Requirement{"IORING_OP_RECV", {5, 6}, Kind::kOpcode, IORING_OP_RECV},
    Requirement{"provided buffer rings", {5, 19}, Kind::kProvidedBuffers, 0},
    Requirement{"multishot accept", {5, 19}, Kind::kVersionOnly, 0},
    Requirement{"multishot receive", {6, 0}, Kind::kVersionOnly, 0},
    Requirement{"IORING_SETUP_SINGLE_ISSUER", {6, 0}, Kind::kVersionOnly, 0},
    Requirement{"IORING_SETUP_DEFER_TASKRUN", {6, 1}, Kind::kVersionOnly, 0},
};

bool Has(const UringInventory& inventory, const Requirement& requirement) {
  switch (requirement.kind) {
    case Kind::kFeature:
      return (inventory.features & requirement.value) != 0;
    case Kind::kOpcode:
      return (inventory.opcodes >> requirement.value & 1) != 0;
    case Kind::kProvidedBuffers:
      return inventory.provided_buffers;
    case Kind::kVersionOnly:
      return true;
  }
  return false;
}

Version ParseVersion(const std::string& text, Version otherwise) {
  Version version;
  return std::sscanf(text.c_str(), "%d.%d", &version.major, &version.minor) == 2 ? version
                                                                                 : otherwise;
}

std::string KernelRelease() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

std::string RingLevel() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
  const char* level = std::getenv("KTLSIM_RING_LEVEL");
  return level != nullptr ? level : "";
}

// 0, or the errno value with which the probe itself was refused.
int AskForOpcodes(io_uring& ring, unsigned long long* opcodes) {
  constexpr unsigned kOpcodesMax = 256;
  const std::unique_ptr<io_uring_probe, decltype(&std::free)> probe(
      static_cast<io_uring_probe*>(
          std::calloc(1, sizeof(io_uring_probe) + kOpcodesMax * sizeof(io_uring_probe_op))),
      &std::free);
  if (probe == nullptr) return ENOMEM;
  const int error_number = -io_uring_register_probe(&ring, probe.get(), kOpcodesMax);
  if (error_number == EINVAL) return 0;  // too old for the probe
  if (error_number != 0) return error_number;
  for (int opcode = 0; opcode < 64; ++opcode) {
    if (io_uring_opcode_supported(probe.get(), opcode) != 0) *opcodes |= 1ull << opcode;
  }
  return 0;
}

// The same.
int AskForProvidedBuffers(io_uring& ring, bool* provided) {
  constexpr std::size_t kBytes = 4096;
  void* page = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return errno;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(page);
  registration.ring_entries = 1;
  const int error_number = -io_uring_register_buf_ring(&ring, &registration, 0);
  if (error_number == 0) io_uring_unregister_buf_ring(&ring, 0);
  munmap(page, kBytes);
  *provided = error_number == 0;
  return error_number == EINVAL ? 0 : error_number;
}

std::uint64_t LockedMemoryLimit() {
  rlimit limit{};
  return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::string LockedMemoryText(std::uint64_t bytes) {
  return bytes == RLIM_INFINITY ? "unlimited" : std::to_string(bytes / 1024) + " KiB";
}

std::string ReadDisabledSysctl() {
  const Result<FileText> file = ReadFile("/proc/sys/kernel/io_uring_disabled", 64);
  return file ? std::string(file->text().substr(0, file->text().find('\n'))) : std::string();
}

}  // namespace

void SetProbeText(std::string_view text) {
  const MutexLock lock(probe_text.mutex);
  const std::size_t length = text.copy(probe_text.text.data(), probe_text.text.size() - 1);
  probe_text.text[length] = 0;
}

std::string LastProbeText() {
  const MutexLock lock(probe_text.mutex);
  return probe_text.text.data();
}

std::string NameMissing(const UringInventory& inventory, const std::string& level) {
  const Version newest = ParseVersion(level, {1000, 0});
  std::string missing;
  for (const Requirement& requirement : kRequirements) {
    if (requirement.since <= newest && Has(inventory, requirement)) continue;
    if (!missing.empty()) missing += ", ";
    missing += std::string(requirement.name) + " (Linux " +
               std::to_string(requirement.since.major) + "." +
               std::to_string(requirement.since.minor) + ")";
  }
  return missing;
}

std::string ExplainRefusal(int error_number, const std::string& io_uring_disabled,
                           std::uint64_t locked_bytes_max) {
  switch (error_number) {
    case ENOSYS:
      return "the kernel has no io_uring, or a filter hides it (a container's seccomp profile); "
             "Linux 6.1 is needed";
    case EPERM:
    case EACCES:
      if (io_uring_disabled == "2") {
        return "io_uring is switched off: sysctl kernel.io_uring_disabled is 2; set it to 0";
      }
      if (io_uring_disabled == "1") {
        return "io_uring is for privileged users only: sysctl kernel.io_uring_disabled is 1; join "
               "the group of kernel.io_uring_group or set it to 0";
      }
      return "io_uring is refused although the kernel allows it: most likely a seccomp filter, "
             "such "
             "as a container's default profile, or a security module; allow io_uring_setup, "
             "io_uring_enter and io_uring_register in it (SystemCallFilter=@aio for systemd)";
    case EINVAL:
      return "the kernel knows io_uring but not IORING_SETUP_SINGLE_ISSUER (Linux 6.0) or "
             "IORING_SETUP_DEFER_TASKRUN (Linux 6.1)";
    case ENOMEM:
      return "no memory for the io_uring ring, which counts as locked memory: RLIMIT_MEMLOCK is " +
             LockedMemoryText(locked_bytes_max) +
             "; raise it (ulimit -l, LimitMEMLOCK=) or use fewer processors (--processors)";
    case EMFILE:
      return "too many open files in this process (ulimit -n, LimitNOFILE=)";
    case ENFILE:
      return "too many open files in the system (sysctl fs.file-max)";
    default:
      return "setting up io_uring failed: " + std::generic_category().message(error_number);
  }
}

Status ExplainSetupFailure(int error_number) {
  SetProbeText(ExplainRefusal(error_number, ReadDisabledSysctl(), LockedMemoryLimit()) +
               "; this kernel is " + KernelRelease());
  return IoError(error_number, "set up io_uring");
}

Result<UringFeatures> ProbeUring() {
  io_uring ring{};
  io_uring_params params{};
  params.flags = kRingSetupFlags;
  params.cq_entries = 16;
  if (int error = io_uring_queue_init_params(4, &ring, &params); error != 0) {
    return ExplainSetupFailure(-error);
  }
  UringInventory inventory;
  inventory.features = params.features;
  int refused = AskForOpcodes(ring, &inventory.opcodes);
  if (refused == 0) refused = AskForProvidedBuffers(ring, &inventory.provided_buffers);
  io_uring_queue_exit(&ring);
  // No sign of a missing feature.
  if (refused != 0) {
    const Status status = ExplainSetupFailure(refused);
    return refused == ENOMEM ? ResourceError("memory for what the kernel can do") : status;
  }

  UringFeatures features;
  features.kernel = KernelRelease();
  features.features = params.features;
  for (unsigned i = 0; i < 64; ++i) {
    if ((inventory.opcodes >> i & 1) != 0) features.last_opcode = i;
  }
  const std::string level = RingLevel();
  const std::string missing = NameMissing(inventory, level);
  if (missing.empty()) return features;
  SetProbeText("io_uring lacks " + missing + "; this kernel is " + features.kernel +
               (level.empty() ? "" : ", masked to " + level + " by KTLSIM_RING_LEVEL"));
  return IoError(EOPNOTSUPP, "find the io_uring features needed");
}

}  // namespace ktlsim::io
