// The client path and servers that cut their flight into records as they like (RFC 8446 5.1), or
// send more than any handshake needs: its bytes and our replies are bounded, and the server gets an
// alert.

#include <thread>

#include "tests/tls/recutter.h"
#include "tests/tls/support.h"
#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

// One connection that a peer accepts and then treats as the test wants.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(any);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&any), &size), 0);
    address_ = io::Address::Loopback(ntohs(any.sin_port));
  }
  ~Listener() {
    Close();
    ::close(socket_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const io::Address& address() const { return address_; }
  bool Accept() {
    connection_ = ::accept(socket_, nullptr, nullptr);
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return connection_ >= 0;
  }
  void Close() {
    if (connection_ >= 0) ::close(std::exchange(connection_, -1));
  }
  void Send(const void* bytes, std::size_t size) const {
    const auto* at = static_cast<const char*>(bytes);
    while (size != 0) {
      const ssize_t sent = ::send(connection_, at, size, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += sent;
      size -= static_cast<std::size_t>(sent);
    }
  }
  Bytes ReceiveSome() const {
    Bytes bytes(65536);
    const ssize_t got = ::recv(connection_, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

 private:
  int socket_;
  int connection_ = -1;
  io::Address address_;
};

class CutServerTest : public TransportTest {
 protected:
  void SetUp() override {
    StartRuntime();
    StartClient();
    address_ = listener_.address();
  }

  Listener listener_;
};

struct Cut {
  tls::Version version;
  std::size_t piece_bytes;
};

class CutFlightTest : public CutServerTest, public testing::WithParamInterface<Cut> {
 protected:
  // Sends back what it gets, until the client has closed.
  void Serve() {
    if (!listener_.Accept()) return;
    for (Bytes some = listener_.ReceiveSome(); !some.empty(); some = listener_.ReceiveSome()) {
      server_.Feed(std::as_bytes(std::span(some)));
      if (!server_.established() && !server_.Advance()) break;
      if (server_.established()) {
        if (const std::string text = server_.Read(); !text.empty()) server_.Write(text);
        if ((SSL_get_shutdown(server_.ssl) & SSL_RECEIVED_SHUTDOWN) != 0) SSL_shutdown(server_.ssl);
      }
      const tls::test::Buffer answer = recutter_.Drain();
      listener_.Send(answer.data(), answer.size());
    }
    listener_.Close();
  }

  tls::test::LibsslOptions Options() const {
    tls::test::LibsslOptions options;
    options.versions = tls::test::Only(GetParam().version);
    options.certificate = tls::test::EcdsaCertificate();
    return options;
  }

  tls::test::ContextPtr context_ = tls::test::MakeLibsslContext(tls::Role::kServer, Options());
  tls::test::LibsslSide server_{context_.get(), tls::Role::kServer};
  tls::test::Recutter recutter_{
      context_.get(), server_, {.piece_bytes = GetParam().piece_bytes, .warnings = false}};
};

TEST_P(CutFlightTest, IsTaken) {
  std::thread server([this] { Serve(); });
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(DefaultClient()), Pattern(50000), talk);
  server.join();
  EXPECT_EQ(talk.info.version, GetParam().version == tls::Version::kTls13 ? 0x0304 : 0x0303);
}

INSTANTIATE_TEST_SUITE_P(
    VersionsAndPieces, CutFlightTest,
    testing::Values(Cut{tls::Version::kTls12, 512}, Cut{tls::Version::kTls12, 1},
                    Cut{tls::Version::kTls13, 512}, Cut{tls::Version::kTls13, 1}),
    [](const auto& test) {
      return (test.param.version == tls::Version::kTls13 ? "Tls13By" : "Tls12By") +
             std::to_string(test.param.piece_bytes);
    });

// The server sends `answer` after the ClientHello. Returns what the client sends back, and how the
// connection ends for it.
class ClientBoundsTest : public CutServerTest {
 protected:
  void ExpectAlert(const TlsOptions& options, const Bytes& answer, EndKind kind,
                   unsigned char alert) {
    Bytes received;
    std::thread server([&] {
      if (!listener_.Accept() || listener_.ReceiveSome().empty()) return;
      listener_.Send(answer.data(), answer.size());
      for (Bytes some = listener_.ReceiveSome(); !some.empty(); some = listener_.ReceiveSome()) {
        Append(received, some);
      }
      listener_.Close();
    });
    ClientTalk talk(monitor_, "never");
    EXPECT_NE(Connect(MakeProfile(options), talk), nullptr);
    EXPECT_TRUE(monitor_.Wait([&] { return talk.ended; }));
    server.join();
    EXPECT_EQ(talk.reason.kind, kind) << talk.reason.ToString();
    EXPECT_EQ(received, (Bytes{21, 3, 3, 0, 2, 2, alert}));
  }
};

TEST_F(ClientBoundsTest, ARecordBeyondTheLimitIsRecordOverflow) {
  TlsOptions options = DefaultClient();
  options.limits.incomplete_bytes_max = 1000;
  Bytes flight = {0x16, 3, 3, 0x20, 0};
  flight.resize(4000, 1);
  ExpectAlert(options, flight, EndKind::kTooManyBytes, 22);
}

TEST_F(ClientBoundsTest, AnAnswerTooManyIsUnexpectedMessage) {
  TlsOptions options = DefaultClient();
  options.limits.legs_max = 1;
  ExpectAlert(options, {0x16, 3, 3, 0, 4, 2, 0, 0, 80}, EndKind::kTooManyLegs, 10);
}

TEST_F(ClientBoundsTest, AMessageTooLongIsIllegalParameter) {
  ExpectAlert(DefaultClient(), {0x16, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff}, EndKind::kHandshakeFailed,
              47);
}

}  // namespace
}  // namespace ktlsim::test
