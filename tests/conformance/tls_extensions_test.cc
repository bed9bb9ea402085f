// What `ktlsim serve` does with the extensions of a ClientHello, RFC by RFC: accepted, ignored or
// refused, and with which alert. The client is OpenSSL.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/system/serve_process.h"

namespace ktlsim::conformance {
namespace {

using system_tests::ServeProcess;

constexpr int kLimitSeconds = 10;
constexpr int kEstablished = -1;

// One client connection. The alert that the server sent is kept.
class Client {
 public:
  explicit Client(int port)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free),
        ssl_(SSL_new(context_.get()), &SSL_free) {
    const timeval limit{.tv_sec = kLimitSeconds, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    SSL_set_fd(ssl_.get(), fd_);
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_info_callback(ssl_.get(), [](const SSL* ssl, int where, int code) {
      if (where == SSL_CB_READ_ALERT) {
        static_cast<Client*>(SSL_get_app_data(ssl))->alert_ = code & 0xff;
      }
    });
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  SSL* ssl() { return ssl_.get(); }
  int alert() const { return alert_; }

  // kEstablished, or the number of the alert that the server refused with; 256 without one.
  int Connect() {
    if (!connected_) return 256;
    if (SSL_connect(ssl_.get()) == 1) return kEstablished;
    return alert_;
  }
  // For an established connection: sends a request and reads the response.
  bool Answers() {
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    if (SSL_write(ssl_.get(), kRequest.data(), static_cast<int>(kRequest.size())) <= 0) {
      return false;
    }
    std::array<char, 12> answer{};
    return SSL_read(ssl_.get(), answer.data(), answer.size()) > 0 &&
           std::string_view(answer.data(), 8) == "HTTP/1.1";
  }

 private:
  const int fd_;
  bool connected_ = false;
  int alert_ = 256;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

struct Row {
  const char* clause;
  const char* decided;
  std::function<void(SSL*)> offer;
  int alert;                       // kEstablished: the handshake succeeds
  std::function<bool(SSL*)> then;  // a check of the established connection; may be empty
};

void Version(SSL* ssl, int version) {
  SSL_set_min_proto_version(ssl, version);
  SSL_set_max_proto_version(ssl, version);
}
void Alpn(SSL* ssl, const std::string& wire) {
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()),
                      static_cast<unsigned>(wire.size()));
}
std::string SelectedAlpn(SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

std::vector<Row> Rows() {
  return {
      {"8446 4.1.1", "TLS 1.3 where both offer it", [](SSL*) {}, kEstablished,
       [](SSL* ssl) { return SSL_version(ssl) == TLS1_3_VERSION; }},
      {"8446 4.2.1", "TLS 1.2 where the client offers no more",
       [](SSL* ssl) { Version(ssl, TLS1_2_VERSION); }, kEstablished,
       [](SSL* ssl) { return SSL_version(ssl) == TLS1_2_VERSION; }},
      {"8446 6.2",
       "TLS 1.1 is refused: protocol_version",
       [](SSL* ssl) {
         SSL_set_security_level(ssl, 0);
         Version(ssl, TLS1_1_VERSION);
       },
       70,
       {}},
      {"7507 3",
       "a fallback below what both have is refused: inappropriate_fallback",
       [](SSL* ssl) {
         Version(ssl, TLS1_2_VERSION);
         SSL_set_mode(ssl, SSL_MODE_SEND_FALLBACK_SCSV);
       },
       86,
       {}},
      {"8446 4.1.1",
       "no common cipher suite: handshake_failure",
       [](SSL* ssl) {
         Version(ssl, TLS1_2_VERSION);
         SSL_set_cipher_list(ssl, "AES128-SHA");
       },
       40,
       {}},
      {"8446 4.2.7", "a group that needs a HelloRetryRequest",
       [](SSL* ssl) { SSL_set1_groups_list(ssl, "P-521:P-256"); }, kEstablished,
       [](SSL* ssl) { return SSL_version(ssl) == TLS1_3_VERSION; }},
      {"7301 3.2", "the server's preference among the client's protocols",
       [](SSL* ssl) { Alpn(ssl, "\x08http/1.0\x08http/1.1"); }, kEstablished,
       [](SSL* ssl) { return SelectedAlpn(ssl) == "http/1.1"; }},
      {"7301 3.2",
       "no protocol in common: no_application_protocol",
       [](SSL* ssl) { Alpn(ssl, "\x02h3"); },
       120,
       {}},
      {"7301 3.1", "a client without the extension is served", [](SSL*) {}, kEstablished,
       [](SSL* ssl) { return SelectedAlpn(ssl).empty(); }},
      {"6066 3",
       "a name that no certificate has gets the default certificate",
       [](SSL* ssl) { SSL_set_tlsext_host_name(ssl, "unknown.example"); },
       kEstablished,
       {}},
      {"6066 8", "an OCSP staple that does not exist is not sent",
       [](SSL* ssl) { SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp); }, kEstablished,
       [](SSL* ssl) {
         const unsigned char* staple = nullptr;
         return SSL_get_tlsext_status_ocsp_resp(ssl, &staple) <= 0;
       }},
      {"7627 5.2", "extended_master_secret in TLS 1.2",
       [](SSL* ssl) { Version(ssl, TLS1_2_VERSION); }, kEstablished,
       [](SSL* ssl) { return SSL_get_extms_support(ssl) == 1; }},
      {"5746 3.6", "renegotiation_info in TLS 1.2", [](SSL* ssl) { Version(ssl, TLS1_2_VERSION); },
       kEstablished, [](SSL* ssl) { return SSL_get_secure_renegotiation_support(ssl) == 1; }},
      {"7366 2",
       "encrypt_then_mac is of no use to AEAD suites",
       [](SSL* ssl) {
         Version(ssl, TLS1_2_VERSION);
         SSL_set_cipher_list(ssl, "ECDHE+AESGCM");
       },
       kEstablished,
       {}},
      {"8446 4.2.9",
       "a client without psk_dhe_ke gets no ticket that it could use, and is served",
       [](SSL* ssl) { SSL_set_options(ssl, SSL_OP_NO_TICKET); },
       kEstablished,
       {}},
      {"8446 4.6.2",
       "post_handshake_auth is not used",
       [](SSL* ssl) { SSL_set_post_handshake_auth(ssl, 1); },
       kEstablished,
       {}},
  };
}

TEST(TlsExtensionsConformanceTest, EveryClauseIsKept) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--alpn",
                       "http/1.1,http/1.0", "--groups", "X25519:P-256"});
  ASSERT_TRUE(server.running()) << server.output();
  for (const Row& row : Rows()) {
    SCOPED_TRACE(std::string("RFC ") + row.clause + ": " + row.decided);
    Client client(server.port());
    row.offer(client.ssl());
    ASSERT_EQ(client.Connect(), row.alert);
    if (row.alert != kEstablished) continue;
    if (row.then) {
      EXPECT_TRUE(row.then(client.ssl()));
    }
    EXPECT_TRUE(client.Answers());
  }
  server.StopCleanly();
}

TEST(TlsExtensionsConformanceTest, StrictNamesAreRefusedWithTheirAlert) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1", "--strict-sni"});
  ASSERT_TRUE(server.running()) << server.output();
  // RFC 6066 3: unrecognized_name.
  Client stranger(server.port());
  SSL_set_tlsext_host_name(stranger.ssl(), "unknown.example");
  EXPECT_EQ(stranger.Connect(), 112);
  Client nameless(server.port());
  EXPECT_EQ(nameless.Connect(), kEstablished);
  EXPECT_TRUE(nameless.Answers());
  server.StopCleanly();
}

TEST(TlsExtensionsConformanceTest, RenegotiationIsRefusedWithAWarning) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "1"});
  ASSERT_TRUE(server.running()) << server.output();
  Client client(server.port());
  Version(client.ssl(), TLS1_2_VERSION);
  ASSERT_EQ(client.Connect(), kEstablished);
  ASSERT_EQ(SSL_renegotiate(client.ssl()), 1);
  SSL_do_handshake(client.ssl());
  client.Answers();
  // RFC 5246 7.2.2. OpenSSL's client then gives the connection up, which other clients need not do.
  EXPECT_EQ(client.alert(), 100);
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::conformance
