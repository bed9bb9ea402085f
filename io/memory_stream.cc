// The simulated kernel's connections: bytes, windows, FIN, RST.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/memory_kernel.h"
#include "io/memory_ring.h"
#include "io/poison.h"

namespace ktlsim::io {
namespace {

constexpr std::size_t kSegmentBytesMax = 65536;

}  // namespace

std::uint64_t MemoryKernel::ArrivalOf(MemorySocket& sender) {
  sender.last_arrival_ns = std::max(sender.last_arrival_ns, now_ns_ + Latency());
  return sender.last_arrival_ns;
}

void MemoryKernel::Receive(const SocketRef& socket) {
  while (socket->receive != nullptr && ReceiveSome(socket)) {
  }
}

// False: nothing to receive now.
bool MemoryKernel::ReceiveSome(const SocketRef& socket) {
  MemoryRequest* request = socket->receive;
  if (socket->received.empty()) {
    if (socket->error != 0) {
      Finish(socket->receive, -std::exchange(socket->error, 0));
    } else if (socket->fin_received || socket->state == MemorySocketState::kReset) {
      Finish(socket->receive, 0);
    } else if (socket->state != MemorySocketState::kConnected) {
      Finish(socket->receive, -ENOTCONN);
    } else {
      return false;
    }
    return true;
  }
  const std::size_t room = request->ring->BufferRoom();
  if (room == 0 || Happens(&MemoryFaults::no_buffers)) {
    Finish(socket->receive, -ENOBUFS);
    return true;
  }
  std::size_t length = std::min(socket->received.size(), room);
  if (faults_.one_byte_receives) length = 1;
  if (Happens(&MemoryFaults::short_receive)) length = random_.Between(1, length);
  const auto end = socket->received.begin() + static_cast<std::ptrdiff_t>(length);
  const std::vector<std::byte> bytes(socket->received.begin(), end);
  socket->received.erase(socket->received.begin(), end);
  const bool more = !Happens(&MemoryFaults::spurious_end) && request->multishot;
  if (!more) socket->receive = nullptr;
  request->ring->PostReceived(*request, bytes, more);
  At(now_ns_ + Latency(), [this, sender = socket->peer, length] {
    const SocketRef opened = sender.lock();
    if (opened == nullptr) return;
    opened->outstanding -= std::min(opened->outstanding, length);
    Send(opened);
  });
  return true;
}

void MemoryKernel::Send(const SocketRef& socket) {
  MemoryRequest* request = socket->send;
  if (request == nullptr) return;
  bool stop = false;
  while (!stop && request->sent < request->bytes.size() &&
         socket->state == MemorySocketState::kConnected &&
         socket->sending != MemorySending::kFinSent) {
    const std::size_t room =
        options_.socket_buffer_bytes - std::min(options_.socket_buffer_bytes, socket->outstanding);
    if (room == 0) return;
    std::size_t length = std::min({room, request->bytes.size() - request->sent, kSegmentBytesMax});
    if (Happens(&MemoryFaults::short_send)) {
      length = random_.Between(1, length);
      stop = true;
    }
    const auto bytes = request->bytes.subspan(request->sent, length);
    request->sent += length;
    Transmit(socket, bytes);
  }
  if (request->sent > 0) {
    Finish(socket->send, static_cast<std::int32_t>(request->sent));
  } else if (socket->error != 0) {
    Finish(socket->send, -std::exchange(socket->error, 0));
  } else {
    Finish(socket->send, -EPIPE);
  }
}

// The scripted cut of what this socket sends, or null.
const MemoryCut* MemoryKernel::CutFor(const MemorySocket& socket) const {
  for (const MemoryCut& cut : options_.cuts) {
    if (cut.connection == socket.connection && cut.from_client == socket.is_client) return &cut;
  }
  return nullptr;
}

void MemoryKernel::KeepWire(const MemorySocket& socket, std::span<const std::byte> bytes) {
  std::vector<std::byte>& kept = wire_[{socket.connection, socket.is_client}];
  const std::size_t before = kept.size();
  kept.resize(before + bytes.size());
  CopyPoisoned(kept.data() + before, bytes.data(), bytes.size());
}

void MemoryKernel::Transmit(const SocketRef& socket, std::span<const std::byte> bytes) {
  const MemoryCut* script = CutFor(*socket);
  const bool cuts = script != nullptr && socket->sent_bytes + bytes.size() >= script->offset;
  const auto fate = static_cast<unsigned>(random_.Below(1000));
  if (options_.keep_wire) KeepWire(*socket, bytes);
  // Bytes that vanish fill the window, too, since the peer will never read them.
  socket->outstanding += bytes.size();
  if (socket->sending != MemorySending::kCut) {
    std::size_t arrives = bytes.size();
    if (cuts) arrives = script->offset - std::min(script->offset, socket->sent_bytes);
    std::vector<std::byte> copy(arrives);
    CopyPoisoned(copy.data(), bytes.data(), arrives);
    At(ArrivalOf(*socket), [this, sender = socket, receiver = socket->peer.lock(),
                            copy = std::move(copy)] { BytesArrive(receiver, sender, copy); });
    if (cuts) {
      Cut(socket, script->reset);
    } else if (fate < faults_.reset) {
      Cut(socket, /*reset=*/true);
    } else if (fate < faults_.reset + faults_.truncate) {
      Cut(socket, /*reset=*/false);
    }
  }
  socket->sent_bytes += bytes.size();
}

void MemoryKernel::Cut(const SocketRef& socket, bool reset) {
  Note(reset ? "cut.reset" : "cut.truncate", socket->connection, socket->is_client ? 1 : 0);
  socket->sending = MemorySending::kCut;
  const SocketRef receiver = socket->peer.lock();
  if (receiver != nullptr) {
    At(ArrivalOf(*socket), [this, receiver, reset] {
      if (reset) {
        ResetArrives(receiver);
      } else {
        FinArrives(receiver);
      }
    });
  }
  ResetLater(socket);
}

void MemoryKernel::BytesArrive(const SocketRef& receiver, const SocketRef& sender,
                               const std::vector<std::byte>& bytes) {
  if (receiver == nullptr || receiver->state == MemorySocketState::kClosed) {
    return ResetLater(sender);
  }
  if (receiver->state == MemorySocketState::kReset) return;
  receiver->received.insert(receiver->received.end(), bytes.begin(), bytes.end());
  Receive(receiver);
}

void MemoryKernel::ShutdownSend(SocketId id) {
  const SocketRef socket = Find(id);
  if (socket->state != MemorySocketState::kReset) SendFin(socket);
}

void MemoryKernel::SendFin(const SocketRef& socket) {
  if (std::exchange(socket->sending, MemorySending::kFinSent) != MemorySending::kOpen) return;
  const SocketRef receiver = socket->peer.lock();
  if (receiver != nullptr) At(ArrivalOf(*socket), [this, receiver] { FinArrives(receiver); });
}

void MemoryKernel::FinArrives(const SocketRef& receiver) {
  receiver->fin_received = true;
  Receive(receiver);
}

void MemoryKernel::ResetLater(const SocketRef& socket) {
  if (socket != nullptr) At(now_ns_ + Latency(), [this, socket] { ResetArrives(socket); });
}

// What was received before can still be read; what is under way is lost.
void MemoryKernel::ResetArrives(const SocketRef& socket) {
  if (socket->state == MemorySocketState::kReset || socket->state == MemorySocketState::kClosed) {
    return;
  }
  socket->state = MemorySocketState::kReset;
  socket->error = ECONNRESET;
  if (socket->connect != nullptr) {
    socket->error = 0;
    Finish(socket->connect, -ECONNREFUSED);
  }
  Receive(socket);
  Send(socket);
}

}  // namespace ktlsim::io
