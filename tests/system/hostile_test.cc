// Hostile or broken peers: raw sockets against `ktlsim serve`. Each time the server's statistics
// name what happened, and other clients are served during and after it.

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class RawSocket {
 public:
  explicit RawSocket(int port) : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<std::uint16_t>(port));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(descriptor_, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == 0;
  }
  ~RawSocket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return descriptor_; }

  bool Send(const std::string& bytes) {
    return send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  void Finish() { shutdown(descriptor_, SHUT_WR); }
  void Reset() {
    const linger now{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(descriptor_);
    descriptor_ = -1;
  }
  // True: there is something to read, or the end, within the time.
  bool Readable(int milliseconds) {
    pollfd waiting{descriptor_, POLLIN, 0};
    return poll(&waiting, 1, milliseconds) == 1;
  }
  // Reads to the end. False: the peer did not close in time.
  bool DrainToEnd() {
    char buffer[4096];
    while (Readable(20000)) {
      if (recv(descriptor_, buffer, sizeof(buffer), 0) <= 0) return true;
    }
    return false;
  }

 private:
  int descriptor_;
  bool connected_ = false;
};

struct SslDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// OpenSSL, for the first bytes of an honest client.
class Client {
 public:
  Client() : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {}

  // The record with the ClientHello.
  std::string Hello() {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
    SSL_do_handshake(ssl_.get());
    char* bytes = nullptr;
    const long count = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
    return {bytes, static_cast<std::size_t>(count)};
  }
  bool Establish(const RawSocket& socket) {
    SSL_set_fd(ssl_.get(), socket.descriptor());
    return SSL_connect(ssl_.get()) == 1;
  }
  bool Write(const std::string& text) {
    return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0;
  }

 private:
  std::unique_ptr<SSL_CTX, SslDeleter> context_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
};

class HostileTest : public testing::Test {
 protected:
  void Serve(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--self-signed", "localhost", "--respond-bytes", "100"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_ = std::make_unique<ServeProcess>(arguments);
    ASSERT_TRUE(server_->running()) << server_->output();
  }

  // Other clients are served; then the server stops, and its counts are as expected.
  void ExpectEnds(const std::string& kind, int count) {
    EXPECT_TRUE(server_->Answers());
    const nlohmann::json statistics = server_->StopCleanly();
    EXPECT_EQ(statistics["ends"][kind], count) << statistics.dump(2);
  }

  std::unique_ptr<ServeProcess> server_;
};

TEST_F(HostileTest, Garbage) {
  Serve();
  for (const std::string& garbage :
       {std::string(1, '\0'), std::string(2000, '\xff'), std::string("\x80\x2e\x01\x00\x02", 5)}) {
    RawSocket socket(server_->port());
    ASSERT_TRUE(socket.Send(garbage + std::string(16, 'g')));
    EXPECT_TRUE(socket.DrainToEnd());
  }
  ExpectEnds("not_tls", 3);
}

TEST_F(HostileTest, PlainHttp) {
  Serve();
  RawSocket socket(server_->port());
  ASSERT_TRUE(socket.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_TRUE(server_->Answers());
  EXPECT_TRUE(socket.DrainToEnd());
  ExpectEnds("not_tls", 1);
}

TEST_F(HostileTest, TruncatedClientHelloAtManyLengths) {
  Serve();
  const std::string hello = Client().Hello();
  int cuts = 0;
  for (std::size_t length = 1; length < hello.size(); length += 13, ++cuts) {
    RawSocket socket(server_->port());
    ASSERT_TRUE(socket.Send(hello.substr(0, length)));
    socket.Finish();
    EXPECT_TRUE(socket.DrainToEnd()) << length;
  }
  ExpectEnds("closed_in_handshake", cuts);
}

TEST_F(HostileTest, OneByteAtATimeMeetsTheHandshakeTimeout) {
  Serve({"--handshake-timeout", "700ms", "--leg-timeout", "0"});
  const std::string hello = Client().Hello();
  RawSocket socket(server_->port());
  bool ended = false;
  for (std::size_t i = 0; i < hello.size() && !ended; ++i) {
    ended = !socket.Send(hello.substr(i, 1)) || socket.Readable(40);
  }
  EXPECT_TRUE(ended) << "the server waited for the whole record";
  EXPECT_TRUE(server_->Answers());
  EXPECT_TRUE(socket.DrainToEnd());
  ExpectEnds("handshake_timeout", 1);
}

TEST_F(HostileTest, SilenceMeetsTheLegTimeout) {
  Serve({"--leg-timeout", "2s"});
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 20; ++i) sockets.push_back(std::make_unique<RawSocket>(server_->port()));
  EXPECT_TRUE(server_->Answers());
  // One of them falls silent in the second leg.
  ASSERT_TRUE(sockets[0]->Send(Client().Hello()));
  for (const auto& socket : sockets) EXPECT_TRUE(socket->DrainToEnd());
  ExpectEnds("leg_timeout", 20);
}

TEST_F(HostileTest, TwoThousandSilentClientsTakeNoThreadLittleMemoryAndNobodysPlace) {
  constexpr std::size_t kClients = 2000;
  constexpr std::size_t kRssKibMax = 64 * 1024;
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_max < kClients + 100) GTEST_SKIP() << "only " << files.rlim_max << " descriptors";
  files.rlim_cur = files.rlim_max;  // the server's, too
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  // More clients than may be in a handshake at once.
  Serve({"--leg-timeout", "6s", "--processors", "2"});
  ASSERT_TRUE(server_->Answers());
  const std::size_t threads = server_->Status("Threads");
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (std::size_t i = 0; i < kClients; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(server_->port()));
    ASSERT_TRUE(sockets.back()->connected()) << i;
  }
  EXPECT_TRUE(server_->Answers());
  EXPECT_FALSE(sockets.back()->Readable(0)) << "it was served only after the others had gone";
  EXPECT_EQ(server_->Status("Threads"), threads);
  for (const auto& socket : sockets) EXPECT_TRUE(socket->DrainToEnd());
  const std::size_t peak_kib = server_->Status("VmHWM");
  std::cout << peak_kib << " KiB at most\n";
  EXPECT_LT(peak_kib, kRssKibMax);
  ExpectEnds("leg_timeout", kClients);
}

