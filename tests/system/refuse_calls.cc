// refuse_calls SOCKET CALL... -- PROGRAM [ARGUMENT...]: becomes PROGRAM, whose system calls of
// these numbers wait for the verdict of the supervisor at the other end of SOCKET (call_refuser.h).
//
// A filter alone can refuse a call always or never. This one asks the supervisor, so that a test
// can refuse the n-th call, the one on a certain file, or all from a certain moment on.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int kNotYet = -1;
constexpr int kNoFilter = -2;

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

std::vector<sock_filter> MakeFilter(const std::vector<std::uint32_t>& calls) {
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const std::uint32_t call : calls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return filter;
}

// For the calling thread alone, and the program that it becomes. Returns the descriptor for the
// supervisor.
int InstallFilter(const std::vector<std::uint32_t>& calls) {
  std::vector<sock_filter> filter = MakeFilter(calls);
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return kNoFilter;
  const long listener =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  return listener < 0 ? kNoFilter : static_cast<int>(listener);
}

// Sends one byte, and the descriptor if there is one.
void HandOver(int socket, int listener) {
  char byte = listener < 0 ? 'n' : 'y';
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (listener >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &listener, sizeof(int));
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::uint32_t> calls;
  int at = 2;
  for (; at < argc && std::string_view(argv[at]) != "--"; ++at) {
    calls.push_back(static_cast<std::uint32_t>(std::strtoul(argv[at], nullptr, 10)));
  }
  if (argc < 3 || at + 1 >= argc) return 2;
  const int socket = std::atoi(argv[1]);
  // The filter does not bind this thread, so its call cannot be one that already waits for a
  // verdict. For the same reason the other thread watches without a call.
  std::atomic<int> listener{kNotYet};
  std::atomic<bool> handed_over{false};
  std::thread messenger([&] {
    while (listener.load(std::memory_order_acquire) == kNotYet) std::this_thread::yield();
    HandOver(socket, listener.load(std::memory_order_relaxed));
    handed_over.store(true, std::memory_order_release);
  });
  listener.store(InstallFilter(calls), std::memory_order_release);
  while (!handed_over.load(std::memory_order_acquire)) {
  }
  messenger.detach();  // ends when the exec replaces this program
  execvp(argv[at + 1], argv + at + 1);
  std::perror(argv[at + 1]);
  return 127;
}
