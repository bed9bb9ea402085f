// LoopBackend: what every ring has in common: the life of an operation from its start to its final
// handler, whatever kernel stands behind the ring. README.md tells the theory.
//
// A ring brings the kernel: it submits operations and cancellations, and hands each completion to
// Complete. So the seeded ring exercises the very code that runs on the real one.
//
// For implementors of Ring only. Everything on the ring's thread but Post and Statistics.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/operation_list.h"
#include "io/receive_buffers.h"
#include "io/ring.h"
#include "io/timer_wheel.h"

namespace ktlsim::io {

class LoopBackend : public Ring {
 public:
  RingStatistics Statistics() const override;
  void StartAccept(AcceptOperation& operation, SocketId listener) override;
  void StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) override;
  void StartReceive(ReceiveOperation& operation, SocketId socket) override;
  void StartSend(SendOperation& operation, SocketId socket,
                 std::span<const std::byte> bytes) override;
  void Cancel(Operation& operation) override;
  void StartTimer(Timer& timer, std::uint64_t deadline_ns) override;
  void StopTimer(Timer& timer) override;

 protected:
  // What the kernel tells of an operation.
  struct Outcome {
    static constexpr std::int32_t kNoBuffer = -1;
    std::int32_t result = 0;  // as a system call would answer; failure is a negative errno value
    bool more = false;        // not the last one of this submission
    std::int32_t buffer = kNoBuffer;
  };

  // What of an operation the kernel has.
  enum class Request : std::uint8_t {
    kOperation,
    kEndWatch,  // only in rings that arm end watches (end_watch.h)
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

  explicit LoopBackend(std::uint64_t now_ns) : timers_(now_ns) {}
  // Nothing may be in flight, open or posted.
  ~LoopBackend() override;

  // The kernel's side. False: no place in the submission queue; the operation is parked and tried
  // again in SubmitParked.
  virtual bool TrySubmit(Operation& operation) = 0;
  virtual bool TrySubmitCancel(Operation& operation, Request request) = 0;
  virtual ReceiveBuffers& buffers() = 0;
  // A connection was accepted. False: no memory for it, and the ring has closed it.
  virtual bool Adopt(SocketId socket) = 0;

  // In a turn.
  void FeedStarved();
  void SubmitParked();
  void Complete(Operation& operation, const Outcome& outcome);
  std::size_t RunEnding();
  // With the queue just submitted, before SubmitParked: cancels the watches of those that leave.
  void CancelWatches();
  // Behind the completions of a turn: the same, and the final calls of those whose watch is over.
  std::size_t RunLeaving();
  // The kernel is through with the watch of `operation`. Unless it was asked to be, the connection
  // has ended, and a receive that has not been told looks again.
  void CompleteWatch(ReceiveOperation& operation, std::int32_t result);
  // The kernel has lost a completion, and nobody knows whose. First SuspectAll; then the ring
  // cancels all that its kernel has and completes what that still tells of; last EndSuspects: what
  // was not told of by then never will be. Bytes may be missing from whatever was received since:
  // receives, sends and connects end with EIO, accepts go on.
  void SuspectAll();
  void EndSuspects();
  std::size_t RunTimers(std::uint64_t now_ns);
  std::size_t RunItems(WorkItem* first);
  // Is anything to be done that no kernel needs to tell of?
  bool HasOwnWork();

  // The books of open sockets. False: no memory to keep track of one more.
  bool MakeRoomFor(SocketId socket);
  bool NoteOpened(SocketId socket);
  void NoteClosed(SocketId socket);

  TimerWheel timers_;
  WorkQueue posted_;  // shared
  // Written by the ring's thread, read by any.
  struct {
    Figure turns, enters, submitted, completed, posted, submission_full, parked, buffers_exhausted,
        completion_overflow, completions_lost, buffers_lent, operations, sockets, timers;
  } figures_;

 private:
  static OperationList LoopBackend::* ListOf(OperationPlace place);
  OperationPlace Move(Operation& operation, OperationEvent event);
  void Begin(Operation& operation, SocketId socket);
  void Submit(Operation& operation);
  void SubmitCancel(Operation& operation);
  bool TrySubmitCancels(Operation& operation);
  bool TryCancelWatch(Operation& operation);
  void Park(Operation& operation);
  void Restart(Operation& operation);
  void EndLater(Operation& operation, int error_number);
  void End(Operation& operation, int error_number);
  void EndFromKernel(Operation& operation, std::int32_t result);
  void CompleteAccept(AcceptOperation& operation, const Outcome& outcome);
  void CompleteReceive(ReceiveOperation& operation, const Outcome& outcome, bool looked);
  void CompleteSend(SendOperation& operation, std::int32_t result);
  void CompleteSuspect(Operation& operation, const Outcome& outcome);
  void EndSuspect(Operation& operation);
  void ReturnBuffer(std::uint16_t id) override;
  std::uint8_t& InFlightOn(SocketId socket);

  // Each holds the operations in certain places (ListOf).
  OperationList in_kernel_;
  OperationList parked_;
  OperationList starved_;
  OperationList ending_;   // until the next turn
  OperationList leaving_;  // until their watch has ended or was cancelled
  // By socket: how many operations are in flight on it, to catch an early Close.
  std::vector<std::uint8_t> in_flight_on_;
};

}  // namespace ktlsim::io