TEST_F(HostileTest, SilenceAfterTheHandshakeMeetsTheIdleTimeout) {
  Serve({"--idle-timeout", "300ms"});
  RawSocket socket(server_->port());
  ASSERT_TRUE(Client().Establish(socket));
  EXPECT_TRUE(socket.DrainToEnd());
  ExpectEnds("idle_timeout", 1);
}

TEST_F(HostileTest, ResetInEveryLeg) {
  Serve();
  const std::string hello = Client().Hello();
  constexpr int kRounds = 10;
  for (int i = 0; i < kRounds; ++i) {
    RawSocket before_any_byte(server_->port());
    before_any_byte.Reset();
    RawSocket in_hello(server_->port());
    ASSERT_TRUE(in_hello.Send(hello.substr(0, hello.size() / 2)));
    in_hello.Reset();
    RawSocket after_flight(server_->port());
    ASSERT_TRUE(after_flight.Send(hello));
    ASSERT_TRUE(after_flight.Readable(10000));
    after_flight.Reset();
    RawSocket established(server_->port());
    Client client;
    ASSERT_TRUE(client.Establish(established));
    ASSERT_TRUE(client.Write("GET /bytes/1073741824 HTTP/1.1\r\nHost: h\r\n\r\n"));
    ASSERT_TRUE(established.Readable(10000));
    established.Reset();
  }
  EXPECT_TRUE(server_->Answers());
  const nlohmann::json statistics = server_->StopCleanly();
  // A reset before accept may leave no connection at all, or an end before the handshake.
  EXPECT_GE(statistics["ends"]["reset_by_peer"], 3 * kRounds) << statistics.dump(2);
  EXPECT_LE(statistics["ends"]["reset_by_peer"], 4 * kRounds) << statistics.dump(2);
}

TEST_F(HostileTest, ClientThatReadsNothingHoldsNoMemoryAndNobodyElse) {
  Serve({"--idle-timeout", "1s"});
  RawSocket socket(server_->port());
  Client client;
  ASSERT_TRUE(client.Establish(socket));
  ASSERT_TRUE(client.Write("GET /bytes/1073741824 HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(socket.Readable(10000));
  EXPECT_TRUE(server_->Answers());
  EXPECT_TRUE(socket.DrainToEnd());
  EXPECT_TRUE(server_->Answers());
  server_->StopCleanly();
}

TEST_F(HostileTest, MoreConnectionsThanAllowedWaitTheirTurn) {
  Serve({"--max-connections", "2", "--leg-timeout", "2s", "--processors", "1"});
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 6; ++i) sockets.push_back(std::make_unique<RawSocket>(server_->port()));
  EXPECT_TRUE(server_->Answers());
  for (const auto& socket : sockets) EXPECT_TRUE(socket->DrainToEnd());
  ExpectEnds("leg_timeout", 6);
}

TEST_F(HostileTest, StopEndsWhatIsOpen) {
  Serve();
  RawSocket silent(server_->port());
  RawSocket established(server_->port());
  Client client;
  ASSERT_TRUE(client.Establish(established));
  EXPECT_TRUE(server_->Answers());
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["connections"], 3);
}

}  // namespace
}  // namespace ktlsim::system_tests
