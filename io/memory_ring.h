// MemoryRing: the seeded in-memory ring: a Loop whose kernel is a MemoryNetwork.
//
// The same code runs operations on the real ring (loop_backend.h); only the kernel is another. The
// scheduler turns whichever ring is Ready, in an order of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "io/loop_backend.h"
#include "io/memory_network.h"

namespace ktlsim::io {

struct MemoryRequest;

struct MemoryRingOptions {
  std::size_t submission_entries = 1024;
  std::size_t completion_entries = 8192;  // for each turn; more is counted as overflow and waits
  unsigned receive_buffers = 256;         // at most 32768
  std::size_t receive_buffer_bytes = 32768;
};

class MemoryBuffers;

class MemoryRing final : public LoopBackend {
 public:
  // While one lives, this ring's thread is the one that runs: IsCurrentThread is true for this ring
  // only. Turn opens one by itself. Without any, IsCurrentThread is true for every ring.
  class Scope {
   public:
    explicit Scope(MemoryRing& ring);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    MemoryKernel& kernel_;
    MemoryRing* previous_;
  };

  ~MemoryRing() override;

  // True: a Turn has something to do now.
  bool Ready();
  // When a Turn has something to do: now if Ready, else at the earliest timer or late completion.
  // TimerWheel::kNever: there is neither.
  std::uint64_t NextEventNs();
  // In the order of creation on its network, from 0.
  unsigned number() const { return number_; }

  // Ring. With `wait_ns` not 0 and no ring of the network Ready, virtual time passes until one is,
  // at most `wait_ns`. Returns 0 at once for kWaitForever when nothing will ever happen.
  std::size_t Turn(std::uint64_t wait_ns) override;

  // Loop
  std::uint64_t NowNs() const override;
  bool IsCurrentThread() const override;
  void Post(WorkItem& item) override;
  Result<SocketId> Listen(const Address& address, const ListenOptions& options) override;
  Result<SocketId> OpenStream(int family) override;
  Result<Address> LocalAddress(SocketId socket) override;
  Result<Address> PeerAddress(SocketId socket) override;
  void ShutdownSend(SocketId socket) override;
  void Close(SocketId socket, bool reset = false) override;

 private:
  friend class MemoryKernel;
  friend Result<std::unique_ptr<MemoryRing>> CreateMemoryRing(MemoryNetwork& network,
                                                              const MemoryRingOptions& options);

  struct Submission {
    Operation* operation;  // of a cancellation: a key only, it may be gone
    bool cancels;
  };
  struct Completion {
    Operation* operation;
    std::uint64_t number;  // of the request
    Outcome outcome;
    std::uint64_t due_ns;
  };

  MemoryRing(MemoryKernel& kernel, const MemoryRingOptions& options);

  // LoopBackend
  bool TrySubmit(Operation& operation) override;
  bool TrySubmitCancel(Operation& operation, Request request) override;
  ReceiveBuffers& buffers() override;
  bool Adopt(SocketId socket) override;
  int TakePersonality(OpenOperation& operation, const UnixIdentity& as) override;
  void DropPersonality(OpenOperation& /*operation*/) override {}

  Result<SocketId> Opened(Result<SocketId> socket);
  bool TakePlace();
  void IssueSubmissions();
  void Issue(Operation& operation);
  void IssueCancel(Operation* operation);
  std::size_t RunCompletions();
  std::size_t Recover();
  std::vector<Completion> TakeDue();
  void Shuffle(std::vector<Completion>& completions);

  // The kernel's side.
  // Without `more` the request is gone afterwards.
  void PostCompletion(MemoryRequest& request, const Outcome& outcome);
  // How much the next receive buffer takes; 0 when the kernel has none.
  std::size_t BufferRoom() const;
  void PostReceived(MemoryRequest& request, std::span<const std::byte> bytes, bool more);
  MemoryRequest* FindRequest(const Operation* operation, std::uint64_t number);

  MemoryKernel& kernel_;
  const MemoryRingOptions options_;
  unsigned number_ = 0;
  std::unique_ptr<MemoryBuffers> buffers_;
  std::vector<Submission> submissions_;
  std::vector<Completion> completions_;  // in the order the kernel posted them
  // Looked up, never walked: addresses differ from run to run.
  std::unordered_map<const Operation*, std::unique_ptr<MemoryRequest>> in_kernel_;
  bool completion_lost_ = false;
  bool in_turn_ = false;
};

// kContract: bad options. kIo: no memory. `network` must outlive the ring.
Result<std::unique_ptr<MemoryRing>> CreateMemoryRing(MemoryNetwork& network,
                                                     const MemoryRingOptions& options);

}  // namespace ktlsim::io
