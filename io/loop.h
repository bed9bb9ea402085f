// Loop: what a program that lives on one thread's ring may ask of it: sockets, timers, posted work.
//
// The ring is either a real io_uring (uring.h) or, for seeded schedules, an in-memory ring with
// virtual time; code above cannot tell which. Everything here belongs to the loop's thread, except
// Post, which any thread may call.
//
// The one thing a newcomer gets wrong: an operation owns what the kernel may still write to until
// its last completion arrives. Cancel only asks; the object and its buffers stay untouched until
// OnSent / OnConnected / OnReceiveEnded / OnAcceptEnded / OnOpened has been called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "io/address.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/base/status.h"
#include "kernel_sim/base/unix_identity.h"
#include "kernel_sim/base/work_item.h"

namespace ktlsim::io {

class Loop;
// What a ring keeps of an operation in flight. Only the rings know this type.
struct OperationState;

// A descriptor number on the real ring, a made-up one on the in-memory ring.
using SocketId = int;
inline constexpr SocketId kNoSocket = -1;

// Something in flight on a ring. Neither copied nor moved: the ring knows its address.
class Operation {
 public:
  enum class Kind : std::uint8_t { kAccept, kConnect, kReceive, kSend, kOpen };

  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // True from Start... until just before the final handler call, in which it may be started again.
  bool in_flight() const { return in_flight_; }
  Kind kind() const { return kind_; }

 protected:
  explicit Operation(Kind kind) : kind_(kind) {}
  ~Operation() { KTLSIM_ASSERT(!in_flight_); }

 private:
  friend struct OperationState;
  alignas(void*) std::byte state_[24]{};  // an OperationState while in flight
  Kind kind_;
  bool in_flight_ = false;
};

// Multishot: one start, many connections.
class AcceptOperation : public Operation {
 public:
  AcceptOperation() : Operation(Kind::kAccept) {}
  virtual ~AcceptOperation() = default;
  // The receiver owns `socket` and closes it.
  virtual void OnAccepted(SocketId socket) = 0;
  // Final. ECANCELED after Cancel; EMFILE, ENFILE, ENOBUFS, ENOMEM: start again later.
  virtual void OnAcceptEnded(Status reason) = 0;
};

class ConnectOperation : public Operation {
 public:
  ConnectOperation() : Operation(Kind::kConnect) {}
  virtual ~ConnectOperation() = default;
  // Final.
  virtual void OnConnected(Status outcome) = 0;

 private:
  friend struct OperationState;
  Address peer_;
};

// One of the loop's receive buffers, lent to the holder of the lease. Move only. Its destruction
// gives the buffer back to the pool, and must happen on the loop's thread and soon: every other
// connection of the loop has one buffer less until then.
class BufferLease {
 public:
  BufferLease() = default;
  BufferLease(Loop* loop, std::uint16_t id, std::span<std::byte> bytes)
      : bytes_(bytes), loop_(loop), id_(id) {}
  BufferLease(BufferLease&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})),
        loop_(std::exchange(other.loop_, nullptr)),
        id_(other.id_) {}
  BufferLease& operator=(BufferLease&& other) noexcept {
    if (this != &other) {
      Reset();
      bytes_ = std::exchange(other.bytes_, {});
      loop_ = std::exchange(other.loop_, nullptr);
      id_ = other.id_;
    }
    return *this;
  }
  ~BufferLease() { Reset(); }

  std::span<std::byte> bytes() const { return bytes_; }
  explicit operator bool() const { return loop_ != nullptr; }
  inline void Reset();

 private:
  std::span<std::byte> bytes_;
  Loop* loop_ = nullptr;
  std::uint16_t id_ = 0;
};

// Receives into the loop's provided buffers. With `multishot` the kernel may fill several buffers
// before the owner sees the first one. Without, it fills one at a time, so that a pause takes
// effect with the next buffer at the latest: for owners that pass the bytes on to a slower peer.
// Either way the loop starts the kernel's request again by itself. When the buffers run dry it does
// so as soon as some come back (counted, RingStatistics); the owner notices nothing.
class ReceiveOperation : public Operation {
 public:
  explicit ReceiveOperation(bool multishot = true)
      : Operation(Kind::kReceive), multishot_(multishot) {}
  virtual ~ReceiveOperation() = default;
  bool multishot() const { return multishot_; }
  // At least one byte, in the order received. May arrive after Cancel, until OnReceiveEnded.
  virtual void OnReceived(BufferLease bytes) = 0;
  // Final. ok: the peer sent FIN. ECANCELED after Cancel; ECONNRESET and other errno otherwise.
  virtual void OnReceiveEnded(Status reason) = 0;

 private:
  const bool multishot_;
};

// Sends all of `bytes`: short sends are continued by the loop.
class SendOperation : public Operation {
 public:
  SendOperation() : Operation(Kind::kSend) {}
  virtual ~SendOperation() = default;
  // Final. The bytes are the owner's again. Not ok: nothing more can be sent on the connection.
  virtual void OnSent(Status outcome) = 0;

