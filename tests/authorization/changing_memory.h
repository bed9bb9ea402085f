// Memory of a caller whose other thread changes it while a function of the API looks at it.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/thread_sanitizer.h"

namespace ktlsim::test {

// What changes: two bytes at `offset`, which have one of the values and then the other.
struct Change {
  std::size_t offset;
  std::array<std::uint16_t, 2> values;
};

// Behind the image nothing can be read for as long as a list or a part may be.
inline std::byte* MapInFrontOfNothing(std::span<const std::byte> image) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kNothing = 64 * kPage;
  void* const at = mmap(nullptr, kPage + kNothing, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED || mprotect(at, kPage, PROT_READ | PROT_WRITE) != 0) return nullptr;
  std::byte* const begin = static_cast<std::byte*>(at) + kPage - image.size();
  std::memcpy(begin, image.data(), image.size());
  return begin;
}

// Calls `call`, which says whether all is well, until the other thread has changed the memory often
// enough for a call to have met both values, or so many times that on a busy machine it is enough;
// in a child, which may die of it. Returns how the child ended, 0 being well.
template <typename Call>
int RunWhileItChanges(std::span<const std::byte> image, const Change& change, const Call& call) {
#if defined(KTLSIM_TEST_TSAN)
  return 0;  // a caller that changes memory is a race, and meant
#endif
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    std::byte* const begin = MapInFrontOfNothing(image);
    if (begin == nullptr) _exit(2);
    std::thread([begin, &change] {
      const std::atomic_ref number(*reinterpret_cast<std::uint16_t*>(begin + change.offset));
      for (;;) {
        for (const std::uint16_t value : change.values) number.store(value);
      }
    }).detach();
    const std::atomic_ref number(*reinterpret_cast<std::uint16_t*>(begin + change.offset));
    int changes = 0;
    std::uint16_t before = change.values[0];
    for (int i = 0; i < 100000 || (changes < 200 && i < 1000000); ++i) {
      if (!call(begin)) _exit(1);
      changes += before != number ? 1 : 0;
      before = number;
    }
    _exit(0);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

}  // namespace ktlsim::test
