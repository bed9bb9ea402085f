// Nginx: an nginx in the foreground on a port of its own, until destroyed.
#pragma once

#include <memory>
#include <string>

#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {

class Nginx {
 public:
  static bool installed();

  // `server` is the content of its one server block behind `listen 127.0.0.1:PORT`, beginning with
  // what listen takes more ("ssl; ..." or ";"); `http` goes before the block.
  explicit Nginx(const std::string& server, const std::string& http = "");

  bool running() const { return running_; }
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // In the folder that it serves.
  std::string File(const std::string& name) const { return folder_.File("www/" + name); }

 private:
  TemporaryFolder folder_;
  const int port_ = UnusedPort();
  std::unique_ptr<ChildProcess> process_;
  bool running_ = false;
};

}  // namespace ktlsim::system_tests
