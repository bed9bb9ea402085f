#include "kernel_sim/command/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::command {
namespace {

// A manager that does not read its socket holds us up for so long.
constexpr timeval kSendLimit{.tv_sec = 2, .tv_usec = 0};
// A day: beyond it a watchdog is none.
constexpr std::uint64_t kWatchdogMaxUs = 24ull * 3600 * 1000 * 1000;
// What the end takes besides the drain.
constexpr std::uint64_t kStopMarginUs = 60ull * 1000 * 1000;

std::string WrongSocket(std::string_view name) {
  const bool absolute = name.starts_with('/') || name.starts_with('@');
  if (!absolute || name.size() < 2) {
    return fmt::format("NOTIFY_SOCKET is \"{}\": a path from / or @NAME is needed",
                       Printable(name));
  }
  // A path needs its NUL, too.
  if (name.size() >= sizeof(sockaddr_un::sun_path)) {
    return fmt::format("NOTIFY_SOCKET has {} bytes; {} at most are possible", name.size(),
                       sizeof(sockaddr_un::sun_path) - 1);
  }
  return {};
}

}  // namespace

ServiceEnvironment ParseServiceEnvironment(const char* notify_socket, const char* watchdog_us,
                                           const char* watchdog_pid, std::uint64_t process) {
  ServiceEnvironment environment;
  if (notify_socket == nullptr || *notify_socket == '\0') return environment;
  environment.error = WrongSocket(notify_socket);
  if (!environment.error.empty()) return environment;
  environment.notify_socket = notify_socket;
  if (watchdog_us == nullptr) return environment;
  std::uint64_t number = 0;
  if (watchdog_pid != nullptr) {
    const std::string wrong =
        ParseCount(watchdog_pid, 1, std::numeric_limits<std::int32_t>::max(), &number);
    if (!wrong.empty()) environment.error = "WATCHDOG_PID: " + wrong;
    // That of another process, whose child we are.
    if (!wrong.empty() || number != process) return environment;
  }
  const std::string wrong =
      ParseCount(watchdog_us, 1, std::numeric_limits<std::uint64_t>::max(), &number);
  if (!wrong.empty()) {
    environment.error = "WATCHDOG_USEC: " + wrong;
  } else if (number <= kWatchdogMaxUs) {
    environment.watchdog_us = number;
  }
  return environment;
}

ServiceEnvironment ReadServiceEnvironment() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing here writes the environment
  return ParseServiceEnvironment(std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"),
                                 std::getenv("WATCHDOG_PID"), static_cast<std::uint64_t>(getpid()));
  // NOLINTEND(concurrency-mt-unsafe)
}

Status ServiceManager::Send(std::string_view text) const {
  constexpr const char* kWhat = "tell the service manager";
  const std::string& name = environment_.notify_socket;
  if (name.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  // An abstract name ends with its length, a path with a NUL.
  const bool abstract = name.front() == '@';
  if (abstract) address.sun_path[0] = '\0';
  const std::size_t bytes = offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1);

  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return IoError(errno, kWhat);
  if (setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof(kSendLimit)) != 0) {
    return IoError(errno, kWhat);
  }
  for (;;) {
    const ssize_t sent =
        sendto(socket.number(), text.data(), text.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(bytes));
    // A datagram goes whole or not at all.
    if (sent >= 0) return {};
    if (errno != EINTR) return IoError(errno, kWhat);
  }
}

std::string ListeningOn(std::span<const std::string> addresses) {
  constexpr std::size_t kShownMax = 5;
  // The longest address is the path of a socket.
  constexpr std::size_t kBytesMax = 700;
  std::string text = "listening on ";
  std::size_t shown = 0;
  while (shown < std::min(addresses.size(), kShownMax) &&
         (shown == 0 || text.size() + addresses[shown].size() < kBytesMax)) {
    text.append(shown == 0 ? "" : ", ").append(addresses[shown]);
    ++shown;
  }
  if (shown < addresses.size()) text += fmt::format(" and {} more", addresses.size() - shown);
  return text;
}

Status ServiceManager::Ready(std::string_view status) const {
  std::string line(status.substr(0, kStatusBytesMax));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return Send(fmt::format("READY=1\nSTATUS={}", line));
}

Status ServiceManager::Reloading() const {
  // With the time, so that the manager can tell this reload from an earlier one.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading",
                          static_cast<std::uint64_t>(now.tv_sec) * 1000000 +
                              static_cast<std::uint64_t>(now.tv_nsec) / 1000));
}

Status ServiceManager::Stopping(std::uint64_t drain_ns) const {
  std::string text = "STOPPING=1\nSTATUS=draining";
  if (environment_.watchdog_us != 0) {
    const std::uint64_t end_us = drain_ns == 0 ? kWatchdogMaxUs : drain_ns / 1000 + kStopMarginUs;
    text +=
        fmt::format("\nWATCHDOG=1\nWATCHDOG_USEC={}", std::max(end_us, environment_.watchdog_us));
  }
  return Send(text);
}

// Crypto processors as well, without which no handshake ends; KtlsimForEachProcessor leaves them
// out.
Status ServiceManager::MakePulses() {
  constexpr const char* kWhat = "visit the processors for the watchdog";
  SECURITY_STATUS failure = SEC_E_OK;
  executive::Executive* const executive = sspi::Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return ResourceError(kWhat);
  const executive::Executive::Visit visiting(*executive);
  if (!visiting) return ResourceError(kWhat);
  std::vector<std::unique_ptr<Pulse>> pulses;
  pulses.reserve(executive->processors().size());
  for (const auto& processor : executive->processors()) {
    pulses.push_back(std::make_unique<Pulse>(&processor->ring()));
  }
  pulses_ = std::move(pulses);
  return {};
}

Status ServiceManager::Beat() {
  if (environment_.watchdog_us == 0) return {};
  if (pulses_.empty()) {
    if (Status made = MakePulses(); !made.ok()) return made;
  }
  // Acquire pairs with the release in the routine.
  const bool all_back =
      std::all_of(pulses_.begin(), pulses_.end(), [](const std::unique_ptr<Pulse>& pulse) {
        return pulse->back.load(std::memory_order_acquire);
      });
  if (!all_back) return {};
  for (const std::unique_ptr<Pulse>& pulse : pulses_) {
    pulse->back.store(false, std::memory_order_relaxed);
    pulse->loop->Post(*pulse);
  }
  return Send("WATCHDOG=1");
}

}  // namespace ktlsim::command
