// The scenes of `ktlsim serve` in which calls are refused: start, requests, statistics, a reload,
// requests, the end.
#pragma once

#include <chrono>
#include <string>

#include "tests/system/refusals.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

// The HTTP status that curl got, "000": none.
std::string GetStatus(int port, const std::string& path);

class ServeScene : public Scene {
 public:
  ChildProcess::Arguments Arguments() override;
  void Lead(ChildProcess& program, Story* story) override;

 protected:
  // The arguments after --listen and --self-signed.
  virtual ChildProcess::Arguments Mode() = 0;
  // "200": served.
  virtual std::string Request(int port, bool first) {
    return GetStatus(port, first ? "/" : "/a.txt");
  }
  // Returns when the reload has taken effect, or after two seconds.
  virtual void Reload(ChildProcess& program);

 private:
  int AwaitPort(ChildProcess& program);
  void Ask(int port, bool first, Story* story);
};

class FilesScene : public ServeScene {
 public:
  FilesScene();

 protected:
  ChildProcess::Arguments Mode() override { return {"--root", folder_.File("")}; }

 private:
  const TemporaryFolder folder_;
};

}  // namespace ktlsim::system_tests
