// TcpBackend: a plain server in the test's process, over TCP or a Unix-domain socket, one thread
// per connection.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ktlsim::system_tests {

class TcpBackend {
 public:
  // `serve` gets each connection's descriptor, on a thread of its own; the descriptor is closed
  // when it returns.
  using Serve = std::function<void(int socket)>;
  explicit TcpBackend(Serve serve);
  // Listens on a Unix-domain socket at a path, which the caller removes.
  TcpBackend(Serve serve, const std::string& path);
  // Ends the connections that are still open.
  ~TcpBackend();
  TcpBackend(const TcpBackend&) = delete;
  TcpBackend& operator=(const TcpBackend&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::size_t connections() const { return connections_; }

 private:
  TcpBackend(Serve serve, std::pair<int, int> bound);
  void Accept();

  const Serve serve_;
  const int port_;
  const int listener_;
  std::atomic<std::size_t> connections_{0};
  std::vector<int> sockets_;          // owned by the accepting thread, then by the destructor
  std::vector<std::thread> threads_;  // likewise
  std::thread accepting_;
};

// A loopback port on which no process listens at the moment.
int UnusedPort();

// Reads until `text` has come, and returns everything that was read. Without it: until the end.
std::string ReadUntil(int socket, const std::string& text);
bool WriteAll(int socket, const std::string& text);

}  // namespace ktlsim::system_tests
