// CallRefuser: decides about the system calls of a program that was started through refuse_calls.
//
// What a newcomer gets wrong: the judge runs on the refuser's own thread, while the call waits for
// it; it must not wait for the program.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ktlsim::system_tests {

struct SystemCall {
  int number = 0;
  std::array<std::uint64_t, 6> arguments{};
  pid_t thread = 0;
  std::uint64_t occurrence = 0;  // how many of this number there were, this one included
};

class CallRefuser {
 public:
  // The errno value with which the call fails; 0: the call is made.
  using Judge = std::function<int(const SystemCall&)>;

  // For calls of these numbers. `judge` as in SetJudge.
  explicit CallRefuser(const std::vector<int>& calls, Judge judge = {});
  // The program has ended, or its calls fail with ENOSYS from here on.
  ~CallRefuser();
  CallRefuser(const CallRefuser&) = delete;
  CallRefuser& operator=(const CallRefuser&) = delete;

  // The words to put before the program and its arguments. For one program.
  const std::vector<std::string>& launcher() const { return launcher_; }

  // From the next call on. An empty judge lets all calls be made.
  void SetJudge(Judge judge);
  std::uint64_t refused() const { return refused_.load(); }
  std::uint64_t seen(int call) const;
  // The program was started without a filter, because the kernel gave none: a reason to skip the
  // test.
  bool impossible() const { return impossible_.load(); }

  // A string that an argument points to, such as openat's path.
  static std::string TextAt(pid_t thread, std::uint64_t address);

 private:
  void Main();
  int ReceiveListener();
  void Decide(int listener, std::size_t request_bytes, std::size_t response_bytes);

  int program_end_ = -1;  // inherited by the program
  int our_end_ = -1;
  int stop_ = -1;
  std::vector<std::string> launcher_;
  mutable std::mutex mutex_;
  Judge judge_;
  std::map<int, std::uint64_t> seen_;
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<bool> impossible_{false};
  std::thread thread_;
};

}  // namespace ktlsim::system_tests
