// ServeProcess: `ktlsim serve` on a port of its own, until Stop.
#pragma once

#include <signal.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {

using test::TemporaryFolder;

class ServeProcess {
 public:
  // `arguments` go after `serve --listen 127.0.0.1:0 --json FILE`. `launcher` goes before
  // everything: a program that becomes the one in its arguments.
  explicit ServeProcess(const std::vector<std::string>& arguments,
                        const std::vector<std::string>& launcher = {});

  bool running() const { return port_ != 0; }
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url(const std::string& path = "/") const;
  const std::string& output() const { return child_->output(); }

  // The server's certificate in a file, fetched with `openssl s_client`.
  std::string ExportCertificate();
  // Descriptors that the process has open now.
  std::size_t OpenFiles() const;
  // A number from /proc/PID/status: "VmRSS" (KiB), "Threads".
  std::size_t Status(const std::string& field) const;
  bool Answers();
  pid_t pid() const { return child_->pid(); }
  void Signal(int signal) {
    if (signal == SIGTERM) stopping_ = true;
    child_->Signal(signal);
  }
  // Reads the output until it contains `text`.
  bool WaitForOutput(const std::string& text) { return child_->WaitForOutput(text); }
  bool WaitForNext(const std::string& text) { return child_->WaitForNext(text); }

  // Sends SIGTERM, unless it was sent already: a second one would end the server at once. Returns
  // the exit code and the JSON that was written.
  int Stop(nlohmann::json* statistics);
  // Stop, and expects that everything was in order and nothing is left.
  nlohmann::json StopCleanly();

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> child_;
  int port_ = 0;
  bool stopping_ = false;
};

// Waits until the file exists and has content. False: the time is up.
bool WaitForContent(const std::string& path);

// The body of a response, see kernel_sim/serve/pattern_content.h.
std::string Pattern(std::size_t bytes);

}  // namespace ktlsim::system_tests
