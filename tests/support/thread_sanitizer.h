// KTLSIM_TEST_TSAN: defined where ThreadSanitizer watches. It ends a child that a process with
// threads has forked and that makes threads of its own, and reports races that are meant.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define KTLSIM_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KTLSIM_TEST_TSAN 1
#endif
#endif
