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

MemoryKernel::MemoryKernel(const MemoryNetworkOptions& options)
    : options_(options),
      faults_(options.faults),
      sockets_max_(options.sockets_max),
      random_(options.seed),
      now_ns_(options.start_ns) {}

unsigned MemoryKernel::Add(MemoryRing& ring) {
  rings_.push_back(&ring);
  return rings_made_++;
}

void MemoryKernel::SetFailure(const MemoryFailure& failure) {
  scripted_failure_ = failure;
  failed_ = 0;
}

void MemoryKernel::LoseCompletion(Operation::Kind kind, std::uint64_t skip) {
  loss_ = {.kind = kind, .skip = skip};
}

const std::vector<std::byte>& MemoryKernel::Wire(std::uint64_t connection, bool from_client) const {
  static const std::vector<std::byte> kNothing;
  const auto found = wire_.find({connection, from_client});
  return found != wire_.end() ? found->second : kNothing;
}

void MemoryKernel::Note(const char* event, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  char line[160];
  const int length = std::snprintf(
      line, sizeof(line), "%llu %s %llu %llu %llu\n", static_cast<unsigned long long>(now_ns_),
      event, static_cast<unsigned long long>(a), static_cast<unsigned long long>(b),
      static_cast<unsigned long long>(c));
  const std::string_view text(line, std::min(static_cast<std::size_t>(length), sizeof(line) - 1));
  for (const char byte : text) {
    trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
  if (options_.keep_trace) trace_text_ += text;
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
  for (MemoryRing* ring : rings_) next = std::min(next, ring->NextEventNs());
  return next;
}

bool MemoryKernel::AnyReady() {
  return std::any_of(rings_.begin(), rings_.end(), [](MemoryRing* ring) { return ring->Ready(); });
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
  if (sockets_.size() >= sockets_max_) return IoError(EMFILE, "open a socket");
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
  const auto was = std::exchange(socket->state, MemorySocketState::kClosed);
  Note("close", static_cast<std::uint64_t>(id), reset ? 1 : 0);
  for (const SocketRef& waiting : std::exchange(socket->pending, {})) Abandon(waiting);
  if (was == MemorySocketState::kReset) return;
  if (reset || !socket->received.empty()) {
    ResetLater(socket->peer.lock());
  } else {
    SendFin(socket);
  }
}

void MemoryKernel::Issue(MemoryRequest& request) {
  const SocketRef socket = Find(request.socket);
  const bool interrupted = Happens(&MemoryFaults::interrupted);
  const std::int32_t interruption = interrupted && random_.Chance(500) ? -EINTR : -EAGAIN;
  MemoryRequest* given_up = &request;
  if (TakeFailure(request.operation->kind())) return Finish(given_up, scripted_failure_.result);
  switch (request.operation->kind()) {
    case Operation::Kind::kAccept:
      KTLSIM_CHECK(socket->state == MemorySocketState::kListening);
      if (interrupted) return Finish(given_up, interruption);
      socket->accepts.push_back(&request);
      Accept(socket);
      return;
    case Operation::Kind::kConnect:
      KTLSIM_CHECK(socket->connect == nullptr && socket->state != MemorySocketState::kConnected);
      Connect(socket, request);
      return;
    case Operation::Kind::kReceive:
      KTLSIM_CHECK(socket->receive == nullptr);
      if (interrupted) return Finish(given_up, interruption);
      if (Happens(&MemoryFaults::no_buffers)) return Finish(given_up, -ENOBUFS);
      socket->receive = &request;
      Receive(socket);
      return;
    case Operation::Kind::kSend:
      KTLSIM_CHECK(socket->send == nullptr);
      if (interrupted) return Finish(given_up, interruption);
      socket->send = &request;
      Send(socket);
      return;
    case Operation::Kind::kOpen:
      break;  // was refused when it began
  }
  KTLSIM_CHECK(false);
}

bool MemoryKernel::TakeFailure(Operation::Kind kind) {
  if (kind != scripted_failure_.kind || failed_ == scripted_failure_.times) return false;
  if (scripted_failure_.skip != 0) {
    --scripted_failure_.skip;
    return false;
  }
  ++failed_;
  Note("fail", static_cast<std::uint64_t>(kind), failed_);
  return true;
}

bool MemoryKernel::TakeLoss(Operation::Kind kind) {
  if (kind != loss_.kind || loss_.times == 0) return false;
  if (loss_.skip != 0) {
    --loss_.skip;
    return false;
  }
  loss_.times = 0;
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
  // A send that has made progress returns how much.
  Finish(cancelled, request.sent > 0 ? static_cast<std::int32_t>(request.sent) : -ECANCELED);
}

// Until then the request goes on, and may end by itself.
void MemoryKernel::CancelLater(const MemoryRequest& request) {
  const std::uint64_t due = now_ns_ + random_.Between(0, faults_.delay_max_ns);
  At(due, [this, ring = request.ring, operation = request.operation, number = request.number] {
    // The ring may be gone too; another at its address has no request of this number.
    if (std::find(rings_.begin(), rings_.end(), ring) == rings_.end()) return;
    if (MemoryRequest* late = ring->FindRequest(operation, number)) CancelRequest(*late);
  });
}

}  // namespace ktlsim::io
