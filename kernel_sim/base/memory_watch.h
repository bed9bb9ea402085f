// MemoryWatch: has an allocation failed on this thread since it was made?
//
// Libraries do not always say so. OpenSSL tells many a failed allocation as an internal error or as
// a broken certificate, and some not at all: what was to be checked is then left unchecked. malloc
// sets errno to ENOMEM (POSIX), and nothing sets it back on the way out of a failure. So work in
// which memory ran out can be given up as a whole, whatever its own result says.
//
// What a newcomer gets wrong: a system call that fails later hides it. Watch one step at a time.
#pragma once

#include <cerrno>

namespace ktlsim {

class MemoryWatch {
 public:
  MemoryWatch() : before_(errno) { errno = 0; }
  // A watch around this one sees what this one has seen.
  ~MemoryWatch() {
    if (errno != ENOMEM) errno = before_;
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  bool ran_out() const { return errno == ENOMEM; }

 private:
  const int before_;
};

// The value of `work`, a Result or a Status, or `otherwise` when memory ran out in it.
template <typename Work, typename Failure>
auto UnlessOutOfMemory(const Failure& otherwise, Work work) -> decltype(work()) {
  const MemoryWatch watch;
  auto result = work();
  if (watch.ran_out()) return otherwise;
  return result;
}

}  // namespace ktlsim
