#include "tests/system/call_refuser.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ktlsim::system_tests {

CallRefuser::CallRefuser(const std::vector<int>& calls, Judge judge) : judge_(std::move(judge)) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  our_end_ = ends[0];
  program_end_ = ends[1];
  fcntl(program_end_, F_SETFD, 0);
  stop_ = eventfd(0, EFD_CLOEXEC);
  launcher_ = {KTLSIM_REFUSE_CALLS, std::to_string(program_end_)};
  for (const int call : calls) launcher_.push_back(std::to_string(call));
  launcher_.emplace_back("--");
  thread_ = std::thread([this] { Main(); });
}

CallRefuser::~CallRefuser() {
  eventfd_write(stop_, 1);
  if (thread_.joinable()) thread_.join();
  for (const int descriptor : {program_end_, our_end_, stop_}) close(descriptor);
}

void CallRefuser::SetJudge(Judge judge) {
  const std::lock_guard lock(mutex_);
  judge_ = std::move(judge);
}

std::uint64_t CallRefuser::seen(int call) const {
  const std::lock_guard lock(mutex_);
  const auto found = seen_.find(call);
  return found == seen_.end() ? 0 : found->second;
}

std::string CallRefuser::TextAt(pid_t thread, std::uint64_t address) {
  char text[4096] = {};
  // Up to the end of its page: the next page may not be mapped.
  const std::size_t bytes = 4096 - address % 4096;
  const iovec here{text, bytes};
  const iovec there{reinterpret_cast<void*>(address), bytes};
  if (process_vm_readv(thread, &here, 1, &there, 1, 0) <= 0) return {};
  return {text, strnlen(text, sizeof(text))};
}

// The descriptor on which the program's calls are announced, or -1.
int CallRefuser::ReceiveListener() {
  pollfd waits[2] = {{our_end_, POLLIN, 0}, {stop_, POLLIN, 0}};
  if (poll(waits, 2, -1) < 0 || waits[0].revents == 0) return -1;
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(our_end_, &message, MSG_CMSG_CLOEXEC) != 1) return -1;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) {
    impossible_.store(true);
    return -1;
  }
  int listener = -1;
  std::memcpy(&listener, CMSG_DATA(header), sizeof(listener));
  return listener;
}

void CallRefuser::Main() {
  const int listener = ReceiveListener();
  if (listener < 0) return;
  seccomp_notif_sizes sizes{};
  syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
  for (;;) {
    pollfd waits[2] = {{listener, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno == EINTR) continue;
    if (waits[1].revents != 0 || (waits[0].revents & POLLIN) == 0) break;
    Decide(listener, sizes.seccomp_notif, sizes.seccomp_notif_resp);
  }
  close(listener);
}

void CallRefuser::Decide(int listener, std::size_t request_bytes, std::size_t response_bytes) {
  // The kernel's structures may be longer than those at compile time.
  std::vector<std::uint64_t> request_memory(request_bytes / 8 + 1);
  std::vector<std::uint64_t> response_memory(response_bytes / 8 + 1);
  auto* const request = reinterpret_cast<seccomp_notif*>(request_memory.data());
  auto* const response = reinterpret_cast<seccomp_notif_resp*>(response_memory.data());
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) != 0) return;  // its thread has ended
  SystemCall call;
  call.number = request->data.nr;
  call.thread = static_cast<pid_t>(request->pid);
  for (std::size_t i = 0; i < call.arguments.size(); ++i) call.arguments[i] = request->data.args[i];
  int error_number = 0;
  {
    const std::lock_guard lock(mutex_);
    call.occurrence = ++seen_[call.number];
    if (judge_) error_number = judge_(call);
  }
  if (error_number != 0) refused_.fetch_add(1);
  response->id = request->id;
  // brk returns no errno value: it returns the end of the heap, which then is not the requested
  // one.
  if (call.number != SYS_brk) response->error = -error_number;
  if (error_number == 0) response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  static_cast<void>(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, response));
}

}  // namespace ktlsim::system_tests
