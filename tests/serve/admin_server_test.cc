// The admin server over real sockets: what it answers, and what hostile clients can do to it.
#include "kernel_sim/serve/admin_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

constexpr int kPatienceMs = 20'000;

class Pages final : public AdminPages {
 public:
  AdminResponse Get(std::string_view path) override {
    if (path == "/throw") throw std::bad_alloc();
    if (path == "/long") return {.body = std::make_shared<const std::string>(kLong, 'x')};
    if (path == "/") return {.body = std::make_shared<const std::string>("hello\n")};
    return {.status = 404, .fields = "X-Own: 1\r\n"};
  }

  bool Admits(std::string_view host) override { return !host.starts_with("other."); }

  static constexpr std::size_t kLong = 32 << 20;  // more than sockets hold
};

class Client {
 public:
  explicit Client(const io::Address& server)
      : socket_(socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(connect(socket_, server.data(), server.size()), 0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What the server has closed takes nothing any more.
  bool Send(std::string_view text) {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  void SendFin() { shutdown(socket_, SHUT_WR); }
  // Until `text` has come, or the end.
  std::string ReadUntil(std::string_view text) {
    std::string got;
    while (text.empty() || got.find(text) == std::string::npos) {
      const std::string more = ReadSome();
      if (more.empty()) break;
      got += more;
    }
    return got;
  }
  // Until the server has closed.
  std::string ReadAll() { return ReadUntil(""); }
  // Empty: the end.
  std::string ReadSome() {
    pollfd wait = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, kPatienceMs) != 1) {
      ADD_FAILURE() << "nothing has come";
      return {};
    }
    std::string some(65'536, 0);
    const ssize_t bytes = recv(socket_, some.data(), some.size(), 0);
    some.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return some;
  }

 private:
  const int socket_;
};

class AdminServerTest : public testing::Test {
 protected:
  void Start(const AdminLimits& limits = {}) {
    auto started = AdminServer::Start(io::Address::Loopback(0), pages_, limits);
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    server_ = std::move(*started);
  }
  std::string Ask(std::string_view request) {
    Client client(server_->bound());
    client.Send(request);
    return client.ReadAll();
  }

  Pages pages_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, GetAndHeadAreAnsweredAndNothingElseIs) {
  Start();
  EXPECT_TRUE(
      Ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("\r\n\r\nhello\n"));
  const std::string head = Ask("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 6\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  const std::string post = Ask("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(post.starts_with("HTTP/1.1 405 ")) << post;
  EXPECT_NE(post.find("Allow: GET, HEAD\r\n"), std::string::npos);
  const std::string none = Ask("GET /?a HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(none.starts_with("HTTP/1.1 200 ")) << "the query is no part of the path";
  const std::string other = Ask("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(other.starts_with("HTTP/1.1 404 ")) << other;
  EXPECT_NE(other.find("X-Own: 1\r\n"), std::string::npos);
}

TEST_F(AdminServerTest, AConnectionServesManyRequestsAlsoTogether) {
  Start();
  Client client(server_->bound());
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  client.Send(request);
  EXPECT_TRUE(client.ReadUntil("hello\n").ends_with("hello\n"));
  client.Send(request + request + "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string rest = client.ReadAll();
  EXPECT_NE(rest.find("hello\nHTTP/1.1 200 OK"), std::string::npos) << rest;
  EXPECT_NE(rest.find("HTTP/1.1 404 "), std::string::npos) << rest;
}

TEST_F(AdminServerTest, WhatIsNoGoodRequestGetsItsRefusalAndTheConnectionEnds) {
  Start();
  const auto first = [](const std::string& text) { return text.substr(0, 12); };
  EXPECT_EQ(first(Ask("\x16\x03\x01 hello, TLS\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_EQ(first(Ask("GET / HTTP/1.1\r\n\r\n")), "HTTP/1.1 400") << "no host";
  EXPECT_EQ(first(Ask("GET / HTTP/2.0\r\nHost: a\r\n\r\n")), "HTTP/1.1 505");
  EXPECT_EQ(first(Ask("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")),
            "HTTP/1.1 413");
  EXPECT_EQ(first(Ask("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n")),
            "HTTP/1.1 431");
  EXPECT_EQ(first(Ask("GET /" + std::string(300, '%') + " HTTP/1.0\r\n\r\n")), "HTTP/1.1 404");
}

TEST_F(AdminServerTest, WhoComesByANameThatIsNotAdmittedIsForbidden) {
  Start();
  const auto first = [](const std::string& text) { return text.substr(0, 12); };
  EXPECT_EQ(first(Ask("GET / HTTP/1.0\r\nHost: other.example:80\r\n\r\n")), "HTTP/1.1 403");
  EXPECT_EQ(first(Ask("POST / HTTP/1.0\r\nHost: other.example\r\n\r\n")), "HTTP/1.1 403");
  // Each request by its own name.
  Client client(server_->bound());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: other.a\r\n\r\n");
  EXPECT_NE(client.ReadUntil("403 Forbidden").find("hello\n"), std::string::npos);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.ReadAll().ends_with("hello\n"));
}

TEST_F(AdminServerTest, APageWithoutMemoryIs503AndTheServerGoesOn) {
  Start();
  EXPECT_TRUE(Ask("GET /throw HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(Ask("GET / HTTP/1.0\r\n\r\n").ends_with("hello\n"));
}

TEST_F(AdminServerTest, AClientThatDoesNotAskIsClosed) {
  Start({.request_ns = 20 * kNsPerMs});
  Client silent(server_->bound());
  Client halting(server_->bound());
  halting.Send("GET / HT");
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_EQ(halting.ReadAll(), "");
}

TEST_F(AdminServerTest, AClientThatDoesNotTakeItsResponseIsClosedAndAnIdleOneIs) {
  Start({.response_ns = 20 * kNsPerMs, .idle_ns = 40 * kNsPerMs});
  Client full(server_->bound());
  full.Send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(full.ReadSome().empty());
  Client idle(server_->bound());
  idle.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(idle.ReadAll().ends_with("hello\n")) << "then the end";
  EXPECT_LT(full.ReadAll().size(), Pages::kLong) << "whose time was over before";
}

TEST_F(AdminServerTest, WhileAllConnectionsAreTakenAnIdleOneMakesRoom) {
  Start({.connections_max = 3, .request_ns = 10 * kNsPerSecond});
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Client oldest(server_->bound());
  oldest.Send(request);
  EXPECT_TRUE(oldest.ReadUntil("hello\n").ends_with("hello\n"));
  Client newer(server_->bound());
  newer.Send(request);
  EXPECT_TRUE(newer.ReadUntil("hello\n").ends_with("hello\n"));
  Client busy(server_->bound());
  busy.Send("GET /");
  Client late(server_->bound());
  late.Send(request);
  EXPECT_TRUE(late.ReadUntil("hello\n").ends_with("hello\n"));
  EXPECT_EQ(oldest.ReadAll(), "") << "it made room";
  busy.Send(" HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(busy.ReadUntil("hello\n").ends_with("hello\n")) << "a request under way does not";
  newer.Send(request);
  EXPECT_TRUE(newer.ReadUntil("hello\n").ends_with("hello\n"));
}

// Some ask and read nothing, some end in the middle of a request, some reset.
TEST_F(AdminServerTest, ManyRudeClientsDoNotKeepOthersOut) {
  Start({.connections_max = 4});
  std::vector<std::unique_ptr<Client>> rude;
  for (int i = 0; i < 20; ++i) {
    rude.push_back(std::make_unique<Client>(server_->bound()));
    rude.back()->Send(i % 2 == 0 ? "GET" : "GET / HTTP/1.0\r\n\r\n");
    if (i % 2 == 0) rude.back()->SendFin();
    if (i % 5 == 0) rude.back().reset();
  }
  EXPECT_TRUE(Ask("GET / HTTP/1.0\r\n\r\n").ends_with("hello\n"));
}

TEST_F(AdminServerTest, AnAddressInUseIsAnError) {
  Start();
  const auto second = AdminServer::Start(server_->bound(), pages_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), EADDRINUSE);
}

TEST_F(AdminServerTest, ItEndsWithConnectionsOpen) {
  Start();
  Client client(server_->bound());
  client.Send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_FALSE(client.ReadSome().empty());
  server_.reset();
  EXPECT_LT(client.ReadAll().size(), Pages::kLong);
}

}  // namespace
}  // namespace ktlsim::serve