 private:
  friend struct OperationState;
  std::span<const std::byte> bytes_;
  std::size_t sent_bytes_ = 0;
};

// What to open: as openat2 takes it.
struct OpenRequest {
  int folder = -1;
  const char* path = nullptr;  // relative to the folder; stays alive and unchanged until OnOpened
  std::uint64_t flags = 0;     // this and the next two: struct open_how
  std::uint64_t mode = 0;
  std::uint64_t resolve = 0;
};

// Opens a file with the rights of a Unix user. It waits for the disk in the kernel, if need be.
class OpenOperation : public Operation {
 public:
  OpenOperation() : Operation(Kind::kOpen) {}
  virtual ~OpenOperation() = default;
  // Final. The receiver owns the descriptor and closes it. kResource: the Unix user cannot be taken
  // on now, and nothing was tried; kIo: otherwise, ECANCELED after Cancel.
  virtual void OnOpened(Result<int> descriptor) = 0;

 private:
  friend struct OperationState;
  OpenRequest request_;
  void* personality_ = nullptr;  // the ring's
  int descriptor_ = -1;
};

// One wait for a deadline. May be destroyed only when stopped or fired.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { KTLSIM_ASSERT(!armed()); }
  // Called on the loop's thread at dispatch level, not before the deadline. The timer may be
  // started again from here.
  virtual void OnTimer() = 0;
  bool armed() const { return armed_; }

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  std::uint64_t deadline_ns_ = 0;
  std::uint32_t slot_ = 0;
  bool armed_ = false;
};

struct ListenOptions {
  int backlog = 4096;
  bool share_port = true;  // SO_REUSEPORT: several loops listen on one port
  // With share_port: fails if any socket listens there already, even one that shares its port.
  // Later ones may join. For the first of several, so that two programs do not share by accident.
  bool first_of_port = false;
  // A Unix-domain address has no ports to share. Instead the second loop and later ones name the
  // listening socket of the first one here, while that is open: they accept from the same backlog.
  SocketId same_as = kNoSocket;
};

class Loop {
 public:
  virtual ~Loop() = default;

  // Monotonic; cached once per turn of the loop on the real ring, virtual on the in-memory one.
  virtual std::uint64_t NowNs() const = 0;
  // The same time, read now. For measuring what takes less than a turn.
  virtual std::uint64_t ReadNowNs() const { return NowNs(); }
  virtual bool IsCurrentThread() const = 0;
  // Any thread, any level. `item` runs once on the loop's thread at dispatch level.
  virtual void Post(WorkItem& item) = 0;

  // Sockets. All failures are kIo with the errno value. Nonblocking, close-on-exec, TCP_NODELAY.
  // A socket belongs to the loop that opened or accepted it. The IPv6 wildcard address accepts IPv4
  // clients, too. Unix-domain addresses: unix_socket.h.
  virtual Result<SocketId> Listen(const Address& address, const ListenOptions& options) = 0;
  virtual Result<SocketId> OpenStream(int family) = 0;
  virtual Result<Address> LocalAddress(SocketId socket) = 0;
  // The socket must be connected; ENOTCONN once the connection is gone.
  virtual Result<Address> PeerAddress(SocketId socket) = 0;
  // Sends FIN after the bytes sent so far. Pending receives end when the peer sends its own.
  virtual void ShutdownSend(SocketId socket) = 0;
  // The socket must have nothing in flight: cancel, wait for the final calls, then close.
  // `reset` sends RST instead of FIN (SO_LINGER 0); a Unix-domain socket ends in the same way with
  // and without it.
  virtual void Close(SocketId socket, bool reset = false) = 0;

  // Operations. Start... never fails: a failure to start is reported by the final handler, which is
  // called in a later turn and never from inside Start....
  virtual void StartAccept(AcceptOperation& operation, SocketId listener) = 0;
  virtual void StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) = 0;
  virtual void StartReceive(ReceiveOperation& operation, SocketId socket) = 0;
  // At most one send in flight per socket. `bytes` must stay alive and unchanged until OnSent.
  virtual void StartSend(SendOperation& operation, SocketId socket,
                         std::span<const std::byte> bytes) = 0;
  // `as` is not kept. The descriptor of the folder stays open until OnOpened. On the in-memory
  // ring, which has no files, it ends with EOPNOTSUPP.
  virtual void StartOpen(OpenOperation& operation, const OpenRequest& request,
                         const UnixIdentity& as) = 0;
  // Asks for an early end; the final handler is called in any case. No-op when not in flight.
  virtual void Cancel(Operation& operation) = 0;

  // Timers. Starting an armed timer moves its deadline. After StopTimer OnTimer is not called.
  virtual void StartTimer(Timer& timer, std::uint64_t deadline_ns) = 0;
  virtual void StopTimer(Timer& timer) = 0;

 private:
  friend class BufferLease;
  virtual void ReturnBuffer(std::uint16_t id) = 0;
};

inline void BufferLease::Reset() {
  if (loop_ != nullptr) std::exchange(loop_, nullptr)->ReturnBuffer(id_);
  bytes_ = {};
}

}  // namespace ktlsim::io
