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
  for (const char* other : {"1", "x1", "100-continued", "200-ok", ""}) {
    EXPECT_EQ(Read("POST / HTTP/1.1\r\nHost: h\r\nExpect: " + std::string(other) +
                   "\r\nContent-Length: 2\r\n\r\nab")
                  .continues,
              0U)
        << other;
  }
  // Without a body there is nothing to wait for, and HTTP/1.0 has no 100-continue.
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
  EXPECT_EQ(Refusal("HELLO / HTTP/1.1\r\n\r\n"), 501U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost h\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"), 400U);
}

// RFC 9112 2.2: for other implementations a CR alone may end a line.
TEST(HttpRequestReaderTest, RefusesABareCr) {
  for (const char* head :
       {"GET / HTTP/1.1\rHost: h\r\r", "GET / HTTP/1.1\r\nHost: h\r\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA:\rB: c\r\n\r\n", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\rGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    EXPECT_EQ(Refusal(head), 400U) << head;
  }
}

TEST(HttpRequestReaderTest, RefusesAFieldWithoutAName) {
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\n:\r\nHost: h\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\n :v\r\n\r\n"), 400U);
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\n: v\r\n\r\n"),
            400U);
}

TEST(HttpRequestReaderTest, ARequestLineIsThreeWords) {
  for (const char* line :
       {"GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET / x HTTP/1.1", "GET / HTTP/1.1x",
        "GET / HTTP/1.", "GET / HTTP/11", "GET / http/1.1", "GET / RTSP/1.1", "SOURCE / ICE/1.1",
        "GET /\x80 HTTP/1.1"}) {
    EXPECT_EQ(Refusal(std::string(line) + "\r\nHost: h\r\n\r\n"), 400U) << line;
  }
}

TEST(HttpRequestReaderTest, RefusesAHostThatIsNone) {
  for (const char* host : {"a b", "a/b", "u@x", "[::1", "x:80a", "x:", ":80", "a,b/"}) {
    const bool good = std::string_view(host) == "x:";
    EXPECT_EQ(Refusal(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"),
              good ? 0U : 400U)
        << host;
    EXPECT_EQ(Refusal(std::string("GET / HTTP/1.0\r\nHost: ") + host + "\r\n\r\n"),
              good ? 0U : 400U)
        << host;
  }
  for (const char* target : {"http://a/b", "http://[::1]:80/", "http://a?q", "HTTP://a"}) {
    EXPECT_EQ(Refusal(std::string("GET ") + target + " HTTP/1.1\r\nHost: h\r\n\r\n"), 0U) << target;
  }
  for (const char* target : {"http://u@x/", "http://[::1/", "http://x:80a/", "http:///", "http://",
                             "http://?q", "http://:80/", "http://a:1:2/", "http://[]/"}) {
    EXPECT_EQ(Refusal(std::string("GET ") + target + " HTTP/1.1\r\nHost: h\r\n\r\n"), 400U)
        << target;
  }
  EXPECT_EQ(Requests("GET /a HTTP/1.1\r\nHost:\r\n\r\n"), List{"/a"});
  EXPECT_EQ(Requests("GET /a HTTP/1.1\r\nHost: \t h \t\r\n\r\n"), List{"/a"});
}

unsigned RefusalOfCoding(std::string_view fields, const char* version = "1.1") {
  return Refusal("POST / HTTP/" + std::string(version) + "\r\nHost: h\r\n" + std::string(fields) +
                 "\r\n0\r\n\r\n");
}

// RFC 9112 6.1, 6.3.
TEST(HttpRequestReaderTest, KnowsOneTransferCoding) {
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: chunked\r\n"), 0U);
  EXPECT_EQ(RefusalOfCoding("transfer-encoding:  CHUNKED  \r\n"), 0U);
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: gzip, chunked\r\n"), 501U);
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501U);
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: identity, chunked\r\n"), 501U);
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: ,chunked\r\n"), 501U);
  for (const char* value : {"gzip", "identity", "", ",", "chunked, gzip", "chunked, chunked",
                            "xchunked", "chunkedx", "chunked;q=1", "chun ked", "\"chunked\""}) {
    EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: " + std::string(value) + "\r\n"), 400U) << value;
    EXPECT_EQ(
        RefusalOfCoding("Transfer-Encoding: " + std::string(value) + "\r\nContent-Length: 5\r\n"),
        400U)
        << value;
  }
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400U);
}

