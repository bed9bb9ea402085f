// A TLS server as a transport application: its sockets live on the library's own processors.
//   c++ -std=c++20 processor_server.cc $(pkg-config --cflags --libs ktlsim) -o processor_server
//   ./processor_server 8443 certificate.pem key.pem 10     (ends after 10 connections)
//   curl --cacert certificate.pem https://localhost:8443/
//
// Each processor has a loop (io_uring) and listens on the same port. A connection stays on the
// processor that accepted it: calls are submitted there with KTLSIM_NOTIFY_ON_PROCESSOR, run there
// and call back there, so nothing is locked and nothing changes threads. At dispatch level nothing
// may block.
#include <arpa/inet.h>
#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace io = ktlsim::io;

namespace {

CredHandle credential;
std::atomic<int> connections_left;

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

// One connection: receives, makes the handshake, responds to the first record, closes. Deletes
// itself when no operation and no call is in flight any more.
class Connection final : public io::ReceiveOperation, public io::SendOperation {
 public:
  Connection(io::Loop& loop, io::SocketId socket) : loop_(loop), socket_(socket) {
    SecInvalidateHandle(&context_);
    async_ = SspiCreateAsyncContext();
    KtlsimSetNotifyMode(async_, KTLSIM_NOTIFY_ON_PROCESSOR);
    loop_.StartReceive(*this, socket_);
  }

 private:
  // ---- The loop, on its thread

  void OnReceived(io::BufferLease lease) override {
    const auto bytes = lease.bytes();
    inbox_.insert(inbox_.end(), bytes.begin(), bytes.end());
    Advance();
  }
  void OnReceiveEnded(ktlsim::Status) override { End(); }
  void OnSent(ktlsim::Status outcome) override {
    if (!outcome.ok() || answered_) return End();
    Advance();
  }

  // ---- The library, on the same thread

  static void Called(SspiAsyncContext*, PVOID self) { static_cast<Connection*>(self)->OnCall(); }

  // The next step, unless one is under way.
  void Advance() {
    if (ended_ || calling_ || io::SendOperation::in_flight() || inbox_.empty()) return;
    SspiReinitAsyncContext(async_);
    SspiSetAsyncNotifyCallback(async_, &Called, this);
    // While a call is in flight the library owns what it was given: more bytes go to the inbox
    // only.
    current_.swap(inbox_);
    inbox_.clear();
    if (established_) {
      in_[0] = {static_cast<ULONG>(current_.size()), SECBUFFER_DATA, current_.data()};
      for (int i = 1; i < 4; ++i) in_[i] = {0, SECBUFFER_EMPTY, nullptr};
      input_ = {SECBUFFER_VERSION, 4, in_};
      calling_ = SspiDecryptMessageAsync(async_, &context_, &input_, 0, nullptr) == SEC_E_OK;
    } else {
      in_[0] = {static_cast<ULONG>(current_.size()), SECBUFFER_TOKEN, current_.data()};
      in_[1] = {0, SECBUFFER_EMPTY, nullptr};
      out_ = {sizeof(token_), SECBUFFER_TOKEN, token_};
      input_ = {SECBUFFER_VERSION, 2, in_};
      output_ = {SECBUFFER_VERSION, 1, &out_};
      calling_ = SspiAcceptSecurityContextAsync(
                     async_, &credential, SecIsValidHandle(&context_) ? &context_ : nullptr,
                     &input_, ASC_REQ_STREAM | ASC_REQ_EXTENDED_ERROR, 0, &context_, &output_,
                     &attributes_, nullptr) == SEC_E_OK;
    }
    if (!calling_) End();  // refused: no callback will come
  }

