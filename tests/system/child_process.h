// ChildProcess: a program that a test starts, talks to, and ends in any case.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace ktlsim::system_tests {

inline constexpr auto kPatience = std::chrono::seconds(60);

class ChildProcess {
 public:
  using Arguments = std::vector<std::string>;

  // Looks the program up in PATH. `input` becomes its standard input.
  explicit ChildProcess(const Arguments& arguments, const std::string& input = "");
  // With a standard input that stays open until Wait, for Type.
  struct Interactive {};
  ChildProcess(const Arguments& arguments, Interactive);
  // Kills a program that still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Reads output until it contains `text`. False: the program ended, or the time is up.
  bool WaitForOutput(const std::string& text, std::chrono::milliseconds limit = kPatience);
  // The same, after the text that the last WaitForNext has found.
  bool WaitForNext(const std::string& text, std::chrono::milliseconds limit = kPatience);
  // Writes to the standard input of an interactive program; false when it has ended.
  bool Type(const std::string& text);
  void Signal(int signal);
  // Reads the rest and returns the exit code, or -signal if a signal ended the program. A program
  // that does not end in time is killed, and the result is -1000.
  int Wait(std::chrono::milliseconds limit = kPatience);

  pid_t pid() const { return pid_; }
  // Standard output and error, as far as read.
  const std::string& output() const { return output_; }

 private:
  enum class Read { kSome, kEnd, kTimeout };
  Read ReadSome(std::chrono::steady_clock::time_point deadline);
  // Takes the descriptor that becomes the standard input.
  void Start(const Arguments& arguments, int input);

  pid_t pid_ = -1;
  int keyboard_ = -1;
  int output_pipe_ = -1;
  std::string output_;
  std::size_t found_ = 0;  // the end of what WaitForNext has found
};

struct Finished {
  int code;
  std::string output;
};

// Starts a program, waits for it, and returns both.
Finished RunProgram(const ChildProcess::Arguments& arguments, const std::string& input = "",
                    std::chrono::milliseconds limit = kPatience);

}  // namespace ktlsim::system_tests
