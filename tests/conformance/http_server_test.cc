// What `ktlsim serve` does with HTTP/1.x requests, clause by clause of RFC 9110 and RFC 9112: the
// table below is also the list of what was decided where the RFCs leave a choice.
//
// Each row is sent to a real server over TLS, with a probe right after it on the same connection: a
// server that keeps the connection responds to the probe, too.

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/conformance/tls_exchange.h"
#include "tests/system/serve_process.h"

namespace ktlsim::conformance {
namespace {

using system_tests::Pattern;
using system_tests::ServeProcess;
using system_tests::TemporaryFolder;

enum class Then : unsigned char { kKept, kClosed };

struct Row {
  const char* clause;   // "9112 3.2": RFC and section
  const char* decided;  // what is expected, in words
  std::string request;
  int status;
  Then then;
  const char* has = "";    // text that the response's head or body has
  const char* lacks = "";  // text that it must not have
};

// A request for `target` with the fields of `fields`, each with its line end.
std::string Get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}
std::string Post(const std::string& fields, const std::string& body) {
  return "POST /letters HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n" + body;
}
std::string WithHost(const std::string& host) {
  return "GET /letters HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
}

const std::string kProbe = "GET /probe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

std::vector<Row> Rows() {
  return {
      // ---- RFC 9112: message syntax
      {"9112 2.2", "a bare LF may end a line of the head",
       "GET /letters HTTP/1.1\nHost: localhost\n\n", 200, Then::kKept},
      {"9112 2.2", "an empty line before the request line is ignored", "\r\n" + Get("/letters"),
       200, Then::kKept},
      {"9112 2.2", "white space between request line and first field is refused",
       "GET /letters HTTP/1.1\r\n Host: localhost\r\nHost: localhost\r\n\r\n", 400, Then::kClosed},
      {"9112 2.3", "HTTP/2.0 in a request line is refused", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
       505, Then::kClosed},
      {"9112 2.3", "a request line without a version is HTTP/0.9",
       "GET /letters\r\nHost: a\r\n\r\n", 505, Then::kClosed},
      {"9112 3.2", "Host is missing in HTTP/1.1", "GET /letters HTTP/1.1\r\n\r\n", 400,
       Then::kClosed},
      {"9112 3.2", "two Host fields", "GET /letters HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400,
       Then::kClosed},
      {"9112 3.2", "a Host with a blank", WithHost("a b"), 400, Then::kClosed},
      {"9112 3.2", "a Host with a slash", WithHost("a/b"), 400, Then::kClosed},
      {"9112 3.2", "a Host with user information", WithHost("u@x"), 400, Then::kClosed},
      {"9112 3.2", "a Host with half a bracket", WithHost("[::1"), 400, Then::kClosed},
      {"9112 3.2", "a Host whose port is no number", WithHost("x:80a"), 400, Then::kClosed},
      {"9112 3.2", "a Host that is an IPv6 address with a port", WithHost("[::1]:8443"), 200,
       Then::kKept},
      {"9112 3.2", "an empty Host", WithHost(""), 200, Then::kKept},
      {"9112 3.2", "no Host in HTTP/1.0", "GET /letters HTTP/1.0\r\n\r\n", 200, Then::kClosed},
      {"9112 3.2.2", "the absolute form", Get("https://localhost/letters"), 200, Then::kKept},
      {"9112 3.2.2", "the absolute form with a bad authority", Get("https://a b/letters"), 400,
       Then::kClosed},
      {"9112 3.2.4", "OPTIONS * is allowed", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405,
       Then::kKept, "Allow: "},
      {"9112 5", "a field without a name", Get("/letters", ": v\r\n"), 400, Then::kClosed},
      {"9112 5.1", "white space before the colon", Get("/letters", "A : v\r\n"), 400,
       Then::kClosed},
      {"9112 5.2", "a folded line", Get("/letters", "A: b\r\n c\r\n"), 400, Then::kClosed},
      {"9110 5.5", "NUL in a field value", Get("/letters", std::string("A: b\0c\r\n", 8)), 400,
       Then::kClosed},
      {"9110 5.5", "a bare CR in a field value", Get("/letters", "A: b\rc\r\n"), 400,
       Then::kClosed},
      {"9112 6.1", "Transfer-Encoding and Content-Length",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400,
       Then::kClosed},
      {"9112 6.1", "a transfer coding that is not known",
       Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, Then::kClosed},
      {"9112 6.1", "a transfer coding whose last is not chunked",
       Post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400, Then::kClosed},
      {"9112 6.1", "Transfer-Encoding in HTTP/1.0",
       "POST /letters HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
       "0\r\n\r\n",
       400, Then::kClosed},
      {"9112 6.3", "two equal Content-Length fields",
       Post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), 400, Then::kClosed},
      {"9112 6.3", "a Content-Length with a sign", Post("Content-Length: +1\r\n", "x"), 400,
       Then::kClosed},
      {"9112 6.3", "a negative Content-Length", Post("Content-Length: -1\r\n", ""), 400,
       Then::kClosed},
      {"9112 7.1", "a chunk size with a bare LF",
       Post("Transfer-Encoding: chunked\r\n", "1\nx\r\n0\r\n\r\n"), 400, Then::kClosed},
      {"9112 7.1", "a chunk size that is no number",
       Post("Transfer-Encoding: chunked\r\n", "1\rX\r\nx\r\n0\r\n\r\n"), 400, Then::kClosed},
      {"9112 9.3", "Connection: close ends it", Get("/letters", "Connection: close\r\n"), 200,
       Then::kClosed, "Connection: close"},
      {"9112 9.3", "HTTP/1.0 with keep-alive is kept",
       "GET /letters HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, Then::kKept,
       "Connection: keep-alive"},

      // ---- RFC 9110: semantics
      {"9110 15.6.2", "a method that is not known", "BREW /letters HTTP/1.1\r\nHost: a\r\n\r\n",
       501, Then::kClosed},
      {"9112 3.1", "a method that is no token", "G(T /letters HTTP/1.1\r\nHost: a\r\n\r\n", 400,
       Then::kClosed},
      {"9110 9.1", "a registered method that no file has",
       "PATCH /letters HTTP/1.1\r\nHost: a\r\n\r\n", 405, Then::kKept, "Allow: GET, HEAD"},
      {"9110 15.5.6", "a method that files do not have", Post("Content-Length: 0\r\n", ""), 405,
       Then::kKept, "Allow: GET, HEAD"},
      {"9110 10.1.1", "100-continue where the answer is final already",
       Post("Expect: 100-continue\r\nContent-Length: 5\r\n", ""), 405, Then::kClosed, "",
       "100 Continue"},
      {"9110 10.1.1", "an expectation that is not known is ignored",
       Get("/letters", "Expect: tea\r\n"), 200, Then::kKept},
      {"9110 5.6.1.2", "empty elements of a list do not count",
       Get("/letters", "If-None-Match: ,, *\r\n"), 304, Then::kKept},
      {"9110 5.6.1.2", "empty elements of a list of ranges do not count",
       Get("/letters", "Range: bytes=,0-1,\r\n"), 206, Then::kKept, "Content-Range: bytes 0-1/100"},
      {"9110 14.2", "several ranges at once get all of it",
       Get("/letters", "Range: bytes=0-1,3-4\r\n"), 200, Then::kKept},
      {"9110 7.6.1", "close among other options of Connection",
       Get("/letters", "Connection: ,foo, close\r\n"), 200, Then::kClosed},
      {"9110 13.1.2", "If-None-Match: *", Get("/letters", "If-None-Match: *\r\n"), 304,
       Then::kKept},
      {"9110 13.1.1", "If-Match that does not match", Get("/letters", "If-Match: \"x\"\r\n"), 412,
       Then::kKept},
      {"9110 14.1.2", "a suffix range", Get("/letters", "Range: bytes=-3\r\n"), 206, Then::kKept,
       "Content-Range: bytes 97-99/100"},
      {"9110 14.1.2", "a suffix range of an empty file", Get("/empty", "Range: bytes=-3\r\n"), 200,
       Then::kKept},
      {"9110 14.2", "HEAD ignores Range",
       "HEAD /letters HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", 200, Then::kKept,
       "Content-Length: 100"},
      {"9110 14.2", "a range unit that is not known is ignored",
       Get("/letters", "Range: lines=0-1\r\n"), 200, Then::kKept},
      {"9110 14.4", "a range outside of the file", Get("/letters", "Range: bytes=100-\r\n"), 416,
       Then::kKept, "Content-Range: bytes */100"},
      {"9110 14.2", "a Range that is malformed is ignored", Get("/letters", "Range: bytes=b-a\r\n"),
       200, Then::kKept},
      {"9110 15.4.2", "a folder without its slash keeps the query", Get("/sub?a=b"), 301,
       Then::kKept, "Location: /sub/?a=b"},
      {"9110 6.6.1", "every response has a Date", Get("/letters"), 200, Then::kKept, "\r\nDate: "},
  };
}

