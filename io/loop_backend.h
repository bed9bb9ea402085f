// LoopBackend: what every ring has in common: the life of an operation from its start to its final
// handler, whatever the ring's kernel is. README.md explains the theory.
//
// A ring brings the kernel: it submits operations and cancellations, and hands each completion to
// Complete. So the seeded ring exercises the very code that runs on the real one.
//
// For implementors of Ring only. Everything but Post and Statistics is called on the ring's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "io/operation_list.h"
#include "io/receive_buffers.h"
#include "io/ring.h"
#include "io/ring_figures.h"
#include "io/timer_wheel.h"

namespace ktlsim::io {

class LoopBackend : public Ring {
 public:
  RingStatistics Statistics() const override { return figures_.Read(); }
  void StartAccept(AcceptOperation& operation, SocketId listener) override;
  void StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) override;
  void StartReceive(ReceiveOperation& operation, SocketId socket) override;
  void StartSend(SendOperation& operation, SocketId socket,
                 std::span<const std::byte> bytes) override;
  void StartOpen(OpenOperation& operation, const OpenRequest& request,
                 const UnixIdentity& as) override;
  void Cancel(Operation& operation) override;
  void StartTimer(Timer& timer, std::uint64_t deadline_ns) override;
  void StopTimer(Timer& timer) override;

 protected:
  // What a completion says.
  struct Outcome {
    static constexpr std::int32_t kNoBuffer = -1;
    std::int32_t result = 0;  // as a system call returns it; failure is a negative errno value
    bool more = false;        // not the last one of this submission
    std::int32_t buffer = kNoBuffer;
  };

  // The kernel may have two requests for one operation.
  enum class Request : std::uint8_t {
    kOperation,
    kEndWatch,  // only in rings that arm end watches (end_watch.h)
  };

  explicit LoopBackend(std::uint64_t now_ns) : timers_(now_ns) {}
  // Nothing may be in flight, open or posted.
  ~LoopBackend() override;

  // The kernel's side. False: the submission queue has no room; the operation is parked, and
  // SubmitParked tries again.
  virtual bool TrySubmit(Operation& operation) = 0;
  virtual bool TrySubmitCancel(Operation& operation, Request request) = 0;
  virtual ReceiveBuffers& buffers() = 0;
  // A connection was accepted. False: no memory for it, and the ring has closed it.
  virtual bool Adopt(SocketId socket) = 0;
  // Makes `operation` run with the rights of `as`, until DropPersonality. An errno value: it
  // cannot, and the operation ends with it.
  virtual int TakePersonality(OpenOperation& operation, const UnixIdentity& as) = 0;
  virtual void DropPersonality(OpenOperation& operation) = 0;

  // In a turn.
  void FeedStarved();
  void SubmitParked();
  void Complete(Operation& operation, const Outcome& outcome);
  std::size_t RunEnding();
  // With the queue just submitted, before SubmitParked: cancels the watches of leaving operations.
  void CancelWatches();
  // After the completions of a turn: the same, and the final calls of those whose watch has ended.
  std::size_t RunLeaving();
  // The kernel no longer has the watch of `operation`. Unless it was cancelled, the connection has
  // ended, and a receive that has not noticed looks again.
  void CompleteWatch(ReceiveOperation& operation, std::int32_t result);
  // The kernel has lost a completion, which may belong to any operation. The ring calls SuspectAll,
  // cancels all that its kernel has, handles the completions that still come, and calls EndSuspects
  // for the operations that got none. Bytes may be missing from whatever was received since, so
  // receives, sends and connects end with EIO; accepts go on.
  void SuspectAll();
  void EndSuspects();
  std::size_t RunTimers(std::uint64_t now_ns);
  std::size_t RunItems(WorkItem* first);
  // True: there is work that no completion will announce.
  bool HasOwnWork();

  // Keep track of open sockets. False: no memory for one more.
  bool MakeRoomFor(SocketId socket);
  bool NoteOpened(SocketId socket);
  void NoteClosed(SocketId socket);

  TimerWheel timers_;
  WorkQueue posted_;     // shared
  RingFigures figures_;  // written by the ring's thread, read by any

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
  void CompleteOpen(OpenOperation& operation, std::int32_t result);
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
