#include "kernel_sim/command/machine.h"

#include <sched.h>
#include <sys/utsname.h>

#include <fstream>

#include <openssl/crypto.h>

#include "tls/aead_engine.h"

namespace ktlsim::command {
namespace {

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    machine.cores = static_cast<unsigned>(CPU_COUNT(&cores));
  }
  machine.cpu = CpuModel();
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
