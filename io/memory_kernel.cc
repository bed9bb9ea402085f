// Time, trace, the table of sockets, and the way of a request into and out of the kernel.
#include "io/memory_kernel.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "io/memory_ring.h"

namespace ktlsim::io {
namespace {

constexpr SocketId kFirstSocket = 3;

}  // namespace

MemoryKernel::MemoryKernel(const MemoryNetworkOptions& network_options)
    : options(network_options),
      faults(network_options.faults),
      sockets_max(network_options.sockets_max),
      random(network_options.seed),
      now_ns_(network_options.start_ns) {}

void MemoryKernel::Note(const char* event, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  char line[160];
  const int length = std::snprintf(
      line, sizeof(line), "%llu %s %llu %llu %llu\n", static_cast<unsigned long long>(now_ns_),
      event, static_cast<unsigned long long>(a), static_cast<unsigned long long>(b),
      static_cast<unsigned long long>(c));
  const std::string_view text(line, std::min(static_cast<std::size_t>(length), sizeof(line) - 1));
  for (const char byte : text) {
    trace_hash = (trace_hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
  if (options.keep_trace) trace_text += text;
}

void MemoryKernel::At(std::uint64_t due_ns, std::function<void()> action) {
  events_.emplace(Key(std::max(due_ns, now_ns_), events_made_++), std::move(action));
}

void MemoryKernel::RunDueEvents() {
  while (!events_.empty() && events_.begin()->first.first <= now_ns_) {
    const std::function<void()> action = std::move(events_.extract(events_.begin()).mapped());
    action();
  }
}

void MemoryKernel::AdvanceTo(std::uint64_t time_ns) {
  while (!events_.empty() && events_.begin()->first.first <= time_ns) {
    now_ns_ = std::max(now_ns_, events_.begin()->first.first);
    RunDueEvents();
  }
  now_ns_ = std::max(now_ns_, time_ns);
}

std::uint64_t MemoryKernel::NextEventNs() {
  std::uint64_t next = events_.empty() ? TimerWheel::kNever : events_.begin()->first.first;
  for (MemoryRing* ring : rings) next = std::min(next, ring->NextEventNs());
  return next;
}

bool MemoryKernel::AnyReady() {
  return std::any_of(rings.begin(), rings.end(), [](MemoryRing* ring) { return ring->Ready(); });
}

void MemoryKernel::WaitUntil(std::uint64_t until_ns) {
  while (!AnyReady() && now_ns_ < until_ns) {
    const std::uint64_t next = NextEventNs();
    if (next == TimerWheel::kNever && until_ns == kWaitForever) return;
    AdvanceTo(std::min(next, until_ns));
  }
}

MemoryKernel::SocketRef MemoryKernel::Find(SocketId socket) const {
  const auto found = sockets_.find(socket);
  KTLSIM_CHECK(found != sockets_.end());
  return found->second;
}

// The lowest free number, as a kernel does: numbers of closed sockets come back at once.
Result<SocketId> MemoryKernel::Register(SocketRef socket) {
  if (sockets_.size() >= sockets_max) return IoError(EMFILE, "open a socket");
  SocketId id = kFirstSocket;
  for (const auto& entry : sockets_) {
    if (entry.first != id) break;
    ++id;
  }
  socket->id = id;
  sockets_.emplace(id, std::move(socket));
  return id;
}

Result<Address> MemoryKernel::LocalAddress(SocketId socket) const { return Find(socket)->local; }

Result<Address> MemoryKernel::PeerAddress(SocketId socket) const {
  const SocketRef peer = Find(socket)->peer.lock();
  if (peer == nullptr) return IoError(ENOTCONN, "ask for the peer's address");
  return peer->local;
}

void MemoryKernel::Close(SocketId id, bool reset) {
  const SocketRef socket = Find(id);
  KTLSIM_ASSERT(socket->receive == nullptr && socket->send == nullptr);
  KTLSIM_ASSERT(socket->connect == nullptr && socket->accepts.empty());
  sockets_.erase(id);
  socket->id = kNoSocket;
  socket->closed = true;
  Note("close", static_cast<std::uint64_t>(id), reset ? 1 : 0);
  for (const SocketRef& waiting : std::exchange(socket->pending, {})) Abandon(waiting);
  if (socket->dead) return;
  if (reset || !socket->received.empty()) {
    socket->dead = true;
    ResetLater(socket->peer.lock());
  } else {
    SendFin(socket);
  }
}

void MemoryKernel::Issue(MemoryRequest& request) {
  const SocketRef socket = Find(request.socket);
  const bool interrupted = random.Chance(faults.interrupted);
  const std::int32_t interruption = interrupted && random.Chance(500) ? -EINTR : -EAGAIN;
  MemoryRequest* given_up = &request;
  if (TakeFailure(request.operation->kind())) return Finish(given_up, scripted_failure.result);
  switch (request.operation->kind()) {
    case Operation::Kind::kAccept:
      KTLSIM_CHECK(socket->listening);
      if (interrupted) return Finish(given_up, interruption);
      socket->accepts.push_back(&request);
      Accept(socket);
      return;
    case Operation::Kind::kConnect:
      KTLSIM_CHECK(socket->connect == nullptr && !socket->connected);
      Connect(socket, request);
      return;
    case Operation::Kind::kReceive:
      KTLSIM_CHECK(socket->receive == nullptr);
      if (interrupted) return Finish(given_up, interruption);
      if (random.Chance(faults.no_buffers)) return Finish(given_up, -ENOBUFS);
      socket->receive = &request;
      Receive(socket);
      return;
    case Operation::Kind::kSend:
      KTLSIM_CHECK(socket->send == nullptr);
      if (interrupted) return Finish(given_up, interruption);
      socket->send = &request;
      Send(socket);
      return;
  }
}

bool MemoryKernel::TakeFailure(Operation::Kind kind) {
  if (kind != scripted_failure.kind || failed == scripted_failure.times) return false;
  if (scripted_failure.skip != 0) {
    --scripted_failure.skip;
    return false;
  }
  ++failed;
  Note("fail", static_cast<std::uint64_t>(kind), failed);
  return true;
}

bool MemoryKernel::TakeLoss(Operation::Kind kind) {
  if (kind != loss.kind || loss.times == 0) return false;
  if (loss.skip != 0) {
    --loss.skip;
    return false;
  }
  loss.times = 0;
  Note("lose", static_cast<std::uint64_t>(kind));
  return true;
}

void MemoryKernel::Finish(MemoryRequest*& request, std::int32_t result) {
  MemoryRequest& finished = *std::exchange(request, nullptr);
  finished.ring->PostCompletion(finished, {.result = result, .more = false});
}

void MemoryKernel::Detach(MemoryRequest& request) {
  MemorySocket& socket = *Find(request.socket);
  std::erase(socket.accepts, &request);
  for (MemoryRequest** slot : {&socket.connect, &socket.receive, &socket.send}) {
    if (*slot == &request) *slot = nullptr;
  }
}

void MemoryKernel::CancelRequest(MemoryRequest& request) {
  Detach(request);
  MemoryRequest* cancelled = &request;
  // A send that has made progress tells how much.
  Finish(cancelled, request.sent > 0 ? static_cast<std::int32_t>(request.sent) : -ECANCELED);
}

// Until then the request goes on, and may end by itself.
void MemoryKernel::CancelLater(const MemoryRequest& request) {
  const std::uint64_t due = now_ns_ + random.Between(0, faults.delay_max_ns);
  At(due, [this, ring = request.ring, operation = request.operation, number = request.number] {
    // The ring may be gone too; another at its address has no request of this number.
    if (std::find(rings.begin(), rings.end(), ring) == rings.end()) return;
    if (MemoryRequest* late = ring->FindRequest(operation, number)) CancelRequest(*late);
  });
}

}  // namespace ktlsim::io
