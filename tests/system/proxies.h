// Nginx, Haproxy: the programs in the foreground, on a port of their own, until destroyed.
#pragma once

#include <memory>
#include <string>

#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {

class Proxy {
 public:
  bool running() const { return running_; }
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 protected:
  Proxy() = default;
  ~Proxy() = default;
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // Starts it and waits until it responds.
  void Start(const ChildProcess::Arguments& arguments);

  TemporaryFolder folder_;

 private:
  const int port_ = UnusedPort();
  std::unique_ptr<ChildProcess> process_;
  bool running_ = false;
};

class Nginx : public Proxy {
 public:
  static bool installed();

  // `server` is the content of its one server block after `listen 127.0.0.1:PORT`, beginning with
  // further parameters of listen ("ssl; ..." or ";"); `http` goes before the block.
  explicit Nginx(const std::string& server, const std::string& http = "");

  // In the folder that it serves.
  std::string File(const std::string& name) const { return folder_.File("www/" + name); }
};

class Haproxy : public Proxy {
 public:
  static bool installed();

  // `frontend` goes after `bind 127.0.0.1:PORT`, `rest` after the frontend.
  explicit Haproxy(const std::string& frontend, const std::string& rest = "");
};

}  // namespace ktlsim::system_tests
