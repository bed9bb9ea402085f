#include "tests/system/openssl_server.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace ktlsim::system_tests {

OpensslServer::OpensslServer(const std::vector<std::string>& arguments) {
  const Finished made =
      RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                  "-days", "2", "-keyout", folder_.File("key.pem"), "-out", certificate()});
  EXPECT_EQ(made.code, 0) << made.output;
  ChildProcess::Arguments all = {"openssl", "s_server",    "-accept", "127.0.0.1:0",
                                 "-cert",   certificate(), "-key",    folder_.File("key.pem"),
                                 "-www"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  child_ = std::make_unique<ChildProcess>(all);
  const std::string start = "ACCEPT 127.0.0.1:";
  if (!child_->WaitForOutput(start) || !child_->WaitForOutput("\n")) return;
  const std::string& output = child_->output();
  port_ = std::atoi(output.c_str() + output.find(start) + start.size());
}

}  // namespace ktlsim::system_tests
