// ServiceManager: tells systemd, or another service manager with its protocol, what `ktlsim serve`
// is doing.
//
// The protocol is a datagram of NAME=VALUE lines to the socket that the environment names, see
// sd_notify(3). It is one way: a manager that is gone or does not read costs a limited wait and a
// status, never the service.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/status.h"
#include "kernel_sim/base/work_item.h"

namespace ktlsim::command {

// What a service manager has put into the environment of the process.
struct ServiceEnvironment {
  std::string
      notify_socket;  // NOTIFY_SOCKET: /PATH, or @NAME in the abstract namespace; empty: none
  std::uint64_t watchdog_us = 0;  // WATCHDOG_USEC, if it is for `process`, up to a day; 0: none
  std::string error;              // empty: all of it can be used; else what is wrong
};

// Of three values of the environment (null: not set), for the process with this id. A watchdog
// without a socket counts as none.
ServiceEnvironment ParseServiceEnvironment(const char* notify_socket, const char* watchdog_us,
                                           const char* watchdog_pid, std::uint64_t process);
// Of this process.
ServiceEnvironment ReadServiceEnvironment();

// "listening on A, B and 7 more": as many of `addresses` as fit into a status.
std::string ListeningOn(std::span<const std::string> addresses);

// Passive level, one thread.
class ServiceManager {
 public:
  explicit ServiceManager(ServiceEnvironment environment) : environment_(std::move(environment)) {}
  // Destroy it when the library has stopped: processors have its work items until then.
  ~ServiceManager() = default;
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // systemd takes no datagram of more than 4096 bytes.
  static constexpr std::size_t kStatusBytesMax = 1024;

  bool present() const { return !environment_.notify_socket.empty(); }

  // Each returns kIo with an errno value if the manager could not be told, and ok where there is
  // none. `status` is for people, one line, of which kStatusBytesMax bytes are told.
  Status Ready(std::string_view status) const;
  Status Reloading() const;
  // The end may take until `drain_ns` is over (0: without limit), in which the watchdog is not fed.
  Status Stopping(std::uint64_t drain_ns) const;

  // True for the first of several failures in a row: that one is worth a warning.
  bool IsNews(const Status& told) { return !std::exchange(failing_, !told.ok()) && failing_; }

  // How often Beat must be called; 0: never, there is no watchdog.
  std::uint64_t beat_interval_ns() const { return environment_.watchdog_us * 1000 / 4; }
  // Feeds the watchdog if each processor, crypto ones included, has run since the last call that
  // did; one that hangs starves it. The library is started, and is not stopping.
  Status Beat();

 private:
  // A work item that says whether a processor has run it.
  struct Pulse : WorkItem {
    explicit Pulse(io::Loop* its_loop)
        : WorkItem([](WorkItem& item) {
            // The last access: release, so that the item may then be posted again.
            static_cast<Pulse&>(item).back.store(true, std::memory_order_release);
          }),
          loop(its_loop) {}
    io::Loop* loop;
    std::atomic<bool> back{true};
  };

  Status Send(std::string_view text) const;
  Status MakePulses();

  const ServiceEnvironment environment_;
  std::vector<std::unique_ptr<Pulse>> pulses_;
  bool failing_ = false;
};

}  // namespace ktlsim::command
