#include "tests/system/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ktlsim::system_tests {
namespace {

using Clock = std::chrono::steady_clock;

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

// A file in memory, so that a program that reads nothing does not block us.
int InputFile(const std::string& input) {
  const int file = memfd_create("input", MFD_CLOEXEC);
  if (write(file, input.data(), input.size()) < 0) return file;
  lseek(file, 0, SEEK_SET);
  return file;
}

}  // namespace

ChildProcess::ChildProcess(const Arguments& arguments, const std::string& input) {
  Start(arguments, InputFile(input));
}

ChildProcess::ChildProcess(const Arguments& arguments, Interactive) {
  // A socket rather than a pipe: writing to a program that has ended raises no signal.
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  keyboard_ = ends[0];
  Start(arguments, ends[1]);
}

void ChildProcess::Start(const Arguments& arguments, int input) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) == 0) {
    pid_ = fork();
    if (pid_ == 0) {
      // Only async-signal-safe calls from here.
      dup2(input, STDIN_FILENO);
      dup2(pipes[1], STDOUT_FILENO);
      dup2(pipes[1], STDERR_FILENO);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    close(pipes[1]);
    output_pipe_ = pipes[0];
  }
  close(input);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (output_pipe_ >= 0) close(output_pipe_);
  if (keyboard_ >= 0) close(keyboard_);
}

bool ChildProcess::WaitForNext(const std::string& text, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (output_.find(text, found_) == std::string::npos) {
    if (ReadSome(deadline) != Read::kSome) return false;
  }
  found_ = output_.find(text, found_) + text.size();
  return true;
}

bool ChildProcess::Type(const std::string& text) {
  return send(keyboard_, text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

ChildProcess::Read ChildProcess::ReadSome(Clock::time_point deadline) {
  pollfd waiting{output_pipe_, POLLIN, 0};
  if (poll(&waiting, 1, MillisecondsUntil(deadline)) <= 0) return Read::kTimeout;
  char buffer[65536];
  const ssize_t bytes = read(output_pipe_, buffer, sizeof(buffer));
  if (bytes <= 0) return Read::kEnd;
  output_.append(buffer, static_cast<std::size_t>(bytes));
  return Read::kSome;
}

bool ChildProcess::WaitForOutput(const std::string& text, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (output_.find(text) == std::string::npos) {
    if (ReadSome(deadline) != Read::kSome) return false;
  }
  return true;
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

int ChildProcess::Wait(std::chrono::milliseconds limit) {
  if (pid_ <= 0) return -1000;
  if (keyboard_ >= 0) close(std::exchange(keyboard_, -1));
  const auto deadline = Clock::now() + limit;
  Read outcome = Read::kSome;
  while (outcome == Read::kSome) outcome = ReadSome(deadline);
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  pollfd ended{handle, POLLIN, 0};
  const bool in_time = poll(&ended, 1, MillisecondsUntil(deadline)) == 1;
  close(handle);
  if (!in_time) kill(pid_, SIGKILL);
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  if (!in_time) return -1000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Finished RunProgram(const ChildProcess::Arguments& arguments, const std::string& input,
                    std::chrono::milliseconds limit) {
  ChildProcess child(arguments, input);
  const int code = child.Wait(limit);
  return {code, child.output()};
}

}  // namespace ktlsim::system_tests