  void OnCall() {
    calling_ = false;
    if (ended_) return End();
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(async_);
    const int last = established_ ? 3 : 1;
    std::size_t rest = in_[last].BufferType == SECBUFFER_EXTRA ? in_[last].cbBuffer : 0;
    if (status == SEC_E_INCOMPLETE_MESSAGE) rest = current_.size();
    // What was not used goes before what has come meanwhile.
    inbox_.insert(inbox_.begin(), current_.end() - static_cast<std::ptrdiff_t>(rest),
                  current_.end());
    if (status == SEC_E_INCOMPLETE_MESSAGE) {
      // Again with more bytes: those that have come meanwhile, or the next ones.
      if (inbox_.size() > rest) Advance();
      return;
    }
    if (established_) return status == SEC_E_OK ? Answer() : End();
    established_ = status == SEC_E_OK;
    const bool goes_on = established_ || status == SEC_I_CONTINUE_NEEDED;
    answered_ = !goes_on;  // the token is the alert: close after it
    if (out_.cbBuffer > 0) return Send(out_.cbBuffer);
    return goes_on ? Advance() : End();
  }

  // Sealed at once: it is short, and EncryptMessage never blocks.
  void Answer() {
    SecPkgContext_StreamSizes sizes{};
    if (QueryContextAttributesA(&context_, SECPKG_ATTR_STREAM_SIZES, &sizes) != SEC_E_OK)
      return End();
    unsigned char* const text = token_ + sizes.cbHeader;
    std::memcpy(text, kAnswer.data(), kAnswer.size());
    SecBuffer part[3] = {{sizes.cbHeader, SECBUFFER_STREAM_HEADER, token_},
                         {static_cast<ULONG>(kAnswer.size()), SECBUFFER_DATA, text},
                         {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, text + kAnswer.size()}};
    SecBufferDesc message = {SECBUFFER_VERSION, 3, part};
    if (EncryptMessage(&context_, 0, &message, 0) != SEC_E_OK) return End();
    // close_notify after it, sealed as out-of-band data: the same send carries both.
    unsigned char* const alert = text + kAnswer.size() + part[2].cbBuffer;
    alert[sizes.cbHeader] = TLS1_ALERT_WARNING;
    alert[sizes.cbHeader + 1] = TLS1_ALERT_CLOSE_NOTIFY;
    SecBuffer end[3] = {{sizes.cbHeader, SECBUFFER_STREAM_HEADER, alert},
                        {2, SECBUFFER_DATA, alert + sizes.cbHeader},
                        {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER, alert + sizes.cbHeader + 2}};
    message.pBuffers = end;
    if (EncryptMessage(&context_, SECQOP_WRAP_OOB_DATA, &message, 0) != SEC_E_OK) return End();
    answered_ = true;
    Send(static_cast<ULONG>(alert - token_) + end[0].cbBuffer + 2 + end[2].cbBuffer);
  }

  void Send(ULONG bytes) {
    loop_.StartSend(*this, socket_, {reinterpret_cast<const std::byte*>(token_), bytes});
  }

  // Called again by everything that was still in flight, until nothing is.
  void End() {
    ended_ = true;
    loop_.Cancel(static_cast<io::ReceiveOperation&>(*this));
    if (calling_ || io::SendOperation::in_flight() || io::ReceiveOperation::in_flight()) return;
    loop_.Close(socket_);
    SspiFreeAsyncContext(async_);
    // Fire and forget, without a callback.
    SspiAsyncContext* const teardown = SspiCreateAsyncContext();
    if (SecIsValidHandle(&context_)) SspiDeleteSecurityContextAsync(teardown, &context_);
    SspiFreeAsyncContext(teardown);
    connections_left.fetch_sub(1);
    connections_left.notify_all();
    delete this;
  }

  io::Loop& loop_;
  const io::SocketId socket_;
  CtxtHandle context_{};
  SspiAsyncContext* async_ = nullptr;
  std::vector<std::byte> inbox_;    // what no call has seen
  std::vector<std::byte> current_;  // what the call in flight has
  unsigned char token_[20000]{};
  SecBuffer in_[4]{};
  SecBuffer out_{};
  SecBufferDesc input_{}, output_{};
  ULONG attributes_ = 0;
  bool calling_ = false;
  bool established_ = false;
  bool answered_ = false;
  bool ended_ = false;
};

// One processor's listening socket. Stays until the processors are stopped.
class Listener final : public io::AcceptOperation, public ktlsim::WorkItem {
 public:
  explicit Listener(io::Loop& loop) : WorkItem(&Listener::Start), loop_(loop) {}
  std::atomic<int> port = -1;  // asked for, then the real one
  std::atomic<bool> started = false;
  void Begin() { loop_.Post(*this); }
  void Stop() { loop_.Post(stop_); }
  void WaitUntilStopped() { stopped_.wait(false); }

