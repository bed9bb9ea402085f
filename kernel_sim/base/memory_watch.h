// MemoryWatch: notices that an allocation has failed on this thread since the watch was made.
//
// Libraries do not always report it. OpenSSL reports many failed allocations as an internal error
// or as a broken certificate, and some not at all: a check is then silently skipped. malloc sets
// errno to ENOMEM (POSIX), and nothing resets it on the way out of a failure. So work in which
// memory ran out can be given up as a whole, whatever its own result says.
//
// What a newcomer gets wrong: a later system call that fails overwrites errno. Watch one step at a
// time.
#pragma once

#include <cerrno>

namespace ktlsim {

class MemoryWatch {
 public:
  MemoryWatch() : before_(errno) { errno = 0; }
  // An outer watch sees what this one has seen.
  ~MemoryWatch() {
    if (errno != ENOMEM) errno = before_;
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  bool ran_out() const { return errno == ENOMEM; }

 private:
  const int before_;
};

// Returns what `work` returns, a Result or a Status, or `otherwise` when memory ran out in it.
template <typename Work, typename Failure>
auto UnlessOutOfMemory(const Failure& otherwise, Work work) -> decltype(work()) {
  const MemoryWatch watch;
  auto result = work();
  if (watch.ran_out()) return otherwise;
  return result;
}

}  // namespace ktlsim
