// The table of calls, see refusals.h.
#include <sys/syscall.h>

#include <cerrno>

#include "tests/system/refusals.h"

namespace ktlsim::system_tests {

// Each errno value is one that the call's manual page names or that a sandbox gives. Not here:
// futex, rseq and munmap (of stacks), without which the C library itself aborts; rt_sigreturn,
// which returns no errno value; the calls of the dynamic linker.
const std::vector<RefusableCall>& RefusableCalls() {
  const std::map<int, const char*> ring_causes = {{EPERM, "seccomp"},    {EACCES, "seccomp"},
                                                  {ENOSYS, "seccomp"},   {ENOMEM, "RLIMIT_MEMLOCK"},
                                                  {EMFILE, "ulimit -n"}, {ENFILE, "fs.file-max"}};
  static const std::vector<RefusableCall> calls = {
      {"openat",
       {SYS_openat},
       {EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM, ENOSYS, EINTR, ELOOP},
       nullptr,
       nullptr,
       "certificate"},
      {"openat2", {SYS_openat2}, {EMFILE, ENFILE, ENOMEM, EPERM, EACCES, ENOSYS, EINVAL, EAGAIN}},
      {"preadv2", {SYS_preadv2}, {EPERM, EACCES, ENOSYS, EIO, EAGAIN, EINVAL, EOPNOTSUPP, EINTR}},
      {"pread64", {SYS_pread64}, {EIO, EPERM, EINTR}},
      {"newfstatat",
       {SYS_newfstatat},
       {ENOMEM, EACCES, EPERM, ENOSYS},
       nullptr,
       nullptr,
       "certificate"},
      {"read", {SYS_read}, {EIO, EINTR, EINVAL, EPERM, EAGAIN, EISDIR}},
      {"lseek", {SYS_lseek}, {EINVAL, ESPIPE, EPERM}},
      {"getdents64", {SYS_getdents64}, {EPERM, ENOENT, ENOSYS}},
      {"close", {SYS_close}, {EIO, EINTR, ENOSPC}},
      {"socket", {SYS_socket}, {EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EAFNOSUPPORT, EPERM}},
      {"connect", {SYS_connect}, {ECONNREFUSED, EPERM, EACCES}},
      {"setsockopt", {SYS_setsockopt}, {EINVAL, ENOPROTOOPT, ENOMEM, EPERM}},
      {"bind", {SYS_bind}, {EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL, EPERM}},
      {"listen", {SYS_listen}, {EADDRINUSE, EOPNOTSUPP, EPERM}},
      {"getsockname", {SYS_getsockname}, {ENOBUFS, EPERM}},
      {"getpeername", {SYS_getpeername}, {ENOTCONN, ENOBUFS, EPERM}},
      {"shutdown", {SYS_shutdown}, {ENOTCONN, EINVAL, EPERM}},
      {"eventfd2", {SYS_eventfd2}, {EMFILE, ENFILE, ENOMEM, ENODEV, EINVAL, EPERM, ENOSYS}},
      {"memfd_create", {SYS_memfd_create}, {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS}},
      {"io_uring_setup",
       {SYS_io_uring_setup},
       {ENOMEM, EMFILE, ENFILE, EPERM, ENOSYS, EINVAL, EACCES},
       nullptr,
       nullptr,
       "io_uring",
       false,
       ring_causes},
      {"io_uring_register",
       {SYS_io_uring_register},
       {ENOMEM, EINVAL, EPERM, ENOSYS, EBUSY, EMFILE},
       nullptr,
       nullptr,
       "io_uring",
       false,
       ring_causes},
      {"io_uring_enter",
       {SYS_io_uring_enter},
       {EPERM, EACCES, ENOSYS, EINVAL, EBADFD, EOPNOTSUPP},
       "ktlsim: io_uring_enter: "},
      {"io_uring_enter",
       {SYS_io_uring_enter},
       {EAGAIN, ENOMEM, EBUSY, EINTR},
       nullptr,
       "io_uring_enter fails again and again: "},
      {"write",
       {SYS_write},
       {ENOSPC, EIO, EPIPE, EAGAIN, EINTR, EPERM, EDQUOT, EFBIG},
       nullptr,
       nullptr,
       nullptr,
       true},
      {"writev", {SYS_writev}, {EIO, EPERM}},
      {"clone3", {SYS_clone3}, {EAGAIN, ENOMEM, EPERM}, nullptr, nullptr, "thread"},
      {"mmap", {SYS_mmap}, {ENOMEM, EAGAIN, EPERM, EACCES, ENOSYS}, nullptr, nullptr, "thread"},
      {"mremap", {SYS_mremap}, {ENOMEM, EAGAIN, EPERM, ENOSYS}},
      // brk returns no errno value: the end of the heap stays where it was.
      {"brk", {SYS_brk}, {ENOMEM}, nullptr, nullptr, nullptr, false, {}, 3},
      {"brk and mmap", {SYS_brk, SYS_mmap}, {ENOMEM}, nullptr, nullptr, "thread", false, {}, 3},
      {"mprotect", {SYS_mprotect}, {ENOMEM, EACCES, EPERM}, nullptr, nullptr, "thread"},
      {"madvise", {SYS_madvise}, {EINVAL, ENOMEM, EAGAIN, EPERM, ENOSYS}},
      {"rt_sigtimedwait", {SYS_rt_sigtimedwait}, {EAGAIN, EINTR, EINVAL, EPERM, ENOSYS}},
      {"rt_sigaction", {SYS_rt_sigaction}, {EINVAL, EPERM}},
      // A sleeper goes on sleeping after a signal, as it must: no kernel interrupts without end.
      {"clock_nanosleep", {SYS_clock_nanosleep}, {EINTR}, nullptr, nullptr, nullptr, true},
      {"clock_nanosleep", {SYS_clock_nanosleep}, {EINVAL, EPERM, ENOSYS}},
      {"prlimit64", {SYS_prlimit64}, {EINVAL, EPERM, ENOSYS}},
      {"getrandom", {SYS_getrandom}, {EAGAIN, EPERM, ENOSYS}, nullptr, nullptr, "getrandom"},
      {"uname", {SYS_uname}, {EPERM, ENOSYS}},
      {"sched_getaffinity", {SYS_sched_getaffinity}, {EINVAL, EPERM, ENOSYS}},
      {"sched_yield", {SYS_sched_yield}, {EPERM, ENOSYS}},
      {"sysinfo", {SYS_sysinfo}, {EPERM, ENOSYS}},
      {"prctl", {SYS_prctl}, {EINVAL, EPERM, ENOSYS}},
      {"set_robust_list", {SYS_set_robust_list}, {EPERM, ENOSYS}},
      {"gettid", {SYS_gettid}, {EPERM, ENOSYS}},
  };
  return calls;
}

}  // namespace ktlsim::system_tests