 private:
  struct StopItem : ktlsim::WorkItem {
    explicit StopItem(Listener& of) : WorkItem(&StopItem::Run), listener(of) {}
    static void Run(ktlsim::WorkItem& item) {
      Listener& listener = static_cast<StopItem&>(item).listener;
      listener.loop_.Cancel(listener);
    }
    Listener& listener;
  };

  static void Start(ktlsim::WorkItem& item) {
    auto& self = static_cast<Listener&>(item);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(static_cast<in_port_t>(self.port.load()));
    auto listening =
        self.loop_.Listen({reinterpret_cast<sockaddr*>(&at), sizeof(at)}, io::ListenOptions());
    if (!listening.ok()) {
      std::fprintf(stderr, "%s\n", listening.status().ToString().c_str());
      std::exit(1);
    }
    self.socket_ = listening.value();
    self.port = self.loop_.LocalAddress(self.socket_).value().port();
    self.loop_.StartAccept(self, self.socket_);
    self.started = true;
    self.started.notify_all();
  }
  void OnAccepted(io::SocketId socket) override { new Connection(loop_, socket); }
  void OnAcceptEnded(ktlsim::Status) override {
    loop_.Close(socket_);
    stopped_ = true;
    stopped_.notify_all();
  }

  io::Loop& loop_;
  io::SocketId socket_ = io::kNoSocket;
  StopItem stop_{*this};
  std::atomic<bool> stopped_ = false;
};

bool Acquire(const char* certificate_file, const char* key_file) {
  PCCERT_CONTEXT certificate = nullptr;
  if (KtlsimLoadCertificate(certificate_file, key_file, &certificate) != SEC_E_OK) return false;
  SCH_CREDENTIALS auth{};
  auth.dwVersion = SCH_CREDENTIALS_VERSION;
  auth.cCreds = 1;
  auth.paCred = &certificate;
  char package[] = UNISP_NAME_A;
  const SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &auth, nullptr,
                                nullptr, &credential, nullptr);
  CertFreeCertificateContext(certificate);
  return status == SEC_E_OK;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "processor_server PORT CERT.pem KEY.pem CONNECTIONS\n");
    return 2;
  }
  connections_left = std::atoi(argv[4]);
  std::vector<std::unique_ptr<Listener>> listeners;
  if (!Acquire(argv[2], argv[3]) ||
      KtlsimForEachProcessor(
          [](void* all, const KtlsimProcessor* processor) {
            static_cast<std::vector<std::unique_ptr<Listener>>*>(all)->push_back(
                std::make_unique<Listener>(*processor->loop));
          },
          &listeners) != SEC_E_OK) {
    std::fprintf(stderr, "%s\n", KtlsimLastErrorText());
    return 1;
  }
  // One after the other: where the kernel chooses the port, the others share it.
  int port = std::atoi(argv[1]);
  for (auto& listener : listeners) {
    listener->port = port;
    listener->Begin();
    listener->started.wait(false);
    port = listener->port;
  }
  std::printf("listening on 127.0.0.1:%d\n", port);
  std::fflush(stdout);
  for (int left = connections_left; left > 0; left = connections_left) connections_left.wait(left);
  for (auto& listener : listeners) listener->Stop();
  for (auto& listener : listeners) listener->WaitUntilStopped();
  const SECURITY_STATUS stopped = KtlsimStop();
  FreeCredentialsHandle(&credential);
  return stopped == SEC_E_OK ? 0 : 1;
}
