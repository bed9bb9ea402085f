#include "kernel_sim/serve/http_responder.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

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
  HttpResponderTest() { options_.respond_bytes = 10; }
  ~HttpResponderTest() override {
    if (handler_ != nullptr) connection_.End(*handler_);
  }

  transport::ConnectionHandler& handler() {
    if (handler_ == nullptr) handler_ = MakeHttpResponder(options_);
    return *handler_;
  }
  void Receive(std::string_view text) { connection_.Receive(handler(), text); }

  // Takes the next response out of what was sent: "<status> <body>".
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
  Receive("NONSENSE\r\n\r\n");
  EXPECT_EQ(TakeResponse(), "400 ");
  EXPECT_TRUE(connection_.closed);
  Receive(kGet);  // dropped
  EXPECT_EQ(connection_.sent, "");
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

TEST_F(HttpResponderTest, AnswersPipelinedRequestsInOrder) {
  Receive(std::string(kGet) + "GET /bytes/3 HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kGetClose) +
          std::string(kGet));
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(TakeResponse(), "200 abc");
  EXPECT_EQ(TakeResponse(), "200 abcdefghij");
  EXPECT_EQ(connection_.sent, "");  // nothing behind Connection: close
  EXPECT_TRUE(connection_.closed);
}

// Method: give room in steps of every small size and compare with the answer in one go.
TEST_F(HttpResponderTest, FollowsTheRoomThereIs) {
  const std::string requests =
      std::string(kGet) +
      "POST /bytes/40 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx" +
      std::string(kGetClose);
  for (std::size_t step = 1; step < 60; ++step) {
    FakeConnection narrow;
    narrow.room = 0;
    transport::ConnectionHandler* handler = MakeHttpResponder(options_);
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

}  // namespace
}  // namespace ktlsim::serve
