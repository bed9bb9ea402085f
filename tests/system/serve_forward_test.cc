// `ktlsim serve --upstream`: nginx and misbehaving backends, with curl as the client.

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tests/system/authority.h"
#include "tests/system/proxies.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

constexpr std::size_t kWaitingMax = 2 * 66 * 1024;  // per direction, serve/forward_service.h

std::vector<std::string> To(const std::vector<std::string>& backends,
                            std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"--self-signed", "localhost"};
  for (const std::string& backend : backends) {
    arguments.insert(arguments.end(), {"--upstream", backend});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Finished Curl(std::vector<std::string> more) {
  more.insert(more.begin(), {"curl", "-sS", "-k", "--max-time", "60"});
  return RunProgram(more, "", std::chrono::seconds(70));
}

// Responds to one request without a body.
void AnswerHello(int socket) {
  ReadUntil(socket, "\r\n\r\n");
  WriteAll(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

TEST(ServeForwardTest, NginxBehindIt) {
  if (!Nginx::installed()) GTEST_SKIP() << "nginx is not installed";
  Nginx nginx(";");
  ASSERT_TRUE(nginx.running());
  const std::string content = Pattern(40 << 20);
  std::ofstream(nginx.File("large")) << content;
  ServeProcess server(To({nginx.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  TemporaryFolder folder;
  const Finished curl = Curl({"-o", folder.File("copy"), server.url("/large")});
  EXPECT_EQ(curl.code, 0) << curl.output;
  EXPECT_EQ(std::filesystem::file_size(folder.File("copy")), content.size());
  EXPECT_EQ(RunProgram({"cmp", folder.File("copy"), nginx.File("large")}).code, 0);
  const Finished kept = Curl({"-o", "/dev/null", "-w", "%{num_connects};", server.url("/large"),
                              "-o", "/dev/null", server.url("/large")});
  EXPECT_EQ(kept.output, "1;0;");
  EXPECT_LE(server.StopCleanly()["forward"]["buffered_peak_bytes"].get<std::size_t>(), kWaitingMax);
}

// RST: as the kernel does when a socket is closed while received bytes lie unread in it.
void Reset(int socket) {
  // What was written must not be overtaken.
  int unacknowledged = 1;
  while (ioctl(socket, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0) {
    std::this_thread::yield();
  }
  const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
  EXPECT_EQ(connect(socket, &nowhere, sizeof nowhere), 0);
}

// Refuses an upload after its head, and closes with the rest of it unread.
void RefuseEarly(int socket) {
  ReadUntil(socket, "\r\n\r\n");
  WriteAll(socket,
           "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge");
}

TEST(ServeForwardTest, AResponseBeforeTheWholeRequestReachesTheClient) {
  TemporaryFolder folder;
  std::ofstream(folder.File("upload")) << Pattern(8 << 20);
  TcpBackend tcp([](int socket) {
    RefuseEarly(socket);
    Reset(socket);
  });
  TcpBackend local(RefuseEarly, folder.File("socket"));
  for (const std::string& backend : {tcp.address(), "unix:" + folder.File("socket")}) {
    ServeProcess server(To({backend}));
    ASSERT_TRUE(server.running()) << server.output();
    for (int i = 0; i < 10; ++i) {
      const Finished curl = Curl({"-w", "%{http_code}", "-H", "Expect:", "--data-binary",
                                  "@" + folder.File("upload"), server.url("/")});
      EXPECT_EQ(curl.output, "large413") << backend << ": exit " << curl.code;
    }
    server.StopCleanly();
  }
}

TEST(ServeForwardTest, AResponseThatTheBackendCutLooksCut) {
  TcpBackend backend([](int socket) {
    ReadUntil(socket, "\r\n\r\n");
    WriteAll(socket, "HTTP/1.1 200 OK\r\n\r\nhalf of it");
    Reset(socket);
  });
  ServeProcess server(To({backend.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  // curl ignores how TLS ends; openssl tells.
  const Finished openssl = RunProgram(
      {"openssl", "s_client", "-connect", server.address(), "-quiet", "-ign_eof"}, "GET\r\n\r\n");
  EXPECT_NE(openssl.output.find("half of it"), std::string::npos) << openssl.output;
  EXPECT_NE(openssl.output.find("unexpected eof"), std::string::npos) << openssl.output;
  EXPECT_EQ(server.StopCleanly()["forward"]["backend_resets"], 1);
}

TEST(ServeForwardTest, NginxUnderstandsTheProxyHeader) {
  if (!Nginx::installed()) GTEST_SKIP() << "nginx is not installed";
  Nginx nginx(
      "proxy_protocol; location = /who { return 200 "
      "\"$proxy_protocol_addr $proxy_protocol_server_addr $proxy_protocol_server_port\"; }");
  ASSERT_TRUE(nginx.running());
  ServeProcess server(To({nginx.address()}, {"--proxy-protocol", "--alpn", "http/1.1"}));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_EQ(Curl({server.url("/who")}).output,
            "127.0.0.1 127.0.0.1 " + std::to_string(server.port()));
  server.StopCleanly();
}

// The fields `client` and `verify` of PP2_TYPE_SSL, the last of the header's TLVs to come.
std::string SslFlagsIn(const std::string& header) {
  constexpr std::size_t kHeadBytes = 16;
  constexpr std::size_t kAddressBytes = 12;  // of IPv4
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(header[i]); };
  std::size_t at = kHeadBytes + kAddressBytes;
  while (at + 3 < header.size()) {
    if (byte(at) == 0x20) return header.substr(at + 3, 5);
    at += 3 + byte(at + 1) * 256U + byte(at + 2);
  }
  return "none";
}

TEST(ServeForwardTest, TheProxyHeaderTellsOfTheClientsCertificate) {
  Authority authority("Known");
  const Authority::Files known = authority.Issue("client");
  std::mutex mutex;
  std::vector<std::string> told;
  TcpBackend backend([&](int socket) {
    const std::string header = ReadUntil(socket, "GET");
    const std::lock_guard<std::mutex> lock(mutex);
    told.push_back(SslFlagsIn(header));
  });
  ServeProcess server(
      To({backend.address()}, {"--proxy-protocol", "--client-auth", "request", "--client-ca",
                               authority.certificate(), "--processors", "1"}));
  ASSERT_TRUE(server.running()) << server.output();
  TemporaryFolder folder;
  const auto get = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"openssl", "s_client", "-connect", server.address(), "-ign_eof"});
    RunProgram(more, "GET");
  };
  const std::string session = folder.File("session");
  get({"-tls1_2"});
  get({"-tls1_2", "-cert", known.certificate, "-key", known.key, "-sess_out", session});
  get({"-tls1_2", "-cert", known.certificate, "-key", known.key, "-sess_in", session});
  const std::string good(4, '\0');
  EXPECT_EQ(told, (std::vector<std::string>{std::string("\x01\0\0\0\x01", 5), "\x07" + good,
                                            "\x05" + good}));
  EXPECT_EQ(server.StopCleanly()["handshakes_resumed"], 1);
}

// PP2_TYPE_AUTHORITY, or "none".
std::string AuthorityIn(const std::string& header) {
  constexpr std::size_t kHeadBytes = 16;
  constexpr std::size_t kAddressBytes = 12;  // of IPv4
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(header[i]); };
  std::size_t at = kHeadBytes + kAddressBytes;
  while (at + 3 < header.size()) {
    const std::size_t length = byte(at + 1) * 256U + byte(at + 2);
    if (byte(at) == 0x02) return header.substr(at + 3, length);
    at += 3 + length;
  }
  return "none";
}

TEST(ServeForwardTest, TheProxyHeaderNamesTheServerHoweverTheHelloIsCut) {
  std::mutex mutex;
  std::vector<std::string> told;
  TcpBackend backend([&](int socket) {
    const std::string header = ReadUntil(socket, "GET");
    const std::lock_guard<std::mutex> lock(mutex);
    told.push_back(AuthorityIn(header));
  });
  ServeProcess server(To({backend.address()}, {"--proxy-protocol", "--processors", "1"}));
  ASSERT_TRUE(server.running()) << server.output();
  // A hello of 900 bytes, in records of 512 at most.
  std::string protocols = std::string(200, 'a');
  for (const char c : {'b', 'c'}) protocols += "," + std::string(200, c);
  const auto get = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"openssl", "s_client", "-connect", server.address(), "-ign_eof",
                               "-max_send_frag", "512"});
    RunProgram(more, "GET");
  };
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    get({version, "-servername", "name.example", "-alpn", protocols});
    get({version, "-servername", "name.example"});
    get({version, "-noservername", "-alpn", protocols});
  }
  EXPECT_EQ(told, (std::vector<std::string>{"name.example", "name.example", "none", "name.example",
                                            "name.example", "none"}));
  server.StopCleanly();
}

// KTLSIM_UPLOAD_MIB=1024 makes it a gibibyte.
TEST(ServeForwardTest, PassesALargeUploadOn) {
  const char* const wanted = std::getenv("KTLSIM_UPLOAD_MIB");
  const std::size_t bytes = std::size_t{wanted != nullptr ? std::stoul(wanted) : 128} << 20;
  std::atomic<std::size_t> received{0};
  TcpBackend backend([&](int socket) {
    const std::string head = ReadUntil(socket, "\r\n\r\n");
    received += head.size() - head.find("\r\n\r\n") - 4;
    std::vector<char> piece(1 << 18);
    while (received < bytes) {
      const ssize_t part = recv(socket, piece.data(), piece.size(), 0);
      if (part <= 0) return;
      received += static_cast<std::size_t>(part);
    }
    WriteAll(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  ServeProcess server(To({backend.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  TemporaryFolder folder;
  {
    const std::ofstream upload(folder.File("upload"));
  }
  std::filesystem::resize_file(folder.File("upload"), bytes);  // sparse
  const Finished curl = Curl({"-T", folder.File("upload"), "-H", "Expect:", server.url("/")});
  EXPECT_EQ(curl.output, "ok");
  EXPECT_EQ(received, bytes);
  EXPECT_LE(server.StopCleanly()["forward"]["buffered_peak_bytes"].get<std::size_t>(), kWaitingMax);
}

// What the backend can send is bounded by the sockets' buffers and ours, not by how long it tries.
TEST(ServeForwardTest, ASlowReaderMakesTheBackendWait) {
  std::atomic<std::size_t> sent{0};
  TcpBackend backend([&](int socket) {
    ReadUntil(socket, "\r\n\r\n");
    const std::string piece(1 << 16, 'x');
    WriteAll(socket, "HTTP/1.0 200 OK\r\n\r\n");
    while (WriteAll(socket, piece)) sent += piece.size();
  });
  ServeProcess server(To({backend.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  const Finished curl = RunProgram({"curl", "-sS", "-k", "--limit-rate", "100k", "--max-time", "2",
                                    "-o", "/dev/null", server.url("/")});
  EXPECT_EQ(curl.code, 28) << curl.output;
  EXPECT_LT(sent, std::size_t{64} << 20);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_GT(statistics["forward"]["buffered_peak_bytes"].get<std::size_t>(), 0U);
  EXPECT_LE(statistics["forward"]["buffered_peak_bytes"].get<std::size_t>(), kWaitingMax);
}

TEST(ServeForwardTest, GoesAroundADeadBackend) {
  TcpBackend backend(&AnswerHello);
  ServeProcess server(
      To({fmt::format("127.0.0.1:{}", UnusedPort()), backend.address()}, {"--tickets", "0"}));
  ASSERT_TRUE(server.running()) << server.output();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Curl({server.url("/")}).output, "hello");
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["forward"]["forwarded"], 6);
  EXPECT_EQ(statistics["forward"]["without_backend"], 0);
  const int failures = statistics["forward"]["connect_failures"].get<int>();
  EXPECT_GE(failures, 1);
  EXPECT_LT(failures, 6) << "the backend is left out for a while";
  EXPECT_NE(server.output().find("backend out"), std::string::npos);
}

TEST(ServeForwardTest, WithoutABackendTheClientIsTurnedAwayAndTheServerLives) {
  const int port = UnusedPort();
  ServeProcess server(To({fmt::format("127.0.0.1:{}", port)}));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_NE(Curl({server.url("/")}).code, 0);
  EXPECT_NE(Curl({server.url("/")}).code, 0);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["forward"]["without_backend"], 2);
  EXPECT_EQ(statistics["ends"]["no_backend"], 2);
  EXPECT_EQ(statistics["ends"]["aborted"], 0);
  EXPECT_NE(server.output().find("\n           2  no backend\n"), std::string::npos)
      << server.output();
}

// The client sends close_notify and goes on reading; the backend sees the end of the request, and
// responds only then.
TEST(ServeForwardTest, AHalfClosedConnectionGetsItsAnswer) {
  TcpBackend backend([](int socket) {
    const std::string all = ReadUntil(socket, "");
    WriteAll(socket, fmt::format("{} bytes, ", all.size()) + Pattern(200'000));
  });
  ServeProcess server(To({backend.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                             &SSL_CTX_free);
  const std::unique_ptr<BIO, void (*)(BIO*)> client(BIO_new_ssl_connect(context.get()),
                                                    &BIO_free_all);
  BIO_set_conn_hostname(client.get(), server.address().c_str());
  const std::string text = Pattern(50'000);
  ASSERT_EQ(BIO_write(client.get(), text.data(), static_cast<int>(text.size())), 50'000);
  SSL* ssl = nullptr;
  BIO_get_ssl(client.get(), &ssl);
  EXPECT_EQ(SSL_shutdown(ssl), 0);
  std::string answer;
  char piece[16384];
  int bytes = 0;
  while ((bytes = SSL_read(ssl, piece, sizeof(piece))) > 0) {
    answer.append(piece, static_cast<std::size_t>(bytes));
  }
  EXPECT_EQ(SSL_get_error(ssl, bytes), SSL_ERROR_ZERO_RETURN);
  EXPECT_TRUE(answer == "50000 bytes, " + Pattern(200'000)) << answer.size();
  EXPECT_EQ(server.StopCleanly()["ends"]["completed"], 1);
}

TEST(ServeForwardTest, PassesAResetOn) {
  TcpBackend backend([](int socket) {
    ReadUntil(socket, "\r\n\r\n");
    WriteAll(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    // The second descriptor of the connection must not keep it open.
    shutdown(socket, SHUT_RD);
    sockaddr none{};
    none.sa_family = AF_UNSPEC;
    EXPECT_EQ(connect(socket, &none, sizeof(none)), 0);  // RST at once
  });
  ServeProcess server(To({backend.address()}));
  ASSERT_TRUE(server.running()) << server.output();
  const Finished curl = Curl({server.url("/")});
  EXPECT_NE(curl.code, 0) << curl.output;
  EXPECT_EQ(server.StopCleanly()["forward"]["backend_resets"], 1);
}

}  // namespace
}  // namespace ktlsim::system_tests
