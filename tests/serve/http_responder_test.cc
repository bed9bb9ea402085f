#include "kernel_sim/serve/http_responder.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel_sim/serve/http_content.h"
#include "tests/io/ring_test_support.h"
#include "tests/serve/fake_connection.h"

namespace ktlsim::serve {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kGetClose = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

std::string Pattern(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

class HttpResponderTest : public testing::Test {
 protected:
  HttpResponderTest() {
    options_.respond_bytes = 10;
    connection_.its_loop = ring_.get();
  }
  ~HttpResponderTest() override {
    if (handler_ != nullptr) connection_.End(*handler_);
  }

  transport::ConnectionHandler& handler() {
    if (handler_ == nullptr) handler_ = MakeHttpResponder(options_, connection_);
    return *handler_;
  }
  void Receive(std::string_view text) { connection_.Receive(handler(), text); }
  void RunFor(std::uint64_t ns) {
    const std::uint64_t end_ns = ring_->NowNs() + ns;
    ASSERT_TRUE(io::TurnUntil(*ring_, [&] { return ring_->NowNs() >= end_ns; }));
  }
  // Sends `text` at regular intervals until the connection is closed; returns how long that took.
  std::uint64_t Trickle(std::string_view text, std::uint64_t every_ns, std::uint64_t at_most_ns) {
    const std::uint64_t begun_ns = ring_->NowNs();
    while (!connection_.closed && ring_->NowNs() < begun_ns + at_most_ns) {
      Receive(text);
      RunFor(every_ns);
    }
    return ring_->NowNs() - begun_ns;
  }

  // Takes the next response from the sent bytes: "<status> <body>".
  std::string TakeResponse(bool head_only = false) {
    const std::size_t end = connection_.sent.find("\r\n\r\n");
    if (end == std::string::npos) return "nothing";
    const std::string head = connection_.sent.substr(0, end);
    std::size_t length = 0;
    const std::size_t at = head.find("Content-Length: ");
    if (at != std::string::npos && !head_only) length = std::stoul(head.substr(at + 16));
    const std::string body = connection_.sent.substr(end + 4, length);
    connection_.sent.erase(0, end + 4 + length);
    return head.substr(9, 3) + " " + body;
  }

  io::MemoryNetwork network_{io::MemoryNetworkOptions{}};
  std::unique_ptr<io::MemoryRing> ring_ = io::CreateMemoryRing(network_, {}).value();
  HttpOptions options_;
  FakeConnection connection_;
  transport::ConnectionHandler* handler_ = nullptr;
};

TEST_F(HttpResponderTest, AnswersAndKeepsTheConnection) {
  Receive(kGet);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  Receive(kGet);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(connection_.sent, "");
  EXPECT_FALSE(connection_.closed);
}

TEST_F(HttpResponderTest, ClosesWhereHttpSaysSo) {
  Receive(kGetClose);
  EXPECT_NE(connection_.sent.find("Connection: close"), std::string::npos);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, Http10ClosesUnlessItAsksToBeKept) {
  Receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(connection_.sent.find("Connection: keep-alive"), std::string::npos);
  EXPECT_FALSE(connection_.closed);
  Receive("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, HeadHasTheLengthAndNoBody) {
  Receive("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(connection_.sent.find("Content-Length: 10\r\n"), std::string::npos);
  EXPECT_EQ(TakeResponse(true), "200 ");
  EXPECT_EQ(connection_.sent, "");
}

TEST_F(HttpResponderTest, BytesPathChoosesTheLength) {
  Receive("GET /bytes/30?q HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "200 " + Pattern(30));
  Receive("GET /bytes/0 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "200 ");
  for (const char* path : {"/bytes/", "/bytes/x", "/bytes/-1", "/bytes/1x", "/bytes/1073741825",
                           "/bytes/99999999999999999999999"}) {
    Receive(std::string("GET ") + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(TakeResponse(), "404 ") << path;
  }
}

TEST_F(HttpResponderTest, RefusesAndCloses) {
  Receive("N(NSENSE\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "400 ");
  EXPECT_TRUE(connection_.closed);
  Receive(kGet);  // dropped
  EXPECT_EQ(connection_.sent, "");
}

TEST_F(HttpResponderTest, RefusesAMethodThatIsNotKnown) {
  Receive("NONSENSE / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "501 ");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, RefusesConnect) {
  Receive("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "501 ");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, RefusesALongHeadAndALongBody) {
  options_.request_body_max = 8;
  Receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "413 ");
}

TEST_F(HttpResponderTest, LongHeadIs431) {
  Receive("GET / HTTP/1.1\r\nA: " + std::string(16 * 1024, 'x'));
  EXPECT_EQ(TakeResponse(), "431 ");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, SaysContinueBeforeTheBody) {
  Receive("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(connection_.sent, "HTTP/1.1 100 Continue\r\n\r\n");
  connection_.sent.clear();
  Receive("abc");
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
}

// Content that does not depend on a request's body, as with files.
class Indifferent final : public HttpContent {
 public:
  bool WantsBody(const HttpRequest&) override { return false; }
  Outcome Answer(const HttpRequest&, HttpContentWaiter&, HttpResponse& response) override {
    response.status = 405;
    return Outcome::kReady;
  }
  Outcome Fill(std::uint64_t, std::span<std::byte>, HttpContentWaiter&, std::size_t*) override {
    return Outcome::kFailed;
  }
  void Release() override { delete this; }
};

// RFC 9110 10.1.1: the final status instead, which tells the client not to send its body.
TEST_F(HttpResponderTest, DoesNotAskForABodyThatChangesNothing) {
  handler_ = MakeHttpResponder(options_, connection_, new Indifferent);
  Receive("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_NE(connection_.sent.find("Connection: close"), std::string::npos);
  EXPECT_EQ(TakeResponse(), "405 ");
  EXPECT_TRUE(connection_.closed);
  Receive("abc");
  EXPECT_EQ(connection_.sent, "");
}

TEST_F(HttpResponderTest, ASlowHeadIsGivenUp) {
  for (const char* trickle : {"\r\n", "\n", "A: b\r\n"}) {
    connection_.sent.clear();
    connection_.closed = false;
    if (handler_ != nullptr) connection_.End(*std::exchange(handler_, nullptr));
    if (trickle[0] == 'A') Receive("GET / HTTP/1.1\r\nHost: h\r\n");
    const std::uint64_t took_ns = Trickle(trickle, kNsPerSecond / 2, 20 * kNsPerSecond);
    EXPECT_GE(took_ns, options_.times.head_ns);
    EXPECT_LE(took_ns, options_.times.head_ns + kNsPerSecond);
    EXPECT_EQ(TakeResponse(), "408 ") << trickle;
    EXPECT_EQ(connection_.close_kind, transport::EndKind::kHeadTimeout);
  }
}

TEST_F(HttpResponderTest, ASlowBodyIsGivenUp) {
  Receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(50000, 'x'));
  const std::uint64_t took_ns = Trickle("x", kNsPerSecond / 2, 20 * kNsPerSecond);
  EXPECT_LE(took_ns, 6 * kNsPerSecond);
  EXPECT_EQ(TakeResponse(), "408 ");
  EXPECT_EQ(connection_.close_kind, transport::EndKind::kBodyTooSlow);
}

TEST_F(HttpResponderTest, ASlowEndOfChunksIsGivenUp) {
  Receive("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:");
  EXPECT_LE(Trickle("x", kNsPerSecond / 2, 20 * kNsPerSecond), 6 * kNsPerSecond);
  EXPECT_EQ(connection_.close_kind, transport::EndKind::kBodyTooSlow);
}

TEST_F(HttpResponderTest, ABodyAtTheLeastRateArrivesUnlessTheRequestTakesTooLong) {
  options_.times.request_ns = 60 * kNsPerSecond;
  for (const bool too_long : {false, true}) {
    connection_.sent.clear();
    connection_.closed = false;
    const std::string piece(240, 'x');
    Receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " +
            std::to_string((too_long ? 70 : 50) * 240) + "\r\n\r\n");
    for (int i = 0; i < 70 && connection_.sent.empty(); ++i) {
      Receive(piece);
      RunFor(kNsPerSecond);
    }
    EXPECT_EQ(TakeResponse(), too_long ? "408 " : "200 abcdefghij");
    EXPECT_EQ(connection_.closed, too_long);
    EXPECT_EQ(connection_.close_kind,
              too_long ? transport::EndKind::kRequestTimeout : transport::EndKind::kCompleted);
  }
}

// Each request has its own time, and between two requests no limit runs.
TEST_F(HttpResponderTest, EachRequestHasItsOwnTime) {
  for (int i = 0; i < 5; ++i) {
    Receive("GET / HTTP/1.1\r\n");
    RunFor(8 * kNsPerSecond);
    Receive("Host: h\r\n\r\nGET / HTTP/1.1\r\n");
    RunFor(8 * kNsPerSecond);
    Receive("Host: h\r\n\r\n");
    EXPECT_EQ(TakeResponse(), "200 abcdefghij");
    EXPECT_EQ(TakeResponse(), "200 abcdefghij");
    RunFor(50 * kNsPerSecond);
    EXPECT_FALSE(connection_.closed);
  }
}

TEST_F(HttpResponderTest, OurOwnDelayIsNotTheClients) {
  connection_.room = 0;
  Receive(std::string(kGet) + "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
  RunFor(50 * kNsPerSecond);
  EXPECT_FALSE(connection_.closed);
  connection_.GiveRoom(handler(), 100'000);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  RunFor(4 * kNsPerSecond);
  EXPECT_FALSE(connection_.closed);
  RunFor(2 * kNsPerSecond);
  EXPECT_EQ(connection_.close_kind, transport::EndKind::kBodyTooSlow);
}

// There is no room for 408, and there will be none.
TEST_F(HttpResponderTest, ASlowClientThatDoesNotReadIsClosedWithoutAWord) {
  Receive("GET / HTTP/1.1\r\n");
  connection_.room = 0;
  RunFor(11 * kNsPerSecond);
  EXPECT_EQ(connection_.close_kind, transport::EndKind::kHeadTimeout);
  EXPECT_EQ(connection_.sent, "");
}

TEST_F(HttpResponderTest, AnswersPipelinedRequestsInOrder) {
  Receive(std::string(kGet) + "GET /bytes/3 HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kGetClose) +
          std::string(kGet));
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(TakeResponse(), "200 abc");
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(connection_.sent, "");  // nothing after Connection: close
  EXPECT_TRUE(connection_.closed);
}

// Method: give room in steps of every small size and compare with the response in one piece.
TEST_F(HttpResponderTest, FollowsTheRoomThereIs) {
  const std::string requests =
      std::string(kGet) +
      "POST /bytes/40 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx" +
      std::string(kGetClose);
  for (std::size_t step = 1; step < 60; ++step) {
    FakeConnection narrow;
    narrow.room = 0;
    transport::ConnectionHandler* handler = MakeHttpResponder(options_, narrow);
    narrow.Receive(*handler, requests);
    EXPECT_TRUE(narrow.paused);
    for (int i = 0; i < 2000 && !narrow.closed; ++i) narrow.GiveRoom(*handler, step);
    EXPECT_TRUE(narrow.closed);
    connection_.sent = narrow.sent;
    EXPECT_EQ(TakeResponse(), "200 abcdefghij");
    EXPECT_EQ(TakeResponse(), "100 ");
    EXPECT_EQ(TakeResponse(), "200 " + Pattern(40));
    EXPECT_EQ(TakeResponse(), "200 abcdefghij");
    EXPECT_EQ(connection_.sent, "");
    narrow.End(*handler);
  }
}

TEST_F(HttpResponderTest, ResumesReadingWhenItHasCaughtUp) {
  connection_.room = 20;
  Receive(std::string(kGet) + std::string(kGet));
  EXPECT_TRUE(connection_.paused);
  connection_.GiveRoom(handler(), 1000);
  EXPECT_FALSE(connection_.paused);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
}

TEST_F(HttpResponderTest, AbortsAPeerThatIgnoresThePause) {
  connection_.room = 0;
  Receive(std::string(kGet) + std::string(kGet));
  const std::string record(16384, 'x');
  for (int i = 0; i < 9; ++i) Receive(record);
  EXPECT_TRUE(connection_.aborted);
}

TEST_F(HttpResponderTest, FinishesTheAnswerToAPeerThatHasClosed) {
  connection_.room = 20;
  Receive(kGet);
  handler().OnPeerClosed(connection_, false);
  EXPECT_FALSE(connection_.closed);
  connection_.GiveRoom(handler(), 1000);
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_TRUE(connection_.closed);
}

TEST_F(HttpResponderTest, ClosesBehindAPeerThatHasNothingToWaitFor) {
  Receive("GET / HT");
  handler().OnPeerClosed(connection_, false);
  EXPECT_TRUE(connection_.closed);
}

// A body of ten bytes, whose Fill does what the test says.
class ScriptedContent final : public HttpContent {
 public:
  Outcome Answer(const HttpRequest& /*request*/, HttpContentWaiter& /*waiter*/,
                 HttpResponse& response) override {
    response.body_bytes = 10;
    response.content_type = "text/plain";
    return Outcome::kReady;
  }
  Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& asking,
               std::size_t* bytes) override {
    waiter = &asking;
    if (next != Outcome::kReady || offset >= fails_at) {
      return next != Outcome::kReady ? next : Outcome::kFailed;
    }
    *bytes = std::min<std::size_t>(out.size(), 4);
    std::memset(out.data(), 'x', *bytes);
    return Outcome::kReady;
  }
  void EndResponse() override { ++ended; }
  void Release() override {}

  Outcome next = Outcome::kReady;
  std::uint64_t fails_at = 100;
  HttpContentWaiter* waiter = nullptr;
  int ended = 0;
};

class HttpContentTest : public HttpResponderTest {
 protected:
  HttpContentTest() { handler_ = MakeHttpResponder(options_, connection_, &content_); }
  ScriptedContent content_;
};

TEST_F(HttpContentTest, ABodyThatCannotBeginIsAnsweredWithAStatus) {
  content_.fails_at = 0;
  Receive(kGet);
  EXPECT_EQ(TakeResponse(), "500 ");
  EXPECT_EQ(connection_.sent, "");
  EXPECT_TRUE(connection_.closed);
  EXPECT_FALSE(connection_.aborted);
  EXPECT_EQ(content_.ended, 1);
}

TEST_F(HttpContentTest, ABodyThatCannotGoOnIsCut) {
  content_.fails_at = 4;
  Receive(kGet);
  EXPECT_EQ(TakeResponse(), "200 xxxx");
  EXPECT_TRUE(connection_.aborted);
}

TEST_F(HttpContentTest, TheHeadWaitsForTheFirstBytes) {
  for (const bool fails : {false, true}) {
    content_.next = HttpContent::Outcome::kLater;
    Receive(kGet);
    EXPECT_EQ(connection_.sent, "");
    connection_.GiveRoom(handler(), 1);
    EXPECT_EQ(connection_.sent, "");
    content_.next = fails ? HttpContent::Outcome::kFailed : HttpContent::Outcome::kReady;
    content_.waiter->OnContentReady();
    EXPECT_EQ(TakeResponse(), fails ? "500 " : "200 xxxxxxxxxx");
    EXPECT_EQ(connection_.closed, fails);
  }
}

TEST_F(HttpContentTest, AHeadThatWaitsCanStillSayThatItIsTheLast) {
  content_.next = HttpContent::Outcome::kLater;
  Receive(kGet);
  handler().OnDrain(connection_);
  EXPECT_EQ(connection_.sent, "");
  content_.next = HttpContent::Outcome::kReady;
  content_.waiter->OnContentReady();
  EXPECT_NE(connection_.sent.find("Connection: close"), std::string::npos);
  EXPECT_EQ(TakeResponse(), "200 xxxxxxxxxx");
  EXPECT_TRUE(connection_.closed);
}

}  // namespace
}  // namespace ktlsim::serve
