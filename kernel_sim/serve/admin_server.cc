#include "kernel_sim/serve/admin_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/serve/admin_connection.h"

namespace ktlsim::serve {
namespace {

constexpr int kNice = 10;
constexpr int kBacklog = 64;
// Out of descriptors or memory: a later attempt may succeed.
constexpr std::uint64_t kAcceptPauseNs = kNsPerSecond;
// The same of waiting, and what the end may then take.
constexpr std::chrono::milliseconds kPollPause(50);

Result<io::Address> Bind(int socket, const io::Address& address) {
  const int on = 1;
  if (setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
    return IoError(errno, "set up the socket");
  }
  if (bind(socket, address.data(), address.size()) != 0) return IoError(errno, "bind the socket");
  if (listen(socket, kBacklog) != 0) return IoError(errno, "listen");
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return IoError(errno, "ask for the address");
  }
  return io::Address(reinterpret_cast<const sockaddr*>(&bound), length);
}

// No signal is for this thread.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

class AdminServer::Impl {
 public:
  Impl(AdminPages& pages, const AdminLimits& limits)
      : pages_(pages),
        limits_(limits),
        request_limits_{.head_bytes_max = limits.head_bytes_max, .body_bytes_max = 0} {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status Start(const io::Address& address);
  const io::Address& bound() const { return bound_; }

 private:
  using Connections = std::vector<std::unique_ptr<AdminConnection>>;

  void Main();
  void PreparePoll();
  int PollTimeoutMs() const;
  void Accept();
  bool MakeRoom();
  void Serve(std::size_t index, short ready);
  bool full() const {
    return connections_.size() >= static_cast<std::size_t>(limits_.connections_max);
  }

  AdminPages& pages_;
  const AdminLimits limits_;
  const HttpRequestLimits request_limits_;
  io::Address bound_;
  Descriptor listener_;
  Descriptor wake_;
  std::atomic<bool> stopping_{false};  // set before `wake_` is written to
  std::thread thread_;

  // The thread's. Two polled descriptors come first, the connections after them.
  static constexpr std::size_t kOwnPolls = 2;
  Connections connections_;
  std::vector<pollfd> polls_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t accept_again_ns_ = 0;
};

Status AdminServer::Impl::Start(const io::Address& address) {
  listener_.Reset(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return IoError(errno, "open the socket");
  Result<io::Address> bound = Bind(listener_.number(), address);
  if (!bound) return bound.status();
  bound_ = *bound;
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return IoError(errno, "make an eventfd");
  // The thread itself needs no memory for them.
  connections_.reserve(static_cast<std::size_t>(limits_.connections_max));
  polls_.reserve(connections_.capacity() + kOwnPolls);
  const AllSignalsBlocked none;
  try {
    thread_ = std::thread([this] { Main(); });
  } catch (const std::system_error& failure) {
    return {Category::kResource, failure.code().value(), "start a thread"};
  }
  return {};
}

AdminServer::Impl::~Impl() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  KTLSIM_CHECK(write(wake_.number(), &one, sizeof(one)) == sizeof(one));
  thread_.join();
}

void AdminServer::Impl::PreparePoll() {
  const bool accepts = now_ns_ >= accept_again_ns_ &&
                       (!full() || std::ranges::any_of(connections_, [](const auto& connection) {
                         return connection->idle();
                       }));
  polls_.clear();
  polls_.push_back({.fd = wake_.number(), .events = POLLIN, .revents = 0});
  // A negative descriptor is left out.
  polls_.push_back({.fd = accepts ? listener_.number() : -1, .events = POLLIN, .revents = 0});
  for (const auto& connection : connections_) {
    polls_.push_back({.fd = connection->socket(), .events = connection->events(), .revents = 0});
  }
}

int AdminServer::Impl::PollTimeoutMs() const {
  std::uint64_t first_ns = accept_again_ns_ > now_ns_ ? accept_again_ns_ : 0;
  for (const auto& connection : connections_) {
    if (first_ns == 0 || connection->deadline_ns() < first_ns) first_ns = connection->deadline_ns();
  }
  if (first_ns == 0) return -1;
  // Rounded up: the deadline is over when it wakes.
  return first_ns <= now_ns_ ? 0 : static_cast<int>((first_ns - now_ns_) / kNsPerMs) + 1;
}

void AdminServer::Impl::Main() {
  pthread_setname_np(pthread_self(), "ktlsim-admin");
  // Refused: it runs as others do.
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice));
  while (!stopping_.load(std::memory_order_relaxed)) {
    now_ns_ = MonotonicClock::Now();
    PreparePoll();
    if (poll(polls_.data(), polls_.size(), PollTimeoutMs()) < 0) {
      // Out of memory, or refused for good. Nothing is lost by trying again.
      if (errno != EINTR) std::this_thread::sleep_for(kPollPause);
      continue;
    }
    if (polls_[0].revents != 0) return;
    now_ns_ = MonotonicClock::Now();
    for (std::size_t i = connections_.size(); i > 0; --i) {
      Serve(i - 1, polls_[kOwnPolls + i - 1].revents);
    }
    if (polls_[1].revents != 0) Accept();
  }
}

// From the last to the first, so that what is still to be served stays where it is.
void AdminServer::Impl::Serve(std::size_t index, short ready) {
  AdminConnection& connection = *connections_[index];
  bool goes_on = true;
  try {
    if (ready != 0) goes_on = connection.GoOn(pages_, now_ns_);
  } catch (const std::bad_alloc&) {
    goes_on = false;
  }
  if (goes_on && now_ns_ < connection.deadline_ns()) return;
  connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(index));
}

// The one that has been idle for the longest time has the first deadline of those.
bool AdminServer::Impl::MakeRoom() {
  auto oldest = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    if (!(*at)->idle()) continue;
    if (oldest == connections_.end() || (*at)->deadline_ns() < (*oldest)->deadline_ns()) {
      oldest = at;
    }
  }
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

void AdminServer::Impl::Accept() {
  if (full() && !MakeRoom()) return;
  const int socket = accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) {
    // A client that has gone meanwhile is ordinary; whatever else it is would come again at once.
    const bool gone = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (!gone) accept_again_ns_ = now_ns_ + kAcceptPauseNs;
    return;
  }
  Descriptor owned(socket);
  auto connection = std::unique_ptr<AdminConnection>(
      new (std::nothrow) AdminConnection(socket, limits_, request_limits_, now_ns_));
  if (connection == nullptr) return;
  static_cast<void>(owned.Release());
  connections_.push_back(std::move(connection));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() = default;
const io::Address& AdminServer::bound() const { return impl_->bound(); }

Result<std::unique_ptr<AdminServer>> AdminServer::Start(const io::Address& address,
                                                        AdminPages& pages,
                                                        const AdminLimits& limits) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  try {
    auto impl = std::make_unique<Impl>(pages, limits);
    if (Status started = impl->Start(address); !started.ok()) return started;
    return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return ResourceError("memory for the admin server");
  }
}

}  // namespace ktlsim::serve
