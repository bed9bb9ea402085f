// The simulated kernel's listeners, and connections until they carry bytes.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/memory_kernel.h"
#include "io/memory_ring.h"

namespace ktlsim::io {
namespace {

constexpr std::uint64_t kSynRetryNs = kNsPerSecond;

bool IsKnown(int family) { return family == AF_INET || family == AF_INET6; }

Address WithPort(const Address& address, std::uint16_t port) {
  sockaddr_storage storage{};
  std::memcpy(&storage, address.data(), address.size());
  if (address.family() == AF_INET) {
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  }
  return Address(reinterpret_cast<const sockaddr*>(&storage), address.size());
}

bool IsWildcard(const Address& address) {
  if (address.family() == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr == INADDR_ANY;
  }
  const auto& host = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
  return std::memcmp(&host, &in6addr_any, sizeof(host)) == 0;
}

// True: a listener at `local` receives connections to `address`, or keeps others from binding it.
bool Covers(const Address& local, const Address& address) {
  if (local.family() != address.family() || local.port() != address.port()) return false;
  return IsWildcard(local) || IsWildcard(address) || local.ToString() == address.ToString();
}

}  // namespace

bool MemoryKernel::PortTaken(const Address& address, bool shares) {
  return std::any_of(sockets_.begin(), sockets_.end(), [&](const auto& entry) {
    const MemorySocket& other = *entry.second;
    return other.state == MemorySocketState::kListening && Covers(other.local, address) &&
           !(shares && other.shares_port);
  });
}

Result<SocketId> MemoryKernel::Listen(const Address& address, const ListenOptions& listen_options) {
  if (!IsKnown(address.family())) return IoError(EAFNOSUPPORT, "open the listening socket");
  const Address local = address.port() != 0 ? address : WithPort(address, next_port_++);
  if (PortTaken(local, listen_options.share_port && !listen_options.first_of_port)) {
    return IoError(EADDRINUSE, "bind the listening socket");
  }
  auto socket = std::make_shared<MemorySocket>();
  socket->local = local;
  socket->state = MemorySocketState::kListening;
  socket->shares_port = listen_options.share_port;
  // As Linux counts: one more than the caller asked for.
  socket->backlog = static_cast<std::size_t>(std::max(listen_options.backlog, 0)) + 1;
  return Register(std::move(socket));
}

Result<SocketId> MemoryKernel::OpenStream(int family) {
  if (!IsKnown(family)) return IoError(EAFNOSUPPORT, "open a socket");
  auto socket = std::make_shared<MemorySocket>();
  socket->is_client = true;
  return Register(std::move(socket));
}

// If several share the port, the seed chooses one.
MemoryKernel::SocketRef MemoryKernel::FindListener(const Address& address) {
  std::vector<SocketRef> candidates;
  for (const auto& [id, socket] : sockets_) {
    const bool listens = socket->state == MemorySocketState::kListening;
    if (listens && Covers(socket->local, address)) candidates.push_back(socket);
  }
  return candidates.empty() ? nullptr : candidates[random_.Below(candidates.size())];
}

void MemoryKernel::Connect(const SocketRef& socket, MemoryRequest& request) {
  socket->connect = &request;
  socket->local = WithPort(request.peer, next_port_++);
  if (Happens(&MemoryFaults::connect_refused)) {
    EndConnectAt(now_ns_ + Latency(), socket, -ECONNREFUSED);
  } else if (Happens(&MemoryFaults::connect_timeout)) {
    EndConnectAt(now_ns_ + options_.connect_timeout_ns, socket, -ETIMEDOUT);
  } else {
    At(now_ns_ + Latency(), [this, socket, number = request.number] {
      SynArrives(socket, number, now_ns_ + options_.connect_timeout_ns);
    });
  }
}

void MemoryKernel::EndConnectAt(std::uint64_t due_ns, const SocketRef& socket,
                                std::int32_t result) {
  At(due_ns, [this, socket, number = socket->connect->number, result] {
    if (socket->connect == nullptr || socket->connect->number != number) return;
    // One that was reset stays so.
    if (result == 0 && socket->state == MemorySocketState::kUnconnected) {
      socket->state = MemorySocketState::kConnected;
    }
    Finish(socket->connect, result);
  });
}

void MemoryKernel::SynArrives(const SocketRef& client, std::uint64_t number,
                              std::uint64_t give_up_ns) {
  if (client->connect == nullptr || client->connect->number != number) return;
  const SocketRef listener = FindListener(client->connect->peer);
  if (listener == nullptr) return EndConnectAt(now_ns_ + Latency(), client, -ECONNREFUSED);
  if (listener->pending.size() >= listener->backlog) {
    // A full backlog drops it; the client tries again.
    if (now_ns_ >= give_up_ns) return EndConnectAt(now_ns_, client, -ETIMEDOUT);
    At(now_ns_ + kSynRetryNs,
       [this, client, number, give_up_ns] { SynArrives(client, number, give_up_ns); });
    return;
  }
  auto server = std::make_shared<MemorySocket>();
  server->local = listener->local;
  server->peer = client;
  server->state = MemorySocketState::kConnected;
  server->connection = client->connection = connections_made_++;
  client->peer = server;
  // What the server sends arrives after its SYN-ACK.
  server->last_arrival_ns = now_ns_ + Latency();
  EndConnectAt(server->last_arrival_ns, client, 0);
  listener->pending.push_back(std::move(server));
  Accept(listener);
}

void MemoryKernel::Accept(const SocketRef& listener) {
  static constexpr std::array kFailures = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR};
  while (!listener->accepts.empty() && !listener->pending.empty()) {
    MemoryRequest* request = listener->accepts.front();
    int failure = 0;
    if (Happens(&MemoryFaults::accept_failure)) {
      failure = kFailures[random_.Below(kFailures.size())];
    }
    if (failure == 0 && sockets_.size() >= sockets_max_) failure = EMFILE;
    if (failure != 0) {
      listener->accepts.pop_front();
      if (failure == ECONNABORTED) {
        Abandon(listener->pending.front());
        listener->pending.pop_front();
      }
      Finish(request, -failure);
      continue;
    }
    const SocketId id = Register(listener->pending.front()).value();
    listener->pending.pop_front();
    const bool more = !Happens(&MemoryFaults::spurious_end);
    if (!more) listener->accepts.pop_front();
    request->ring->PostCompletion(*request, {.result = id, .more = more});
  }
}

// A connection that no program will ever see.
void MemoryKernel::Abandon(const SocketRef& accepted) {
  accepted->state = MemorySocketState::kClosed;
  ResetLater(accepted->peer.lock());
}

}  // namespace ktlsim::io
