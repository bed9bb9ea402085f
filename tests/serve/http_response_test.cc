#include "kernel_sim/serve/http_response.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

std::string Head(const HttpResponse& response) {
  char text[kHttpHeadBytesMax];
  return {text, FormatHttpHead(response, text)};
}

TEST(HttpResponseTest, HeadIsExact) {
  HttpResponse response;
  response.body_bytes = 5;
  response.content_type = "text/plain";
  response.date = 784111777;  // the example of RFC 9110 5.6.7
  EXPECT_EQ(Head(response),
            "HTTP/1.1 200 OK\r\nServer: ktlsim\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

TEST(HttpResponseTest, SaysHowTheConnectionGoesOn) {
  HttpResponse response;
  response.close = true;
  EXPECT_NE(Head(response).find("\r\nConnection: close\r\n"), std::string::npos);
  response.close = false;
  response.keep_alive = true;
  EXPECT_NE(Head(response).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
}

TEST(HttpResponseTest, EveryStatusFitsTheHead) {
  for (const unsigned status : {200U, 400U, 404U, 413U, 431U, 501U, 505U, 999U}) {
    const std::string fields(kHttpFieldsBytesMax, 'f');
    const std::string info(kAuthenticationInfoBytesMax, 'i');
    const HttpResponse response{.status = status,
                                .body_bytes = ~std::uint64_t{0},
                                .close = true,
                                .date = 253402300799,
                                .content_type = "application/vnd.a-rather-long-one+json",
                                .fields = fields,
                                .authentication_info = info};
    const std::string head = Head(response);
    EXPECT_LT(head.size(), kHttpHeadBytesMax);
    EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  }
}

TEST(HttpResponseTest, BodyIsTheAlphabetFromAnyOffset) {
  for (const std::size_t bytes : {0U, 1U, 25U, 26U, 27U, 16384U, 40000U}) {
    for (const std::uint64_t offset : {0U, 1U, 25U, 26U, 16383U}) {
      std::vector<std::byte> body(bytes);
      FillHttpBody(offset, body);
      for (std::size_t i = 0; i < bytes; ++i) {
        ASSERT_EQ(static_cast<char>(body[i]), static_cast<char>('a' + (offset + i) % 26));
      }
      EXPECT_TRUE(CheckHttpBody(offset, body));
      if (bytes == 0) continue;
      EXPECT_FALSE(CheckHttpBody(offset + 1, body));
      body.back() ^= std::byte{1};
      EXPECT_FALSE(CheckHttpBody(offset, body));
    }
  }
}

}  // namespace
}  // namespace ktlsim::serve
