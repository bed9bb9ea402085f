// UringRing: what CreateUring creates. README.md explains the theory; private to io.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <liburing.h>

#include "io/buffer_ring.h"
#include "io/loop_backend.h"
#include "io/personalities.h"
#include "io/uring.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::io {

class UringPersonalityCalls final : public PersonalityCalls {
 public:
  explicit UringPersonalityCalls(io_uring& ring) : ring_(ring) {}
  int Register() noexcept override { return io_uring_register_personality(&ring_); }
  void Unregister(int number) noexcept override {
    // Fails only for a number that is not registered.
    static_cast<void>(io_uring_unregister_personality(&ring_, number));
  }

 private:
  io_uring& ring_;
};

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
  std::uint64_t ReadNowNs() const override { return MonotonicClock::Now(); }
  bool IsCurrentThread() const override { return std::this_thread::get_id() == owner_; }
  void Post(WorkItem& item) override;
  Result<SocketId> Listen(const Address& address, const ListenOptions& options) override;
  Result<SocketId> OpenStream(int family) override;
  Result<Address> LocalAddress(SocketId socket) override;
  Result<Address> PeerAddress(SocketId socket) override;
  void ShutdownSend(SocketId socket) override;
  void Close(SocketId socket, bool reset) override;

 private:
  // What a user_data value points to, in its low bits.
  enum Tag : std::uint64_t {
    kOperationTag = 0,
    kWakeTag = 1,
    kCancelTag = 2,
    kWatchTag = 3,
    kTagMask = 7
  };

  struct Completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };

  // The turn (uring_ring.cc).
  bool HasWork();
  bool Enter(std::uint64_t wait_ns);
  void EnterWithoutWaiting();
  void EnterAndWait(std::uint64_t wait_ns);
  void NoteEnter(int result);
  void NoteRefusal(int error_number);
  unsigned KernelFlags() const;
  void Collect();
  std::size_t RunCompletions();
  bool HasLostCompletion();
  std::size_t Recover();
  void CancelEverything();
  void ArmWake();
  void Wake();
  Result<SocketId> Opened(SocketId socket);
  Result<SocketId> ListenAlso(SocketId socket);

  // Operations (uring_operations.cc).
  bool TrySubmit(Operation& operation) override;
  bool TrySubmitCancel(Operation& operation, Request request) override;
  ReceiveBuffers& buffers() override { return *buffers_; }
  bool Adopt(SocketId socket) override { return Opened(socket).ok(); }
  int TakePersonality(OpenOperation& operation, const UnixIdentity& as) override;
  void DropPersonality(OpenOperation& operation) override;
  void PrepareOpen(io_uring_sqe& sqe, OpenOperation& operation);
  bool TryWatch(ReceiveOperation& operation);
  void PrepareReceive(io_uring_sqe& sqe, const ReceiveOperation& operation) const;
  io_uring_sqe* NextSqe();
  void Dispatch(const Completion& completion);

  // Fixed after Open.
  const UringOptions options_;
  const std::thread::id owner_ = std::this_thread::get_id();
  int wake_fd_ = -1;

  // Owned by the ring's thread.
  io_uring ring_{};
  bool ring_open_ = false;
  bool in_turn_ = false;
  std::unique_ptr<BufferRing> buffers_;
  UringPersonalityCalls personality_calls_{ring_};
  Personalities personalities_{personality_calls_};
  std::uint64_t now_ns_ = MonotonicClock::Now();
  std::vector<Completion> batch_;
  std::size_t batch_size_ = 0;
  bool wake_parked_ = false;
  bool wake_armed_ = false;
  bool completion_lost_ = false;
  unsigned completions_lost_seen_ = 0;
  unsigned refusals_ = 0;  // consecutive enters that failed
  // Sleeps that a poster ended: each of them writes wake_fd_ once, perhaps later.
  std::uint64_t wakes_owed_ = 0;

  // Shared.
  std::atomic<std::uint64_t> wakes_sent_{0};
};

}  // namespace ktlsim::io
