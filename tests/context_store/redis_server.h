// RedisServer: a real redis-server of the test's own, in a folder of its own, ended with the test.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/address.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::context_store {

inline bool IsInstalled(const char* program) {
  return system_tests::RunProgram({"sh", "-c", std::string("command -v ") + program}).code == 0;
}

class RedisServer {
 public:
  using Arguments = std::vector<std::string>;

  // On a socket in its folder; `arguments` are redis-server's.
  explicit RedisServer(Arguments arguments = {}) : arguments_(std::move(arguments)) { Start(); }
  // On a TCP port, too, which replicas and Sentinels need.
  struct WithPort {};
  RedisServer(WithPort, Arguments arguments = {}, const char* port_option = "--port")
      : arguments_(std::move(arguments)), port_option_(port_option) {
    // Another program may take the port first.
    for (int attempt = 0; attempt < 5 && !started_; ++attempt) {
      port_ = system_tests::UnusedPort();
      TryStart();
    }
    EXPECT_TRUE(started_) << process_->output();
  }
  // TLS on the port, with a certificate that is in files, and without asking for the client's.
  struct WithTls {};
  RedisServer(WithTls, const std::string& cert_file, const std::string& key_file)
      : RedisServer(WithPort(),
                    {"--tls-cert-file", cert_file, "--tls-key-file", key_file, "--tls-ca-cert-file",
                     cert_file, "--tls-auth-clients", "no"},
                    "--tls-port") {}

  void Start() {
    TryStart();
    EXPECT_TRUE(started_) << process_->output();
  }
  // Loses what has not been saved.
  void Kill() {
    process_->Signal(SIGKILL);
    EXPECT_EQ(process_->Wait(), -SIGKILL);
  }
  void Signal(int signal) { process_->Signal(signal); }
  // What redis-cli prints, with blanks for line feeds.
  std::string Do(const Arguments& command) {
    Arguments all = {"redis-cli", "-s", socket()};
    if (!password.empty()) all.insert(all.end(), {"--no-auth-warning", "-a", password});
    all.insert(all.end(), command.begin(), command.end());
    std::string output = system_tests::RunProgram(all).output;
    while (output.ends_with('\n')) output.pop_back();
    return output;
  }
  std::string socket() const { return folder_.File("redis.sock"); }
  std::string file(const std::string& name) const { return folder_.File(name); }
  io::Address address() const { return io::Address::Parse("unix:" + socket()).value(); }
  int port() const { return port_; }

  std::string password;

 private:
  void TryStart() {
    Arguments all = {"redis-server",
                     port_option_,
                     std::to_string(port_),
                     "--bind",
                     "127.0.0.1",
                     "--unixsocket",
                     socket(),
                     "--dir",
                     folder_.path(),
                     "--save",
                     "",
                     "--repl-diskless-sync-delay",
                     "0"};
    if (port_option_ == std::string("--tls-port")) all.insert(all.end(), {"--port", "0"});
    all.insert(all.end(), arguments_.begin(), arguments_.end());
    process_ = std::make_unique<system_tests::ChildProcess>(all);
    started_ = process_->WaitForOutput("accept connections at " + socket()) ||
               process_->output().find("Ready to accept connections") != std::string::npos;
  }

  const Arguments arguments_;
  const char* const port_option_ = "--port";
  test::TemporaryFolder folder_;
  int port_ = 0;
  bool started_ = false;
  std::unique_ptr<system_tests::ChildProcess> process_;
};

}  // namespace ktlsim::context_store
