// KeyUpdates of a connection that only sends or only receives: those of its own limit, and those
// that the peer requests. libssl is the peer; the handshake messages that it sees are counted.

#include <ktlsim/sspi_ext.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/package_host.h"
#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

// Sends `bytes` without pause, then closes; or only reads and discards.
class OneWayHandler final : public ConnectionHandler {
 public:
  explicit OneWayHandler(std::size_t bytes) : bytes_(bytes) {}
  void OnEstablished(Connection& connection) override { Fill(connection); }
  void OnWritable(Connection& connection) override { Fill(connection); }
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  void Fill(Connection& connection) {
    if (bytes_ == 0) return;
    while (sent_ < bytes_) {
      std::span<std::byte> space = connection.SendSpace();
      if (space.empty()) return;
      space = space.first(std::min(space.size(), bytes_ - sent_));
      for (std::size_t i = 0; i < space.size(); ++i) {
        space[i] = static_cast<std::byte>((sent_ + i) % 253);
      }
      connection.CommitSend(space.size());
      sent_ += space.size();
    }
    connection.ShutdownSend();
  }
  const std::size_t bytes_;
  std::size_t sent_ = 0;
};

class TransportKeyUpdateTest : public TransportTest {
 protected:
  // A server credential whose keys may seal fewer records than usual, made below the public API.
  static CredHandle Limited(std::uint64_t before_update, std::uint64_t per_key) {
    tls::EndpointOptions options;
    options.role = tls::Role::kServer;
    options.tickets = 0;  // they would count
    options.certificates = {sspi::CertificateOf(LocalhostCertificate())};
    options.record_limits.records_before_update = before_update;
    options.record_limits.records_per_key = per_key;
    std::unique_ptr<sspi::PackageCredential> credential;
    EXPECT_EQ(sspi::TlsCredential::Create(TestPackageHost::Instance(), sspi::Direction::kInbound, 0,
                                          0, std::move(options), &credential),
              SEC_E_OK);
    sspi::Runtime& runtime = sspi::Runtime::Instance();
    std::unique_ptr<executive::Object> object = std::make_unique<sspi::CredentialObject>(
        *runtime.FindPackage(UNISP_NAME_A), std::move(credential));
    return sspi::MakeCredentialHandle(runtime.credentials().Insert(object));
  }

  void Start(const ServerOptions& options, std::size_t bytes) {
    StartServer(options, [bytes](Connection&) { return new OneWayHandler(bytes); });
    peer_.emplace(Dial());
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION);
    ASSERT_EQ(SSL_CTX_set_ciphersuites(context_.get(), "TLS_AES_128_GCM_SHA256"), 1);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), peer_->descriptor());
    SSL_set_msg_callback(ssl_.get(), &TransportKeyUpdateTest::Watch);
    SSL_set_msg_callback_arg(ssl_.get(), this);
    ASSERT_EQ(SSL_connect(ssl_.get()), 1) << ERR_reason_error_string(ERR_get_error());
  }
  void StartLimited(std::uint64_t before_update, std::uint64_t per_key,
                    std::uint64_t between_checks, std::size_t bytes) {
    limited_ = Limited(before_update, per_key);
    ServerOptions options = DefaultServer();
    options.tls.credential = limited_;
    options.tls.records_between_key_checks = between_checks;
    Start(options, bytes);
  }
  void TearDown() override {
    ssl_.reset();
    peer_.reset();
    server_.Stop();
    if (SecIsValidHandle(&limited_)) {
      EXPECT_EQ(FreeCredentialsHandle(&limited_), SEC_E_OK);
    }
    TransportTest::TearDown();
  }

  static void Watch(int sent, int, int content_type, const void* bytes, std::size_t size, SSL*,
                    void* self) {
    if (sent == 0 && content_type == SSL3_RT_HANDSHAKE && size != 0 &&
        *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE) {
      ++static_cast<TransportKeyUpdateTest*>(self)->key_updates_;
    }
  }

  // Reads the pattern to its end. `each` is called after every piece.
  template <typename Each>
  std::size_t ReadToEnd(Each each) {
    std::size_t received = 0;
    std::array<unsigned char, 16384> some;
    for (;;) {
      const int count = SSL_read(ssl_.get(), some.data(), some.size());
      if (count <= 0) return received;
      for (int i = 0; i < count; ++i) {
        const std::size_t at = received + static_cast<std::size_t>(i);
        if (some[static_cast<std::size_t>(i)] != at % 253) return 0;
      }
      received += static_cast<std::size_t>(count);
      each(received);
    }
  }
  void Close() {
    SSL_shutdown(ssl_.get());
    peer_->Close();
    ExpectServerEnded(EndKind::kCompleted);
  }

  CredHandle limited_ = {~ULONG_PTR{0}, ~ULONG_PTR{0}};
  std::optional<RawPeer> peer_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
  int key_updates_ = 0;
};

constexpr std::size_t kRecord = 16384;

TEST_F(TransportKeyUpdateTest, TheOwnLimitIsMetWithAKeyUpdateInTime) {
  // Due from three records on; the connection asks after every record.
  constexpr std::size_t kBytes = 40 * kRecord;
  StartLimited(3, 1000, 1, kBytes);
  EXPECT_EQ(ReadToEnd([](std::size_t) {}), kBytes);
  EXPECT_EQ(key_updates_, 13);
  Close();
}

TEST_F(TransportKeyUpdateTest, WithoutAQuestionTheHardLimitAsks) {
  constexpr std::size_t kBytes = 40 * kRecord;
  StartLimited(3, 5, 1'000'000, kBytes);
  EXPECT_EQ(ReadToEnd([](std::size_t) {}), kBytes);
  EXPECT_EQ(key_updates_, 7) << "after every fifth record but the last";
  Close();
}

TEST_F(TransportKeyUpdateTest, QuestionsThatFindNothingDueCostNothing) {
  constexpr std::size_t kBytes = 40 * kRecord;
  StartLimited(1'000'000, 2'000'000, 1, kBytes);
  EXPECT_EQ(ReadToEnd([](std::size_t) {}), kBytes);
  EXPECT_EQ(key_updates_, 0);
  Close();
}

TEST_F(TransportKeyUpdateTest, ThePeerAsksWhileWeOnlySend) {
  constexpr std::size_t kBytes = 400 * kRecord;
  Start(DefaultServer(), kBytes);
  int asked = 0;
  std::size_t next = 0;
  const std::size_t received = ReadToEnd([&](std::size_t so_far) {
    if (so_far < next || asked == 20) return;
    next = so_far + 10 * kRecord;
    ++asked;
    // The message alone, no data after it.
    if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) != 1 ||
        SSL_do_handshake(ssl_.get()) != 1) {
      ADD_FAILURE() << ERR_reason_error_string(ERR_get_error());
    }
  });
  EXPECT_EQ(received, kBytes);
  EXPECT_EQ(asked, 20);
  EXPECT_EQ(key_updates_, 20);
  Close();
}

TEST_F(TransportKeyUpdateTest, ThePeerAsksWhileWeOnlyReceive) {
  Start(DefaultServer(), 0);
  const std::string text = Pattern(50000);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())),
              static_cast<int>(text.size()));
  }
  ASSERT_EQ(SSL_shutdown(ssl_.get()), 0);
  ReadToEnd([](std::size_t) {});
  EXPECT_EQ(key_updates_, 20);
  peer_->Close();
  ExpectServerEnded(EndKind::kCompleted);
}

}  // namespace
}  // namespace ktlsim::test
