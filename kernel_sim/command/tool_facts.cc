#include "kernel_sim/command/tool_facts.h"

#include <sys/resource.h>

#include <cstddef>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <llhttp.h>
#include <openssl/crypto.h>

#include "io/uring.h"
#include "kernel_sim/base/file.h"
#include "kernel_sim/command/machine.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kNameColumn = 18;

void AddLine(std::string& text, std::string_view name, std::string_view value) {
  text.append("  ").append(name).append(name.size() < kNameColumn ? kNameColumn - name.size() : 1,
                                        ' ');
  text.append(value.empty() ? "unknown" : value).append("\n");
}

std::string LimitText(rlim_t limit, rlim_t unit, const char* unit_name) {
  if (limit == RLIM_INFINITY) return "unlimited";
  return fmt::format("{}{}", limit / unit, unit_name);
}

std::string Limit(__rlimit_resource resource, rlim_t unit, const char* unit_name) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return {};
  return fmt::format("{}, at most {}", LimitText(limit.rlim_cur, unit, unit_name),
                     LimitText(limit.rlim_max, unit, unit_name));
}

// The first line of a file of /proc/sys; "not there" where the kernel has none.
std::string Sysctl(const char* path) {
  const Result<FileText> file = ReadFile(path, 256);
  if (!file) return "not there";
  return std::string(file->text().substr(0, file->text().find('\n')));
}

std::string RingText() {
  const Result<io::UringFeatures> found = io::ProbeUring();
  if (!found) return "cannot be used: " + io::LastProbeText();
  return fmt::format("usable; features {:#x}, opcodes to {}", found->features, found->last_opcode);
}

void AddBuild(std::string& text, const Machine& machine) {
  text += "build\n";
  AddLine(text, "type",
          machine.build_type + (machine.optimized ? "" : ", for tests: its figures mean nothing"));
  AddLine(text, "sanitizers", machine.sanitizers.empty() ? "none" : machine.sanitizers);
#ifdef __clang__
  AddLine(text, "compiler", __VERSION__);
#else
  AddLine(text, "compiler", "gcc " __VERSION__);
#endif
}

void AddLibraries(std::string& text) {
  text += "libraries\n";
  const std::string built = OPENSSL_VERSION_TEXT;
  const std::string running = OpenSSL_version(OPENSSL_VERSION);
  AddLine(text, "OpenSSL",
          built == running ? running : fmt::format("{}; built with {}", running, built));
  AddLine(text, "liburing", KTLSIM_LIBURING_VERSION);
  AddLine(text, "hiredis", KTLSIM_HIREDIS_VERSION);
  AddLine(
      text, "llhttp",
      fmt::format("{}.{}.{}", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH));
  AddLine(text, "fmt",
          fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100));
  AddLine(text, "CLI11", CLI11_VERSION);
}

void AddMachine(std::string& text, const Machine& machine) {
  text += "machine\n";
  AddLine(text, "kernel", machine.kernel);
  AddLine(text, "processor", machine.cpu);
  AddLine(text, "cores", fmt::format("{} of {} online", machine.cores, machine.cores_online));
  AddLine(text, "records", machine.aead);
  AddLine(text, "io_uring", RingText());
  if (!machine.ring_level.empty()) AddLine(text, "KTLSIM_RING_LEVEL", machine.ring_level);
}

void AddLimits(std::string& text) {
  text += "limits\n";
  AddLine(text, "open files", Limit(RLIMIT_NOFILE, 1, ""));
  AddLine(text, "locked memory", Limit(RLIMIT_MEMLOCK, 1024, " KiB"));
  AddLine(text, "threads", Limit(RLIMIT_NPROC, 1, ""));
  AddLine(text, "io_uring_disabled", Sysctl("/proc/sys/kernel/io_uring_disabled"));
  AddLine(text, "somaxconn", Sysctl("/proc/sys/net/core/somaxconn"));
  AddLine(text, "congestion control", Sysctl("/proc/sys/net/ipv4/tcp_congestion_control"));
}

}  // namespace

std::string DescribeTool() {
  const Machine machine = DescribeMachine();
  std::string text = "ktlsim " KTLSIM_VERSION "\n";
  AddBuild(text, machine);
  AddLibraries(text);
  AddMachine(text, machine);
  AddLimits(text);
  text.pop_back();  // the parser ends the last line
  return text;
}

}  // namespace ktlsim::command
