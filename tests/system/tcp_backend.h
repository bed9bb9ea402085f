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
  // `serve` gets each connection's descriptor, on a thread of its own; it is closed behind it.
  using Serve = std::function<void(int socket)>;
  explicit TcpBackend(Serve serve);
  // At a path, which the caller removes.
  TcpBackend(Serve serve, const std::string& path);
  // Ends what still runs.
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
  std::vector<int> sockets_;          // the accepting thread's, then the destructor's
  std::vector<std::thread> threads_;  // likewise
  std::thread accepting_;
};

// A port of the loopback that nobody listens on just now.
int UnusedPort();

// Reads until `text` has come; answers all that came. Without it: until the end.
std::string ReadUntil(int socket, const std::string& text);
bool WriteAll(int socket, const std::string& text);

}  // namespace ktlsim::system_tests
