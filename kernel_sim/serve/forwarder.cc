#include "kernel_sim/serve/forwarder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <variant>

#include "io/connector.h"
#include "io/stream.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/proxy_facts.h"
#include "kernel_sim/serve/proxy_protocol.h"

namespace ktlsim::serve {
namespace {

using transport::Buffer;
using transport::Connection;
using transport::EndReason;

// OnPlaintext brings a record at most, and may come once more after a pause.
constexpr std::size_t kRecordBytes = 16 * 1024;
// How long what an orderly client left behind may take to get to the backend.
constexpr std::uint64_t kFlushNs = 30 * kNsPerSecond;

static_assert(transport::BufferPool::kClassBytes.back() == kForwardBufferBytes);

// Not the backend's fault.
bool IsOurOwnLack(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
         error_number == ENOMEM || error_number == EADDRNOTAVAIL;
}

// Lives until both sides have ended: the client's by OnEnded, the backend's by OnClosed or a failed
// OnConnected.
class Forwarder final : public transport::ConnectionHandler,
                        private io::StreamHandler,
                        private io::ConnectHandler {
 public:
  Forwarder(ForwardShare& share, ForwardLoopShare& loop_share) : share_(share), here_(loop_share) {}

  // The client's side.
  void OnFirstBytes(Connection& connection, std::span<const std::byte> bytes) override;
  void OnEstablished(Connection& connection) override;
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override;
  void OnWritable(Connection& connection) override;
  void OnPeerClosed(Connection& connection, bool truncated) override;
  // Where a request ends only the backend knows: both go on until they end or the limit comes.
  void OnDrain(Connection& connection) override { static_cast<void>(connection); }
  void OnEnded(Connection& connection, const EndReason& reason) override;

 private:
  class LimitTimer final : public io::Timer {
   public:
    explicit LimitTimer(Forwarder& forwarder) : forwarder_(forwarder) {}
    void OnTimer() override { forwarder_.OnLimit(); }

   private:
    Forwarder& forwarder_;
  };

  ~Forwarder() = default;

  // The backend's side.
  void OnConnected(Status outcome, io::SocketId socket) override;
  void OnReceived(io::BufferLease bytes) override;
  void OnReceiveEnded(Status reason) override;
  void OnSent(Status outcome) override;
  void OnClosed() override;

  io::Stream* stream() { return std::get_if<io::Stream>(&backend_socket_); }
  bool client_here() const { return client_ != nullptr; }
  bool ConnectNext();
  bool PutProxyHeader();
  void Adopt(io::SocketId socket);
  void OnLimit();
  bool KeepUp(std::span<const std::byte> bytes);
  bool KeepDown(std::span<const std::byte> bytes);
  void PumpUp();
  void PumpDown();
  void BackendFailed(Status reason);
  void CloseBackend(io::Stream::CloseMode mode);
  void AbortClient();
  void ReleaseBackend();
  void NotePeak(std::size_t bytes);
  void Give(Buffer*& buffer) { here_.buffers.Give(std::exchange(buffer, nullptr)); }
  void DeleteIfOver();

  // Fixed.
  ForwardShare& share_;
  ForwardLoopShare& here_;

  Connection* client_ = nullptr;  // from OnEstablished to OnEnded
  std::variant<std::monostate, io::Connector, io::Stream> backend_socket_;
  std::size_t backend_ = BackendPool::kNone;  // whose place we have
  BackendPool::Tried tried_ = 0;
  LimitTimer limit_timer_{*this};
  std::string server_name_;  // for the PROXY header

  // Towards the backend: one buffer on its way, one being filled.
  Buffer* up_sending_ = nullptr;
  Buffer* up_filling_ = nullptr;
  std::size_t up_sending_bytes_ = 0;
  std::size_t up_filling_bytes_ = 0;
  // Towards the client: what it had no room for.
  Buffer* down_ = nullptr;
  std::size_t down_begin_ = 0;
  std::size_t down_end_ = 0;

  bool ended_ = false;           // OnEnded has come
  bool client_paused_ = false;   // not read, for the backend is slow
  bool client_closed_ = false;   // close_notify
  bool backend_closed_ = false;  // FIN
};

// ---- The client's side

void Forwarder::OnFirstBytes(Connection& connection, std::span<const std::byte> bytes) {
  static_cast<void>(connection);
  if (!share_.options.proxy_protocol) return;
  server_name_ = ServerNameIn(bytes);
}

void Forwarder::OnEstablished(Connection& connection) {
  client_ = &connection;
  if (share_.options.proxy_protocol && !PutProxyHeader()) {
    connection.Abort();
    return;
  }
  if (!ConnectNext()) AbortClient();
}

bool Forwarder::PutProxyHeader() {
  try {
    const ProxyFacts facts = ProxyFactsOf(*client_, std::move(server_name_));
    std::array<std::byte, kProxyHeaderBytesMax> header;
    return KeepUp(std::span(header).first(FormatProxyHeader(facts, header)));
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Forwarder::OnPlaintext(Connection& connection, std::span<std::byte> plaintext) {
  if (!KeepUp(plaintext)) {
    AbortClient();
    return;
  }
  PumpUp();
  const std::size_t room = kForwardBufferBytes - up_filling_bytes_;
  if (room < 2 * kRecordBytes && !std::exchange(client_paused_, true)) connection.PauseReading();
}

void Forwarder::OnWritable(Connection& connection) {
  static_cast<void>(connection);
  PumpDown();
}

void Forwarder::OnPeerClosed(Connection& connection, bool truncated) {
  if (truncated) {
    CloseBackend(io::Stream::CloseMode::kReset);
    connection.Close();
    return;
  }
  client_closed_ = true;
  PumpUp();
}

void Forwarder::OnEnded(Connection& connection, const EndReason& reason) {
  static_cast<void>(connection);
  client_ = nullptr;
  ended_ = true;
  Give(down_);
  if (auto* connector = std::get_if<io::Connector>(&backend_socket_)) {
    connector->Cancel();
  } else if (stream() != nullptr && !stream()->closing()) {
    // What an orderly client has said still gets there, whether or not it waited.
    const bool flush = reason.orderly() && client_closed_ && up_sending_ != nullptr;
    if (flush) {
      here_.loop.StartTimer(limit_timer_, here_.loop.NowNs() + kFlushNs);
      stream()->ResumeReceiving();
    } else {
      CloseBackend(reason.orderly() ? io::Stream::CloseMode::kGraceful
                                    : io::Stream::CloseMode::kReset);
    }
  }
  DeleteIfOver();
}

// ---- The backend's side

// False: nobody is left to try.
bool Forwarder::ConnectNext() {
  backend_ = share_.pool.Choose(here_.loop.NowNs(), tried_);
  if (backend_ == BackendPool::kNone) {
    here_.without_backend.Add();
    if (share_.options.watcher != nullptr) {
      share_.options.watcher->OnNoBackend(client_->peer_address());
    }
    return false;
  }
  tried_ |= BackendPool::Tried{1} << backend_;
  if (share_.options.connect_ns != 0) {
    here_.loop.StartTimer(limit_timer_, here_.loop.NowNs() + share_.options.connect_ns);
  }
  backend_socket_.emplace<io::Connector>(here_.loop, static_cast<io::ConnectHandler&>(*this))
      .Connect(share_.pool.address(backend_));
  return true;
}

void Forwarder::OnConnected(Status outcome, io::SocketId socket) {
  here_.loop.StopTimer(limit_timer_);
  backend_socket_.emplace<std::monostate>();
  if (ended_) {
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
  if (own_lack || !ConnectNext()) AbortClient();
}

void Forwarder::Adopt(io::SocketId socket) {
  here_.forwarded.Add();
  if (share_.pool.Succeeded(backend_) && share_.options.watcher != nullptr) {
    share_.options.watcher->OnBackendBack(share_.pool.address(backend_));
  }
  backend_socket_.emplace<io::Stream>(here_.loop, socket, static_cast<io::StreamHandler&>(*this),
                                      /*multishot=*/false);
  stream()->ResumeReceiving();
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
  if (!client_here()) return;  // nobody wants it any more
  std::span<const std::byte> rest = bytes.bytes();
  if (down_ == nullptr) rest = rest.subspan(client_->Send(rest));
  if (rest.empty()) return;
  if (KeepDown(rest)) {
    stream()->PauseReceiving();
  } else {
    AbortClient();
  }
}

void Forwarder::OnReceiveEnded(Status reason) {
  if (!reason.ok()) {
    BackendFailed(reason);
    return;
  }
  backend_closed_ = true;
  PumpDown();
}

void Forwarder::OnSent(Status outcome) {
  Give(up_sending_);
  up_sending_bytes_ = 0;
  if (!outcome.ok()) {
    BackendFailed(outcome);
    return;
  }
  PumpUp();
  if (ended_ && up_sending_ == nullptr) CloseBackend(io::Stream::CloseMode::kGraceful);
}

void Forwarder::BackendFailed(Status reason) {
  static_cast<void>(reason);
  here_.backend_resets.Add();
  CloseBackend(io::Stream::CloseMode::kReset);
  AbortClient();
}

void Forwarder::OnClosed() {
  here_.loop.StopTimer(limit_timer_);
  backend_socket_.emplace<std::monostate>();
  Give(up_sending_);
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

void Forwarder::AbortClient() {
  if (client_here()) client_->Abort();
}

void Forwarder::ReleaseBackend() {
  if (backend_ != BackendPool::kNone) {
    share_.pool.Release(std::exchange(backend_, BackendPool::kNone));
  }
}

void Forwarder::DeleteIfOver() {
  if (!ended_ || !std::holds_alternative<std::monostate>(backend_socket_)) return;
  here_.loop.StopTimer(limit_timer_);
  Give(up_sending_);
  Give(up_filling_);
  Give(down_);
  Rundown& forwarders = share_.forwarders;
  delete this;
  forwarders.Leave();
}

// ---- Bytes

// False: no memory, or a client that ignores the pause.
bool Forwarder::KeepUp(std::span<const std::byte> bytes) {
  if (bytes.size() > kForwardBufferBytes - up_filling_bytes_) return false;
  if (up_filling_ == nullptr) up_filling_ = here_.buffers.Take(kForwardBufferBytes);
  if (up_filling_ == nullptr) return false;
  std::memcpy(up_filling_->bytes() + up_filling_bytes_, bytes.data(), bytes.size());
  up_filling_bytes_ += bytes.size();
  NotePeak(up_filling_bytes_ + up_sending_bytes_);
  return true;
}

// Sends what is filled, then passes the client's end on.
void Forwarder::PumpUp() {
  io::Stream* const socket = stream();
  if (socket == nullptr || socket->closing() || socket->sending()) return;
  if (up_filling_bytes_ != 0) {
    up_sending_ = std::exchange(up_filling_, nullptr);
    up_sending_bytes_ = std::exchange(up_filling_bytes_, 0);
    socket->Send({up_sending_->bytes(), up_sending_bytes_});
    if (client_here() && std::exchange(client_paused_, false)) client_->ResumeReading();
  } else if (client_closed_) {
    socket->ShutdownSend();
  }
}

bool Forwarder::KeepDown(std::span<const std::byte> bytes) {
  if (down_ == nullptr) {
    down_ = here_.buffers.Take(kForwardBufferBytes);
    down_begin_ = 0;
    down_end_ = 0;
  }
  if (down_ == nullptr || bytes.size() > kForwardBufferBytes - down_end_) return false;
  std::memcpy(down_->bytes() + down_end_, bytes.data(), bytes.size());
  down_end_ += bytes.size();
  NotePeak(down_end_ - down_begin_);
  return true;
}

// Gives the client what waits, then reads the backend again or passes its end on.
void Forwarder::PumpDown() {
  if (!client_here()) return;
  if (down_ != nullptr) {
    down_begin_ += client_->Send({down_->bytes() + down_begin_, down_end_ - down_begin_});
    if (down_begin_ < down_end_) return;
    Give(down_);
    if (stream() != nullptr) stream()->ResumeReceiving();
  }
  if (backend_closed_) client_->ShutdownSend();
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
