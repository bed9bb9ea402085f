// MemoryKernel: the simulated kernel of a MemoryNetwork. Private to io.
//
// It keeps what Linux keeps: the order of bytes of a connection and of the completions of one
// operation; a backlog that fills; windows that close; an error that is reported once, and EPIPE or
// end of stream after it; the number of a closed socket, which the next socket gets at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/memory_network.h"

namespace ktlsim::io {

// An operation as the kernel has it: from its submission until its final completion was posted.
struct MemoryRequest {
  MemoryRing* ring;
  Operation* operation;
  std::uint64_t number;  // never used twice
  SocketId socket;
  Address peer;                      // connect
  std::span<const std::byte> bytes;  // send: what is still to be sent
  std::size_t sent = 0;              // send: of `bytes`
  bool multishot = true;             // receive
};

enum class MemorySocketState : std::uint8_t {
  kUnconnected,
  kListening,
  kConnected,
  kReset,
  kClosed,  // by its program, or before any program accepted it
};

// What becomes of bytes that a connected socket sends.
enum class MemorySending : std::uint8_t {
  kOpen,
  kCut,  // they vanish
  kFinSent,
};

struct MemorySocket {
  SocketId id = kNoSocket;  // none: closed, or not yet accepted
  MemorySocketState state = MemorySocketState::kUnconnected;
  Address local;

  // Listening.
  bool shares_port = false;
  std::size_t backlog = 0;
  std::deque<std::shared_ptr<MemorySocket>> pending;
  std::deque<MemoryRequest*> accepts;

  // Connected, or about to be.
  std::weak_ptr<MemorySocket> peer;
  bool is_client = false;
  std::uint64_t connection = 0;
  MemoryRequest* connect = nullptr;
  MemoryRequest* receive = nullptr;
  MemoryRequest* send = nullptr;
  std::deque<std::byte> received;
  std::size_t outstanding = 0;        // sent by us, not yet read by the peer's program
  std::uint64_t sent_bytes = 0;       // ever
  std::uint64_t last_arrival_ns = 0;  // of what we sent: nothing overtakes
  int error = 0;                      // to be reported once
  MemorySending sending = MemorySending::kOpen;
  bool fin_received = false;
};

class MemoryKernel {
 public:
  using SocketRef = std::shared_ptr<MemorySocket>;

  explicit MemoryKernel(const MemoryNetworkOptions& options);

  // Rings. Add returns the ring's number.
  unsigned Add(MemoryRing& ring);
  void Remove(MemoryRing& ring) { std::erase(rings_, &ring); }
  const std::vector<MemoryRing*>& rings() const { return rings_; }
  // The one whose thread is running; null: none in particular. SetCurrent returns the last one.
  MemoryRing* current() const { return current_; }
  MemoryRing* SetCurrent(MemoryRing* ring) { return std::exchange(current_, ring); }

  // What goes wrong, and chance (memory_network.h).
  bool Happens(unsigned MemoryFaults::* fault) { return random_.Chance(faults_.*fault); }
  SeededRandom& random() { return random_; }
  const MemoryFaults& faults() const { return faults_; }
  void SetFaults(const MemoryFaults& faults) { faults_ = faults; }
  void SetFailure(const MemoryFailure& failure);
  std::uint64_t failed() const { return failed_; }
  void LoseCompletion(Operation::Kind kind, std::uint64_t skip);
  void SetSocketsMax(std::size_t sockets_max) { sockets_max_ = sockets_max; }

  // Time and trace.
  std::uint64_t now_ns() const { return now_ns_; }
  std::uint64_t NextEventNs();
  void AdvanceTo(std::uint64_t time_ns);
  bool AnyReady();
  void Note(const char* event, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0);
  // Lets time pass while no ring has anything to do, at most until `until_ns`.
  void WaitUntil(std::uint64_t until_ns);

