#include "tests/system/refused_scenes.h"

#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/paths.h"

namespace ktlsim::system_tests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(50);

bool HasEnded(const ChildProcess& program) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(program.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid != 0;
}

// The port in a whole line of the output or the log; writing one of them may be refused. 0: none
// yet.
int PortIn(const std::string& text) {
  for (const std::string start : {"listening on 127.0.0.1:", "listening address=127.0.0.1:"}) {
    const std::size_t at = text.find(start);
    if (at == std::string::npos || text.find('\n', at) == std::string::npos) continue;
    return std::atoi(text.c_str() + at + start.size());
  }
  return 0;
}

}  // namespace

std::string GetStatus(int port, const std::string& path) {
  return RunProgram({"curl", "-s", "-k", "--max-time", "3", "-o", "/dev/null", "-w", "%{http_code}",
                     "https://127.0.0.1:" + std::to_string(port) + path})
      .output;
}

ChildProcess::Arguments ServeScene::Arguments() {
  ChildProcess::Arguments all = {test::CommandPath(), "serve",         "--listen",
                                 "127.0.0.1:0",       "--self-signed", "localhost"};
  const ChildProcess::Arguments mode = Mode();
  all.insert(all.end(), mode.begin(), mode.end());
  return all;
}

// The port; 0: the server does not listen, and ends.
int ServeScene::AwaitPort(ChildProcess& program) {
  const auto deadline = Clock::now() + kPatience;
  while (Clock::now() < deadline) {
    const bool ended = HasEnded(program);
    static_cast<void>(program.WaitForNext("\n", ended ? kPatience : kLook));
    const int port = PortIn(program.output() + "\n" + WrittenElsewhere());
    if (port != 0 || ended) return port;
  }
  return 0;
}

void ServeScene::Ask(int port, bool first, Story* story) {
  const auto begun = Clock::now();
  story->statuses.push_back(Request(port, first));
  story->stalled = Clock::now() - begun > std::chrono::seconds(2);
}

void ServeScene::Reload(ChildProcess& program) {
  program.Signal(SIGHUP);
  static_cast<void>(program.WaitForOutput("reload", std::chrono::seconds(2)));
}

void ServeScene::Lead(ChildProcess& program, Story* story) {
  const int port = AwaitPort(program);
  story->listened = port != 0;
  if (!story->listened) {
    story->code = program.Wait();
    return;
  }
  for (const bool first : {true, false}) Ask(port, first, story);
  if (!story->stalled) {
    program.Signal(SIGUSR1);
    Ask(port, true, story);
    Reload(program);
    Ask(port, false, story);
  }
  program.Signal(SIGTERM);
  // Signals the server, as an operator would who sees that nothing moves. False: it has ended.
  if (program.WaitForOutput("again and again")) {
    story->stalled = true;
    program.Signal(SIGTERM);
  }
  story->code = program.Wait();
}

FilesScene::FilesScene() {
  std::ofstream(folder_.File("index.html")) << "index";
  std::ofstream(folder_.File("a.txt")) << "text";
}

}  // namespace ktlsim::system_tests
