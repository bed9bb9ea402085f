#include "kernel_sim/serve/forwarder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <string>
#include <utility>
#include <variant>

#include "io/connector.h"
#include "io/member_timer.h"
#include "io/stream.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/held_bytes.h"
#include "kernel_sim/serve/held_plaintext.h"
#include "kernel_sim/serve/proxy_facts.h"
#include "kernel_sim/serve/proxy_protocol.h"

namespace ktlsim::serve {
namespace {

using transport::Connection;
using transport::EndKind;
using transport::EndReason;

// OnPlaintext brings a record at most, and may come once more after a pause.
constexpr std::size_t kRecordBytes = 16 * 1024;
// How long the last bytes of a client that closed in order may take to reach the backend.
constexpr std::uint64_t kFlushNs = 30 * kNsPerSecond;

static_assert(transport::BufferPool::kClassBytes.back() == kForwardBufferBytes);

// Not the backend's fault.
bool IsOurOwnLack(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
         error_number == ENOMEM || error_number == EADDRNOTAVAIL;
}

// Whether the backend still takes what the client sends. One that does not may have sent a response
// all the same, such as 413 before the whole request was there.
enum class BackendReads : std::uint8_t { kYes, kNoMore, kReset };
// What the backend sends.
enum class BackendEnd : std::uint8_t {
  kOpen,
  kClosed,  // FIN
  kCut,     // reset: what came before it may not be the whole
};

// Lives until both sides have ended: the client's by OnEnded, the backend's by OnClosed or a failed
// OnConnected.
class Forwarder final : public transport::ConnectionHandler,
                        private io::StreamHandler,
                        private io::ConnectHandler {
 public:
  Forwarder(ForwardShare& share, ForwardLoopShare& loop_share) : share_(share), here_(loop_share) {}

  // The client's side.
  void OnEstablished(Connection& connection) override;
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override;
  void OnWritable(Connection& connection) override;
  void OnPeerClosed(Connection& connection, bool truncated) override;
  // Only the backend knows where a request ends: both sides go on until they end or the limit
  // comes.
  void OnDrain(Connection& /*connection*/) override {}
  void OnEnded(Connection& connection, const EndReason& reason) override;

 private:
  ~Forwarder() = default;

  // The backend's side.
  void OnConnected(Status outcome, io::SocketId socket) override;
  void OnReceived(io::BufferLease bytes) override;
  void OnReceiveEnded(Status reason) override;
  void OnSent(Status outcome) override;
  void OnClosed() override;

  io::Stream* stream() { return std::get_if<io::Stream>(&backend_socket_); }
  bool client_here() const { return client_ != nullptr; }
  // The client is gone, and what it left is still on its way.
  bool flushing() const { return flush_deadline_ns_ != 0; }
  void BeginFlush();
  bool ConnectNext();
  void ArmConnectLimit();
  bool PutProxyHeader();
  void Adopt(io::SocketId socket);
  void OnLimit();
  bool KeepUp(std::span<const std::byte> bytes);
  void PumpUp();
  void PumpDown();
  void BackendTakesNoMore(Status why);
  void PassEndDown();
  void CloseBackend(io::Stream::CloseMode mode);
  void AbortClient(EndKind why);
  void ReleaseBackend();
  void NotePeak(std::size_t bytes);
  void DeleteIfOver();

  // Fixed.
  ForwardShare& share_;
  ForwardLoopShare& here_;

  Connection* client_ = nullptr;  // from OnEstablished to OnEnded
  io::Address client_address_;
  std::variant<std::monostate, io::Connector, io::Stream> backend_socket_;
  std::size_t backend_ = BackendPool::kNone;  // whose place we have
  BackendPool::Tried tried_ = 0;
  io::MemberTimer<&Forwarder::OnLimit> limit_timer_{*this};
  std::uint64_t connect_begun_ns_ = 0;
  std::uint64_t flush_deadline_ns_ = 0;  // 0: no flush

  // Towards the backend: what is on its way, and what comes after it.
  HeldBytes up_sending_{here_.buffers};
  HeldPlaintext<HeldBytes> up_filling_{2 * kRecordBytes, here_.buffers};
  HeldBytes down_{here_.buffers};  // towards the client

  bool ended_ = false;          // OnEnded has come
  bool client_closed_ = false;  // close_notify
  BackendReads backend_reads_ = BackendReads::kYes;
  BackendEnd backend_end_ = BackendEnd::kOpen;
};

// ---- The client's side

void Forwarder::OnEstablished(Connection& connection) {
  client_ = &connection;
  client_address_ = connection.peer_address();
  if (share_.options.proxy_protocol && !PutProxyHeader()) return;
  if (!ConnectNext()) AbortClient(EndKind::kNoBackend);
}

// False: the client has been aborted.
bool Forwarder::PutProxyHeader() {
  try {
    const ProxyFacts facts = ProxyFactsOf(*client_);
    std::array<std::byte, kProxyHeaderBytesMax> header;
    return KeepUp(std::span(header).first(FormatProxyHeader(facts, header)));
  } catch (const std::bad_alloc&) {
    AbortClient(EndKind::kNoMemory);
    return false;
  }
}

void Forwarder::OnPlaintext(Connection& /*connection*/, std::span<std::byte> plaintext) {
  if (backend_reads_ == BackendReads::kYes && KeepUp(plaintext)) PumpUp();
}

void Forwarder::OnWritable(Connection& /*connection*/) { PumpDown(); }

void Forwarder::OnPeerClosed(Connection& connection, bool truncated) {
  if (truncated) {
    CloseBackend(io::Stream::CloseMode::kReset);
    connection.Close();
    return;
  }
  client_closed_ = true;
  PumpUp();
}

void Forwarder::OnEnded(Connection& /*connection*/, const EndReason& reason) {
  client_ = nullptr;
  ended_ = true;
  down_.Drop();
  // The bytes of an orderly client still get to the backend, whether or not the client waited, and
  // whether or not there is a backend yet.
  const bool left = !up_sending_.empty() || !up_filling_.empty();
  if (reason.orderly() && client_closed_ && left) {
    BeginFlush();
  } else if (auto* connector = std::get_if<io::Connector>(&backend_socket_)) {
    connector->Cancel();
  } else if (stream() != nullptr && !stream()->closing()) {
    CloseBackend(reason.orderly() ? io::Stream::CloseMode::kGraceful
                                  : io::Stream::CloseMode::kReset);
  }
  DeleteIfOver();
}

void Forwarder::BeginFlush() {
  flush_deadline_ns_ = here_.loop.NowNs() + kFlushNs;
  if (std::holds_alternative<io::Connector>(backend_socket_)) {
    // The wait for the backend has a limit already, which may be later.
    ArmConnectLimit();
  } else if (stream() != nullptr && !stream()->closing()) {
    here_.loop.StartTimer(limit_timer_, flush_deadline_ns_);
    stream()->ResumeReceiving();
  }
}

// ---- The backend's side

// False: no backend is left to try.
bool Forwarder::ConnectNext() {
  connect_begun_ns_ = here_.loop.NowNs();
  if (flushing() && connect_begun_ns_ >= flush_deadline_ns_) return false;
  backend_ = share_.pool.Choose(connect_begun_ns_, tried_);
  if (backend_ == BackendPool::kNone) {
    here_.without_backend.Add();
    if (share_.options.watcher != nullptr) {
      share_.options.watcher->OnNoBackend(client_address_);
    }
    return false;
  }
  tried_ |= BackendPool::Tried{1} << backend_;
  ArmConnectLimit();
  backend_socket_.emplace<io::Connector>(here_.loop, static_cast<io::ConnectHandler&>(*this))
      .Connect(share_.pool.address(backend_));
  return true;
}

void Forwarder::ArmConnectLimit() {
  const std::uint64_t connect_ns = share_.options.connect_ns;
  std::uint64_t limit_ns = connect_ns == 0 ? 0 : connect_begun_ns_ + connect_ns;
  if (flushing() && (limit_ns == 0 || flush_deadline_ns_ < limit_ns)) limit_ns = flush_deadline_ns_;
  if (limit_ns != 0) here_.loop.StartTimer(limit_timer_, limit_ns);
}

void Forwarder::OnConnected(Status outcome, io::SocketId socket) {
  here_.loop.StopTimer(limit_timer_);
  backend_socket_.emplace<std::monostate>();
  if (ended_ && !flushing()) {
    if (socket != io::kNoSocket) here_.loop.Close(socket, /*reset=*/true);
    ReleaseBackend();
    DeleteIfOver();
    return;
  }
  if (outcome.ok()) {
    Adopt(socket);
    return;
  }
  here_.connect_failures.Add();
  const std::size_t failed = backend_;
  const bool own_lack = IsOurOwnLack(outcome.code());
  if (!own_lack && share_.pool.Failed(failed, here_.loop.NowNs()) &&
      share_.options.watcher != nullptr) {
    share_.options.watcher->OnBackendOut(share_.pool.address(failed), outcome);
  }
  ReleaseBackend();
  if (own_lack || !ConnectNext()) {
    AbortClient(EndKind::kNoBackend);
    DeleteIfOver();
  }
}

void Forwarder::Adopt(io::SocketId socket) {
  here_.forwarded.Add();
  if (share_.pool.Succeeded(backend_) && share_.options.watcher != nullptr) {
    share_.options.watcher->OnBackendBack(share_.pool.address(backend_));
  }
  backend_socket_.emplace<io::Stream>(here_.loop, socket, static_cast<io::StreamHandler&>(*this),
                                      /*multishot=*/false);
  stream()->ResumeReceiving();
  if (flushing()) here_.loop.StartTimer(limit_timer_, flush_deadline_ns_);
  PumpUp();
}

void Forwarder::OnLimit() {
  if (auto* connector = std::get_if<io::Connector>(&backend_socket_)) {
    connector->Cancel();
  } else {
    CloseBackend(io::Stream::CloseMode::kReset);
  }
}

void Forwarder::OnReceived(io::BufferLease bytes) {
  if (!client_here()) return;  // no client wants it any more
  std::span<const std::byte> rest = bytes.bytes();
  if (down_.empty()) rest = rest.subspan(client_->Send(rest));
  if (rest.empty()) return;
  if (down_.Keep(rest)) {
    NotePeak(down_.size());
    stream()->PauseReceiving();
  } else {
    AbortClient(EndKind::kNoMemory);
  }
}

void Forwarder::OnReceiveEnded(Status reason) {
  // The kernel reports a reset only once. When the send got it, the receive ends as by FIN.
  if (reason.ok() && backend_reads_ != BackendReads::kReset) {
    backend_end_ = BackendEnd::kClosed;
  } else {
    backend_end_ = BackendEnd::kCut;
    if (backend_reads_ == BackendReads::kYes) BackendTakesNoMore(reason);
    CloseBackend(io::Stream::CloseMode::kReset);
  }
  PumpDown();
}

void Forwarder::OnSent(Status outcome) {
  up_sending_.Drop();
  if (!outcome.ok()) {
    if (backend_reads_ == BackendReads::kYes) BackendTakesNoMore(outcome);
    const bool reset = backend_reads_ == BackendReads::kReset;
    if (reset && backend_end_ == BackendEnd::kClosed) backend_end_ = BackendEnd::kCut;
    PumpDown();
    return;
  }
  PumpUp();
  if (ended_ && up_sending_.empty()) CloseBackend(io::Stream::CloseMode::kGraceful);
}

// What it has sent still goes to the client; what the client sends is dropped from here on.
void Forwarder::BackendTakesNoMore(Status why) {
  here_.backend_resets.Add();
  backend_reads_ = why.code() == EPIPE ? BackendReads::kNoMore : BackendReads::kReset;
  up_filling_.bytes().Drop();
  if (client_here()) {
    up_filling_.ResumeReading(*client_);
  } else {
    CloseBackend(io::Stream::CloseMode::kReset);
  }
}

void Forwarder::OnClosed() {
  here_.loop.StopTimer(limit_timer_);
  backend_socket_.emplace<std::monostate>();
  up_sending_.Drop();
  ReleaseBackend();
  DeleteIfOver();
}

void Forwarder::CloseBackend(io::Stream::CloseMode mode) {
  if (io::Stream* const socket = stream()) {
    socket->Close(mode);
  } else if (auto* connector = std::get_if<io::Connector>(&backend_socket_)) {
    connector->Cancel();
  }
}

void Forwarder::AbortClient(EndKind why) {
  if (client_here()) client_->AbortFor(why);
}

void Forwarder::ReleaseBackend() {
  if (backend_ != BackendPool::kNone) {
    share_.pool.Release(std::exchange(backend_, BackendPool::kNone));
  }
}

void Forwarder::DeleteIfOver() {
  if (!ended_ || !std::holds_alternative<std::monostate>(backend_socket_)) return;
  here_.loop.StopTimer(limit_timer_);
  Rundown& forwarders = share_.forwarders;
  delete this;
  forwarders.Leave();
}

// ---- Bytes

// False: the client has been aborted.
bool Forwarder::KeepUp(std::span<const std::byte> bytes) {
  if (!up_filling_.Keep(*client_, bytes)) return false;
  NotePeak(up_filling_.bytes().size() + up_sending_.size());
  return true;
}

// Sends the filled bytes, then passes the client's end on.
void Forwarder::PumpUp() {
  io::Stream* const socket = stream();
  if (socket == nullptr || socket->closing() || socket->sending()) return;
  if (backend_reads_ != BackendReads::kYes) return;
  if (!up_filling_.empty()) {
    up_sending_.TakeFrom(up_filling_.bytes());
    socket->Send(up_sending_.bytes());
    if (client_here()) up_filling_.ResumeReading(*client_);
  } else if (client_closed_) {
    socket->ShutdownSend();
  }
}

// Gives the client what waits, then reads the backend again or passes its end on.
void Forwarder::PumpDown() {
  if (!client_here()) return;
  if (!down_.empty()) {
    down_.Consume(client_->Send(down_.bytes()));
    if (!down_.empty()) return;
    if (stream() != nullptr) stream()->ResumeReceiving();
  }
  PassEndDown();
}

void Forwarder::PassEndDown() {
  switch (backend_end_) {
    case BackendEnd::kOpen:
      return;
    case BackendEnd::kClosed:
      if (backend_reads_ == BackendReads::kYes) {
        client_->ShutdownSend();
      } else {
        client_->Close();
      }
      return;
    case BackendEnd::kCut:
      client_->CutFor(EndKind::kBackendFailed);
      return;
  }
}

void Forwarder::NotePeak(std::size_t bytes) {
  if (bytes > here_.buffered_peak.load(std::memory_order_relaxed)) {
    here_.buffered_peak.store(bytes, std::memory_order_relaxed);
  }
}

}  // namespace

transport::ConnectionHandler* MakeForwarder(ForwardShare& share, ForwardLoopShare& loop_share) {
  if (!share.forwarders.Enter()) return nullptr;
  auto* forwarder = new (std::nothrow) Forwarder(share, loop_share);
  if (forwarder == nullptr) share.forwarders.Leave();
  return forwarder;
}

}  // namespace ktlsim::serve