  std::uint64_t TraceHash() const { return trace_hash_; }
  const std::string& TraceText() const { return trace_text_; }
  // What one end of a connection has sent. Empty unless kept.
  const std::vector<std::byte>& Wire(std::uint64_t connection, bool from_client) const;
  std::uint64_t connections_made() const { return connections_made_; }

  // System calls.
  Result<SocketId> Listen(const Address& address, const ListenOptions& options);
  Result<SocketId> OpenStream(int family);
  Result<Address> LocalAddress(SocketId socket) const;
  Result<Address> PeerAddress(SocketId socket) const;
  void ShutdownSend(SocketId socket);
  void Close(SocketId socket, bool reset);

  // Requests.
  void Issue(MemoryRequest& request);
  // The request leaves the kernel early, at once or up to delay_max_ns later.
  void CancelRequest(MemoryRequest& request);
  void CancelLater(const MemoryRequest& request);
  // True: the completion of a request of this kind is lost. Counts it.
  bool TakeLoss(Operation::Kind kind);
  // Never used twice.
  std::uint64_t NewRequestNumber() { return ++requests_made_; }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // due, order of scheduling

  SocketRef Find(SocketId socket) const;
  Result<SocketId> Register(SocketRef socket);
  std::uint64_t Latency() {
    return random_.Between(options_.latency_min_ns, options_.latency_max_ns);
  }
  void At(std::uint64_t due_ns, std::function<void()> action);
  void RunDueEvents();
  // Final: the request is gone afterwards.
  void Finish(MemoryRequest*& request, std::int32_t result);
  void Detach(MemoryRequest& request);
  // True: a request of this kind fails as `scripted_failure_` says. Counts it.
  bool TakeFailure(Operation::Kind kind);

  // Connecting (memory_connect.cc).
  void Connect(const SocketRef& socket, MemoryRequest& request);
  void EndConnectAt(std::uint64_t due_ns, const SocketRef& socket, std::int32_t result);
  void SynArrives(const SocketRef& client, std::uint64_t number, std::uint64_t give_up_ns);
  SocketRef FindListener(const Address& address);
  bool PortTaken(const Address& address, bool shares);
  void Accept(const SocketRef& listener);
  void Abandon(const SocketRef& accepted);

  // Bytes (memory_stream.cc).
  void Receive(const SocketRef& socket);
  bool ReceiveSome(const SocketRef& socket);
  void Send(const SocketRef& socket);
  void Transmit(const SocketRef& socket, std::span<const std::byte> bytes);
  void KeepWire(const MemorySocket& socket, std::span<const std::byte> bytes);
  void Cut(const SocketRef& socket, bool reset);
  const MemoryCut* CutFor(const MemorySocket& socket) const;
  std::uint64_t ArrivalOf(MemorySocket& sender);
  void BytesArrive(const SocketRef& receiver, const SocketRef& sender,
                   const std::vector<std::byte>& bytes);
  void FinArrives(const SocketRef& receiver);
  void SendFin(const SocketRef& socket);
  void ResetArrives(const SocketRef& socket);
  void ResetLater(const SocketRef& socket);

  const MemoryNetworkOptions options_;
  MemoryFaults faults_;
  MemoryFailure scripted_failure_{.times = 0};
  std::uint64_t failed_ = 0;
  MemoryFailure loss_{.times = 0};
  std::size_t sockets_max_;
  SeededRandom random_;
  std::vector<MemoryRing*> rings_;
  MemoryRing* current_ = nullptr;
  unsigned rings_made_ = 0;
  std::uint64_t requests_made_ = 0;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325u;
  std::string trace_text_;
  std::map<std::pair<std::uint64_t, bool>, std::vector<std::byte>> wire_;  // as kept
  std::uint64_t now_ns_;
  std::map<Key, std::function<void()>> events_;
  std::uint64_t events_made_ = 0;
  std::map<SocketId, SocketRef> sockets_;
  std::uint64_t connections_made_ = 0;
  std::uint16_t next_port_ = 20000;
};

}  // namespace ktlsim::io
