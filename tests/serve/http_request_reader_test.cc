#include "kernel_sim/serve/http_request_reader.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

using Outcome = HttpRequestReader::Outcome;

struct Seen {
  std::vector<std::string> requests;  // "path[ HEAD][ 1.0][ close]"
  unsigned refusal = 0;
  unsigned continues = 0;

  bool operator==(const Seen&) const = default;
};

std::string Describe(const HttpRequest& request) {
  return std::string(request.path()) + (request.method == HttpMethod::kHead ? " HEAD" : "") +
         (request.version_1_0 ? " 1.0" : "") + (request.keep_alive ? "" : " close");
}

// Reads `text` in pieces of `piece` bytes until it is at its end or refused.
Seen ReadAll(std::string_view text, std::size_t piece, const HttpRequestLimits& limits = {}) {
  Seen seen;
  HttpRequestReader reader(limits);
  while (!text.empty()) {
    std::string_view part = text.substr(0, piece);
    while (!part.empty()) {
      std::size_t consumed = 0;
      const Outcome outcome =
          reader.Read(std::as_bytes(std::span(part.data(), part.size())), &consumed);
      if (outcome == Outcome::kRefused) {
        seen.refusal = reader.refusal();
        return seen;
      }
      if (outcome == Outcome::kRequest) seen.requests.push_back(Describe(reader.request()));
      if (outcome == Outcome::kContinue) ++seen.continues;
      EXPECT_GT(consumed, 0U);
      part.remove_prefix(consumed);
      text.remove_prefix(consumed);
    }
  }
  return seen;
}

// The result must not depend on where the input is cut.
Seen Read(std::string_view text, const HttpRequestLimits& limits = {}) {
  const Seen whole = ReadAll(text, text.size(), limits);
  for (std::size_t piece = 1; piece < text.size() && piece < 100; ++piece) {
    EXPECT_EQ(ReadAll(text, piece, limits), whole) << "in pieces of " << piece;
  }
  return whole;
}

std::vector<std::string> Requests(std::string_view text) {
  const Seen seen = Read(text);
  EXPECT_EQ(seen.refusal, 0U) << text;
  return seen.requests;
}

unsigned Refusal(std::string_view text) { return Read(text).refusal; }

using List = std::vector<std::string>;

TEST(HttpRequestReaderTest, ReadsVersionsAndKeepAlive) {
  EXPECT_EQ(Requests("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"), List{"/a"});
  EXPECT_EQ(Requests("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), List{"/ close"});
  EXPECT_EQ(Requests("GET / HTTP/1.0\r\n\r\n"), List{"/ 1.0 close"});
  EXPECT_EQ(Requests("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), List{"/ 1.0"});
  EXPECT_EQ(Requests("HEAD /x?y HTTP/1.1\r\nhost: h\r\n\r\n"), List{"/x HEAD"});
}

TEST(HttpRequestReaderTest, AcceptsBareLineFeedsInTheHead) {
  EXPECT_EQ(Requests("GET / HTTP/1.1\nHost: h\nA: b\n\n"), List{"/"});
  EXPECT_EQ(Requests("GET / HTTP/1.0\n\n"), List{"/ 1.0 close"});
  EXPECT_EQ(Requests("POST /p HTTP/1.1\nHost: h\r\nContent-Length: 3\n\na\ncGET /q HTTP/1.1\r\n"
                     "Host: h\n\r\n"),
            (List{"/p", "/q"}));
}

TEST(HttpRequestReaderTest, SkipsBlankLinesBetweenRequests) {
  EXPECT_EQ(
      Requests("\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"),
      (List{"/", "/2"}));
}

TEST(HttpRequestReaderTest, ConsumesBodies) {
  EXPECT_EQ(Requests("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /"
                     "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
            (List{"/a", "/b"}));
  EXPECT_EQ(Requests("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
            (List{"/a", "/b"}));
}

TEST(HttpRequestReaderTest, SaysWhenTheClientWaitsForContinue) {
  const Seen seen = Read(
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Content-Length: 2\r\n\r\nab");
  EXPECT_EQ(seen.continues, 1U);
  EXPECT_EQ(seen.requests, List{"/"});
  // Without a body there is nothing to wait for, and HTTP/1.0 does not know it.
  EXPECT_EQ(Read("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n").continues, 0U);
  EXPECT_EQ(Read("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na").continues,
            0U);
}

TEST(HttpRequestReaderTest, DeclinesUpgradesByGoingOn) {
  EXPECT_EQ(Requests("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
                     "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"),
            (List{"/", "/2"}));
}

TEST(HttpRequestReaderTest, RefusesWhatIsNoRequest) {
  EXPECT_EQ(Refusal("\x16\x03\x01\x02\x05"), 400U);
  EXPECT_EQ(Refusal("HELLO / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost h\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\rHost: h\r\r"), 505U);
}

TEST(HttpRequestReaderTest, RefusesWhatSmugglesRequests) {
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                    "Content-Length: 3\r\n\r\n0\r\n\r\n"),
            400U);
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400U);
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n"), 400U);
}

TEST(HttpRequestReaderTest, Http11NamesOneHost) {
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400U);
}

TEST(HttpRequestReaderTest, RefusesOtherVersions) {
  EXPECT_EQ(Refusal("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505U);
  EXPECT_EQ(Refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505U);
  EXPECT_EQ(Refusal("GET /\r\n\r\n"), 505U);
}

TEST(HttpRequestReaderTest, BoundsTheHead) {
  HttpRequestLimits limits;
  limits.head_bytes_max = 64;
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
  const std::string end = "\r\n\r\n";
  const std::string fits(limits.head_bytes_max - start.size() - end.size(), 'x');
  EXPECT_EQ(Read(start + fits + end, limits).requests, List{"/"});
  EXPECT_EQ(Read(start + fits + "x" + end, limits).refusal, 431U);
  EXPECT_EQ(Read("GET /" + std::string(65, 'x'), limits).refusal, 431U);
  // Blank lines count, too: they may not go on for ever.
  EXPECT_EQ(Read(std::string(65, '\n'), limits).refusal, 431U);
}

TEST(HttpRequestReaderTest, BoundsTheBody) {
  HttpRequestLimits limits;
  limits.body_bytes_max = 4;
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(Read(start + "Content-Length: 4\r\n\r\nabcd", limits).requests, List{"/"});
  EXPECT_EQ(Read(start + "Content-Length: 5\r\n\r\n", limits).refusal, 413U);
  EXPECT_EQ(
      Read(start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n", limits).refusal,
      413U);
  EXPECT_EQ(Read(start + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", limits).continues,
            0U);
}

TEST(HttpRequestReaderTest, CutsALongPath) {
  const std::string path = "/" + std::string(200, 'p');
  EXPECT_EQ(Requests("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"),
            List{path.substr(0, HttpRequest::kPathMax)});
}

}  // namespace
}  // namespace ktlsim::serve
