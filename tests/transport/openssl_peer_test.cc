// libssl as the client: what our own client never does, key updates above all.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

class OpensslPeerTest : public TransportTest {
 protected:
  void Connect(int version) {
    peer_.emplace(Dial());
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), peer_->descriptor());
    ASSERT_EQ(SSL_connect(ssl_.get()), 1) << ERR_reason_error_string(ERR_get_error());
  }
  void ExpectEcho(const std::string& text) {
    ASSERT_EQ(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
    std::string got;
    while (got.size() < text.size()) {
      std::array<char, 16384> some;
      const int count = SSL_read(ssl_.get(), some.data(), some.size());
      ASSERT_GT(count, 0) << ERR_reason_error_string(ERR_get_error());
      got.append(some.data(), static_cast<std::size_t>(count));
    }
    EXPECT_TRUE(got == text);
  }

  std::optional<RawPeer> peer_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
};

TEST_F(OpensslPeerTest, KeyUpdatesBetweenRecordsInBothDirections) {
  StartServer(DefaultServer());
  Connect(TLS1_3_VERSION);
  for (int round = 0; round < 50; ++round) {
    ASSERT_EQ(SSL_key_update(ssl_.get(), round % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED
                                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
              1);
    ExpectEcho(Pattern(1 + static_cast<std::size_t>(round) * 1500, 7));
  }
  EXPECT_EQ(SSL_shutdown(ssl_.get()), 0);
  EXPECT_EQ(SSL_shutdown(ssl_.get()), 1);
  peer_->Close();
  ExpectServerEnded(EndKind::kCompleted);
}

// Sends without pause, then closes.
class Source final : public ConnectionHandler {
 public:
  void OnEstablished(Connection& connection) override { Fill(connection); }
  void OnWritable(Connection& connection) override { Fill(connection); }
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  void Fill(Connection& connection) {
    while (sent_ < kBytes) {
      std::span<std::byte> space = connection.SendSpace();
      if (space.empty()) return;
      space = space.first(std::min(space.size(), kBytes - sent_));
      for (std::size_t i = 0; i < space.size(); ++i) {
        space[i] = static_cast<std::byte>((sent_ + i) % 253);
      }
      connection.CommitSend(space.size());
      sent_ += space.size();
    }
    connection.ShutdownSend();
  }
  static constexpr std::size_t kBytes = 20 * 1000 * 1000;
  std::size_t sent_ = 0;
};

// The updates arrive while records are being sealed.
TEST_F(OpensslPeerTest, KeyUpdatesWhileTheServerIsSending) {
  StartServer(DefaultServer(), [](Connection&) { return new Source(); });
  Connect(TLS1_3_VERSION);
  std::size_t received = 0;
  std::size_t next_update = 0;
  std::array<unsigned char, 16384> some;
  for (;;) {
    const int count = SSL_read(ssl_.get(), some.data(), some.size());
    if (count <= 0) break;
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(some[static_cast<std::size_t>(i)], (received + static_cast<std::size_t>(i)) % 253);
    }
    received += static_cast<std::size_t>(count);
    if (received < next_update) continue;
    next_update += 100 * 1000;
    ASSERT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_write(ssl_.get(), "x", 1), 1);
  }
  EXPECT_EQ(received, 20U * 1000 * 1000);
  EXPECT_EQ(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  SSL_shutdown(ssl_.get());
  peer_->Close();
  ExpectServerEnded(EndKind::kCompleted);
}

TEST_F(OpensslPeerTest, Tls12AndAnOrderlyClose) {
  StartServer(DefaultServer());
  Connect(TLS1_2_VERSION);
  ExpectEcho(Pattern(100000));
  EXPECT_EQ(SSL_shutdown(ssl_.get()), 0);
  EXPECT_EQ(SSL_shutdown(ssl_.get()), 1);
  ExpectServerEnded(EndKind::kCompleted);
}

TEST_F(OpensslPeerTest, RenegotiationIsRefusedAndHurtsNobody) {
  StartServer(DefaultServer());
  Connect(TLS1_2_VERSION);
  ExpectEcho("before");
  ASSERT_EQ(SSL_renegotiate(ssl_.get()), 1);
  SSL_do_handshake(ssl_.get());
  // The client gets the alert and gives up by itself, so no connection is left that waits to be
  // served.
  ASSERT_LE(SSL_read(ssl_.get(), std::array<char, 1>().data(), 1), 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), SSL_R_NO_RENEGOTIATION);
  peer_->Close();
  WaitForEnded(1);
}

}  // namespace
}  // namespace ktlsim::test