TEST(HttpRequestReaderTest, ACodingUnderHttp10IsFaultyFraming) {
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: chunked\r\n", "1.0"), 400U);
  EXPECT_EQ(RefusalOfCoding("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", "1.0"),
            400U);
  EXPECT_EQ(RefusalOfCoding("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "1.0"), 400U);
}

// RFC 9110 6.5.1: trailer fields change neither the content nor the fate of the connection.
TEST(HttpRequestReaderTest, KeepsNothingOfTrailers) {
  const std::string request =
      "POST /a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\nx\r\n0\r\nRange: bytes=0-\r\nConnection: close\r\nHost: other\r\n"
      "Content-Length: 7\r\nTransfer-Encoding: gzip\r\nIf-Match: a\r\n\r\n";
  EXPECT_EQ(Requests(request + "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"), (List{"/a", "/b"}));
  HttpRequestText text;
  const HttpRequestLimits limits;
  HttpRequestReader reader(limits, &text);
  std::size_t consumed = 0;
  EXPECT_EQ(reader.Read(std::as_bytes(std::span(request.data(), request.size())), &consumed),
            Outcome::kRequest);
  EXPECT_EQ(text.range, "bytes=1-2");
  EXPECT_EQ(text.if_match, "");
}

TEST(HttpRequestReaderTest, BoundsWhatChunksHaveAroundThem) {
  HttpRequestLimits limits;
  limits.head_bytes_max = 90;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string most(90 - 5, 'x');
  EXPECT_EQ(Read(head + "0\r\nA: " + most + "\r\n\r\n", limits).requests, List{"/"});
  EXPECT_EQ(Read(head + "0\r\nA: x" + most + "\r\n\r\n", limits).refusal, 431U);
  EXPECT_EQ(Read(head + "1;a=" + most + "x\r\nx\r\n0\r\n\r\n", limits).requests, List{"/"});
  EXPECT_EQ(Read(head + "1;a=" + most + "xxx\r\nx\r\n0\r\n\r\n", limits).refusal, 400U);
  EXPECT_EQ(Read(head + "1" + std::string(91, '0'), limits).refusal, 413U);
  EXPECT_EQ(Read(head + std::string(92, '0'), limits).refusal, 400U);
}

TEST(HttpRequestReaderTest, SaysWhatItWaitsFor) {
  using Phase = HttpRequestReader::Phase;
  const HttpRequestLimits limits;
  HttpRequestReader reader(limits);
  const auto read = [&](std::string_view text) {
    std::size_t consumed = 0;
    reader.Read(std::as_bytes(std::span(text.data(), text.size())), &consumed);
    return reader.phase();
  };
  EXPECT_EQ(reader.phase(), Phase::kIdle);
  EXPECT_EQ(read("\r\n"), Phase::kHead);
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"), Phase::kHead);
  EXPECT_EQ(read("\r\n"), Phase::kBody);
  EXPECT_EQ(read("a"), Phase::kBody);
  EXPECT_EQ(read("b"), Phase::kIdle);
  EXPECT_EQ(read("G"), Phase::kHead);
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

// RFC 9110 15.6.2, and 5.6.2 for what a method can be.
TEST(HttpRequestReaderTest, MethodsThatAreNotKnownAreToldFromWhatIsNoMethod) {
  for (const char* unknown : {"BREW", "GETX", "GE", "get", "X-!~9", "gET"}) {
    EXPECT_EQ(Refusal(std::string(unknown) + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 501U) << unknown;
  }
  for (const char* none : {"G(T", " GET", "\x16\x03", "GE\x80", "G\"T"}) {
    EXPECT_EQ(Refusal(std::string(none) + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 400U) << none;
  }
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
  // Blank lines count, too: they may not go on without end.
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