struct Response {
  int status = 0;
  std::string text;
};

// The responses in `received`; that of a HEAD request has no body.
std::vector<Response> Split(const std::string& received, bool first_is_head) {
  std::vector<Response> responses;
  std::size_t at = 0;
  while (received.compare(at, 7, "HTTP/1.") == 0) {
    const std::size_t end = received.find("\r\n\r\n", at);
    if (end == std::string::npos) break;
    const std::string head = received.substr(at, end + 4 - at);
    const int status = std::stoi(head.substr(9, 3));
    std::size_t body = 0;
    const std::size_t length = head.find("Content-Length: ");
    const bool bodiless =
        status / 100 == 1 || status == 204 || status == 304 || (first_is_head && responses.empty());
    if (length != std::string::npos && !bodiless) body = std::stoul(head.substr(length + 16));
    responses.push_back({status, received.substr(at, head.size() + body)});
    at += head.size() + body;
  }
  return responses;
}

TEST(HttpServerConformanceTest, EveryClauseIsKept) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.File("www/sub"));
  std::ofstream(folder.File("www/letters")) << Pattern(100);
  std::ofstream(folder.File("www/empty")) << "";
  std::ofstream(folder.File("www/sub/index.html")) << "sub";
  ServeProcess server({"--self-signed", "localhost", "--root", folder.File("www")});
  ASSERT_TRUE(server.running()) << server.output();
  for (const Row& row : Rows()) {
    SCOPED_TRACE(std::string("RFC ") + row.clause + ": " + row.decided);
    const ExchangeResult result = TlsExchange(server.port(), row.request + kProbe);
    ASSERT_EQ(result.error, "");
    const std::vector<Response> responses = Split(result.received, row.request.starts_with("HEAD"));
    ASSERT_FALSE(responses.empty()) << result.received;
    EXPECT_EQ(responses.front().status, row.status) << result.received;
    EXPECT_EQ(responses.size(), row.then == Then::kKept ? 2U : 1U) << result.received;
    if (responses.size() == 2) {
      EXPECT_EQ(responses.back().status, 404) << result.received;
    }
    EXPECT_NE(responses.front().text.find(row.has), std::string::npos) << result.received;
    if (*row.lacks != '\0') {
      EXPECT_EQ(result.received.find(row.lacks), std::string::npos) << result.received;
    }
  }
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::conformance
