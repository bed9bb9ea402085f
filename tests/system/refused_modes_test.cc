// The same as refused_calls_test.cc for the other modes of `ktlsim serve`, the other commands, and
// a program that uses the library: for each a share that KTLSIM_SEED draws, with KTLSIM_FAULTS=all
// every call.
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/refusals.h"
#include "tests/system/refused_scenes.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

class ResponderScene : public ServeScene {
 protected:
  ChildProcess::Arguments Mode() override { return {"--respond-bytes", "100"}; }
};

class EchoScene : public ServeScene {
 public:
  bool SpeaksHttp() const override { return false; }

 protected:
  ChildProcess::Arguments Mode() override { return {"--echo"}; }
  std::string Request(int port, bool) override {
    ChildProcess client({"openssl", "s_client", "-connect", "127.0.0.1:" + std::to_string(port)},
                        ChildProcess::Interactive());
    client.Type("send this back\n");
    const bool served = client.WaitForOutput("send this back", std::chrono::seconds(3));
    client.Wait(std::chrono::seconds(3));
    return served ? "200" : "000";
  }
};

class ForwardScene : public ServeScene {
 public:
  // The failures of its backend are not reported in HTTP.
  bool SpeaksHttp() const override { return false; }

 protected:
  ChildProcess::Arguments Mode() override { return {"--upstream", backend_.address()}; }

 private:
  TcpBackend backend_{[](int socket) {
    if (ReadUntil(socket, "\r\n\r\n").empty()) return;
    WriteAll(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  }};
};

// A log that is rotated: renamed, and then opened again.
class LogFileScene : public FilesScene {
 public:
  ChildProcess::Arguments Arguments() override {
    for (const std::string& file : {file_, rotated_}) std::filesystem::remove(file);
    return FilesScene::Arguments();
  }
  std::string WrittenElsewhere() override { return Content(rotated_) + Content(file_); }

 protected:
  ChildProcess::Arguments Mode() override {
    ChildProcess::Arguments mode = FilesScene::Mode();
    mode.insert(mode.end(), {"--log-file", file_});
    return mode;
  }
  void Reload(ChildProcess& program) override {
    std::error_code ignored;
    std::filesystem::rename(file_, rotated_, ignored);
    program.Signal(SIGHUP);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (WrittenElsewhere().find("reload") == std::string::npos &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
  }

 private:
  static std::string Content(const std::string& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  const TemporaryFolder folder_;
  const std::string file_ = folder_.File("log");
  const std::string rotated_ = folder_.File("log.1");
};

// A program that ends by itself.
class ProgramScene : public Scene {
 public:
  explicit ProgramScene(ChildProcess::Arguments arguments) : arguments_(std::move(arguments)) {}
  ChildProcess::Arguments Arguments() override { return arguments_; }
  void Lead(ChildProcess& program, Story* story) override {
    story->listened = true;
    story->code = program.Wait();
  }

 private:
  const ChildProcess::Arguments arguments_;
};

class LoadScene : public ProgramScene {
 public:
  explicit LoadScene(std::unique_ptr<ServeProcess> server)
      : ProgramScene({test::CommandPath(), "load", "--connect", server->address(), "--insecure",
                      "--connections", "2", "--warm-up", "0", "--seconds", "0.1"}),
        server_(std::move(server)) {}

 private:
  const std::unique_ptr<ServeProcess> server_;
};

struct Mode {
  const char* name;
  std::unique_ptr<Scene> (*make)();
  std::size_t share;  // how many faults are drawn
};

constexpr std::array kModes = {
    Mode{"Responder", [] { return std::unique_ptr<Scene>(new ResponderScene); }, 8},
    Mode{"Echo", [] { return std::unique_ptr<Scene>(new EchoScene); }, 8},
    Mode{"Forward", [] { return std::unique_ptr<Scene>(new ForwardScene); }, 12},
    Mode{"LogFile", [] { return std::unique_ptr<Scene>(new LogFileScene); }, 8},
    Mode{"Load",
         [] {
           return std::unique_ptr<Scene>(new LoadScene(std::make_unique<ServeProcess>(
               std::vector<std::string>{"--self-signed", "localhost", "--respond-bytes", "100"})));
         },
         12},
    Mode{"Run",
         [] {
           return std::unique_ptr<Scene>(
               new ProgramScene({test::CommandPath(), "run", "--seconds", "0.2", "--tls", "1.3",
                                 "--connections", "4"}));
         },
         4},
    Mode{"Library",
         [] { return std::unique_ptr<Scene>(new ProgramScene({KTLSIM_LIBRARY_PROGRAM})); }, 24},
};

class EveryCallOfModeTest : public testing::TestWithParam<Mode> {};
INSTANTIATE_TEST_SUITE_P(, EveryCallOfModeTest, testing::ValuesIn(kModes),
                         [](const auto& mode) { return std::string(mode.param.name); });

TEST_P(EveryCallOfModeTest, RefusedIsAFallbackAStatusOrAMessage) {
  const std::unique_ptr<Scene> scene = GetParam().make();
  const CallCounts counts = CountCalls(*scene);
  if (counts.empty()) GTEST_SKIP() << "no seccomp filter with a supervisor here";
  PlayAll(*scene,
          AllFaults() ? EveryFault(counts) : Some(counts, SeedOfFaults(), GetParam().share));
}

}  // namespace
}  // namespace ktlsim::system_tests
