#include "tests/support/thread_faults.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KTLSIM_TEST_SANITIZED_THREADS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KTLSIM_TEST_SANITIZED_THREADS 1
#endif
#endif

using PthreadCreate = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

namespace ktlsim::test {
namespace {

constinit std::atomic<std::uint64_t> first_refused{ThreadFaults::kNever};
constinit std::atomic<bool> later_refused{false};
constinit std::atomic<std::uint64_t> asked_for{0};

bool Refused() {
  const std::uint64_t number = asked_for.fetch_add(1);
  const std::uint64_t first = first_refused.load();
  return number == first || (later_refused.load() && number > first);
}

}  // namespace

ThreadFaults::ThreadFaults(std::uint64_t first, bool all_later) {
  asked_for.store(0);
  later_refused.store(all_later);
  first_refused.store(first);
}

ThreadFaults::~ThreadFaults() {
  first_refused.store(kNever);
  later_refused.store(false);
}

std::uint64_t ThreadFaults::asked() { return asked_for.load(); }

}  // namespace ktlsim::test

extern "C" {

#ifdef KTLSIM_TEST_SANITIZED_THREADS
PthreadCreate __interceptor_pthread_create;
#endif

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*routine)(void*),
                   void* argument) {
  if (ktlsim::test::Refused()) return EAGAIN;
#ifdef KTLSIM_TEST_SANITIZED_THREADS
  return __interceptor_pthread_create(thread, attributes, routine, argument);
#else
  static auto* const below = reinterpret_cast<PthreadCreate*>(dlsym(RTLD_NEXT, "pthread_create"));
  return below(thread, attributes, routine, argument);
#endif
}

}  // extern "C"
