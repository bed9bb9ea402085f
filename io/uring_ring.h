// UringRing: the implementation behind CreateUring. README.md tells the theory; private to io.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <liburing.h>

#include "io/buffer_ring.h"
#include "io/loop_backend.h"
#include "io/timer_wheel.h"
#include "io/uring.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::io {

class UringRing final : public LoopBackend {
 public:
  explicit UringRing(const UringOptions& options);
  // Sets up everything. After a failure only the destructor may be called.
  Status Open();
  ~UringRing() override;

  // Ring
  std::size_t Turn(std::uint64_t wait_ns) override;
  RingStatistics Statistics() const override;

  // Loop
  std::uint64_t NowNs() const override { return now_ns_; }
  bool IsCurrentThread() const override { return std::this_thread::get_id() == owner_; }
  void Post(WorkItem& item) override;
  Result<SocketId> Listen(const Address& address, const ListenOptions& options) override;
  Result<SocketId> OpenStream(int family) override;
  Result<Address> LocalAddress(SocketId socket) override;
  void ShutdownSend(SocketId socket) override;
  void Close(SocketId socket, bool reset) override;
  void StartAccept(AcceptOperation& operation, SocketId listener) override;
  void StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) override;
  void StartReceive(ReceiveOperation& operation, SocketId socket) override;
  void StartSend(SendOperation& operation, SocketId socket,
                 std::span<const std::byte> bytes) override;
  void Cancel(Operation& operation) override;
  void StartTimer(Timer& timer, std::uint64_t deadline_ns) override;
  void StopTimer(Timer& timer) override;

 private:
  // Where an operation in flight is; kept in Operation::state_.
  enum Place : std::uint32_t {
    kInKernel,      // its SQE was written; the final CQE is outstanding
    kParked,        // waits in parked_ for an SQE
    kParkedCancel,  // like kInKernel; waits in parked_ for the SQE that cancels it
    kStarved,       // waits in starved_ for a receive buffer
    kEnding,        // waits in ending_ for its final call; result_ is the errno value
  };

  // What a user_data value points to, in its low bits.
  enum Tag : std::uint64_t { kOperationTag = 0, kWakeTag = 1, kCancelTag = 2, kTagMask = 7 };

  struct Completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };

  // A figure with one writer, readable from any thread.
  class Figure {
   public:
    void Add(std::uint64_t n) { Set(value_.load(std::memory_order_relaxed) + n); }
    void Subtract(std::uint64_t n) { Set(value_.load(std::memory_order_relaxed) - n); }
    void Set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{0};
  };

  // The turn (uring_ring.cc).
  bool HasWork() const;
  bool Enter(std::uint64_t wait_ns);
  void EnterWithoutWaiting();
  void EnterAndWait(std::uint64_t wait_ns);
  void NoteEnter(int result);
  unsigned KernelFlags() const;
  void Collect();
  std::size_t RunEnding();
  std::size_t RunCompletions();
  std::size_t RunItems(WorkItem* first);
  void ArmWake();
  void Wake();
  // False: no memory to keep track of one more descriptor.
  bool MakeRoomFor(SocketId socket);
  Result<SocketId> Opened(SocketId socket);
  std::uint8_t& InFlightOn(SocketId socket);

  // Operations (uring_operations.cc).
  io_uring_sqe* NextSqe();
  void Begin(Operation& operation, SocketId socket);
  void Submit(Operation& operation);
  void Prepare(Operation& operation, io_uring_sqe& sqe);
  void PrepareCancel(Operation& operation, io_uring_sqe& sqe);
  void Park(Operation& operation, Place place);
  void SubmitParked();
  void FeedStarved();
  void Restart(Operation& operation);
  void EndLater(Operation& operation, int error_number);
  void End(Operation& operation, int error_number);
  void EndFromKernel(Operation& operation, std::int32_t result);
  void Complete(const Completion& completion);
  void CompleteOperation(Operation& operation, const Completion& completion);
  void CompleteAccept(AcceptOperation& operation, std::int32_t result, bool more);
  void CompleteReceive(ReceiveOperation& operation, const Completion& completion, bool more);
  void CompleteSend(SendOperation& operation, std::int32_t result);
  void ReturnBuffer(std::uint16_t id) override;

  // Fixed after Open.
  const UringOptions options_;
  const std::thread::id owner_ = std::this_thread::get_id();
  int wake_fd_ = -1;

  // Owned by the ring's thread.
  io_uring ring_{};
  bool ring_open_ = false;
  bool in_turn_ = false;
  std::unique_ptr<BufferRing> buffers_;
  TimerWheel timers_{MonotonicClock::Now()};
  std::uint64_t now_ns_ = MonotonicClock::Now();
  std::vector<Completion> batch_;
  std::size_t batch_size_ = 0;
  OperationList parked_;
  OperationList starved_;
  OperationList ending_;
  bool wake_parked_ = false;
  // Sleeps that a poster ended: each of them writes wake_fd_ once, perhaps later.
  std::uint64_t wakes_owed_ = 0;
  // By descriptor number: how many operations are in flight on it, to catch an early Close.
  std::vector<std::uint8_t> in_flight_on_;

  // Shared.
  WorkQueue posted_;
  std::atomic<std::uint64_t> wakes_sent_{0};

  // Written by the ring's thread, read by any.
  struct {
    Figure turns, enters, submitted, completed, posted, submission_full, parked, buffers_exhausted,
        completion_overflow, buffers_lent, operations, sockets, timers;
  } figures_;
};

}  // namespace ktlsim::io
