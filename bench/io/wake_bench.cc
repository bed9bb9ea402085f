// Which doorbell wakes a ring that sleeps in the kernel sooner: a write to an eventfd under a
// multishot poll, or IORING_OP_MSG_RING from the waker's own ring? Both ends sleep in turn, bare
// liburing, so that a round trip is two wake-ups and nothing else.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include <benchmark/benchmark.h>
#include <liburing.h>

namespace {

class Sleeper {
 public:
  explicit Sleeper(bool by_message) : by_message_(by_message) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    works_ = io_uring_queue_init_params(64, &ring_, &params) == 0;
    if (!works_ || by_message_) return;
    bell_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_poll_multishot(sqe, bell_, POLLIN);
  }
  ~Sleeper() {
    if (works_) io_uring_queue_exit(&ring_);
    if (bell_ >= 0) close(bell_);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  bool works() const { return works_; }

  // Queues or rings the bell of `other`; a message leaves with the next Sleep.
  void Wake(Sleeper& other) {
    if (!by_message_) {
      eventfd_write(other.bell_, 1);
      return;
    }
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_msg_ring(sqe, other.ring_.ring_fd, 0, 1, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }
  void Flush() { io_uring_submit(&ring_); }
  void Sleep() {
    io_uring_submit_and_wait(&ring_, 1);
    io_uring_cqe* cqe = nullptr;
    io_uring_peek_cqe(&ring_, &cqe);
    if (cqe != nullptr) io_uring_cqe_seen(&ring_, cqe);
  }

 private:
  io_uring ring_{};
  int bell_ = -1;
  bool by_message_;
  bool works_ = false;
};

void BM_WakeRoundTrip(benchmark::State& state) {
  const bool by_message = state.range(0) != 0;
  Sleeper here(by_message);
  if (!here.works()) {
    state.SkipWithError("no ring");
    return;
  }
  std::atomic<Sleeper*> peer{nullptr};
  std::atomic<bool> stop{false};
  std::thread other([&] {
    Sleeper there(by_message);
    peer = &there;
    peer.notify_one();
    for (;;) {
      there.Sleep();
      if (stop.load()) break;
      there.Wake(here);
    }
    there.Wake(here);
    there.Flush();
  });
  peer.wait(nullptr);
  for (auto _ : state) {
    here.Wake(*peer.load());
    here.Sleep();
  }
  stop = true;
  here.Wake(*peer.load());
  here.Sleep();
  other.join();
}
BENCHMARK(BM_WakeRoundTrip)->ArgName("message")->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
