#include "kernel_sim/command/machine.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <openssl/crypto.h>

#include "tls/record/aead_engine.h"

namespace ktlsim::command {
namespace {

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    machine.cores = static_cast<unsigned>(CPU_COUNT(&cores));
  }
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  machine.cores_online = online > 0 ? static_cast<unsigned>(online) : machine.cores;
  machine.cpu = CpuModel();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
  if (const char* const level = std::getenv("KTLSIM_RING_LEVEL")) machine.ring_level = level;
  utsname name{};
  if (uname(&name) == 0) machine.kernel = std::string(name.sysname) + " " + name.release;
  machine.openssl = OpenSSL_version(OPENSSL_VERSION);
  machine.aead = tls::ChosenAead().report;
  machine.build_type = KTLSIM_BUILD_TYPE;
  machine.sanitizers = KTLSIM_SANITIZERS;
#ifdef NDEBUG
  machine.optimized = machine.sanitizers.empty();
#endif
  return machine;
}

}  // namespace ktlsim::command
