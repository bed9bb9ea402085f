#include "kernel_sim/command/http_response_reader.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

using Outcome = HttpResponseReader::Outcome;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

TEST(HttpResponseReaderTest, AnAnswerMayBeCutAnywhere) {
  for (std::size_t cut = 1; cut < kAnswer.size(); ++cut) {
    HttpResponseReader reader;
    ASSERT_EQ(reader.Read(Bytes(kAnswer.substr(0, cut))), Outcome::kNeedMore) << cut;
    ASSERT_EQ(reader.Read(Bytes(kAnswer.substr(cut))), Outcome::kComplete) << cut;
    EXPECT_EQ(reader.status(), 200U);
    EXPECT_EQ(reader.body_bytes(), 5U);
    EXPECT_TRUE(reader.keep_alive());
  }
}

TEST(HttpResponseReaderTest, KeepsTheFirstChallengeOfDigest) {
  constexpr std::string_view kChallenged =
      "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"r\"\r\n"
      "Www-Authenticate: Digest nonce=\"n\", stale=true\r\nWWW-Authenticate: Digest x\r\n\r\n";
  for (std::size_t cut = 1; cut < kChallenged.size(); ++cut) {
    HttpResponseReader reader({}, HttpResponseReader::Challenges::kKept);
    ASSERT_EQ(reader.Read(Bytes(kChallenged.substr(0, cut))), Outcome::kNeedMore) << cut;
    ASSERT_EQ(reader.Read(Bytes(kChallenged.substr(cut))), Outcome::kComplete) << cut;
    EXPECT_EQ(reader.challenge(), "nonce=\"n\", stale=true");
    reader.Reset();
    EXPECT_EQ(reader.challenge(), "");
  }
  HttpResponseReader ignores;
  ASSERT_EQ(ignores.Read(Bytes(kChallenged)), Outcome::kComplete);
  EXPECT_EQ(ignores.challenge(), "");
}

TEST(HttpResponseReaderTest, ReadsOneAfterTheOther) {
  HttpResponseReader reader;
  for (int i = 0; i < 3; ++i) {
    reader.Reset();
    EXPECT_EQ(reader.Read(Bytes(kAnswer)), Outcome::kComplete);
    EXPECT_EQ(reader.body_bytes(), 5U);
  }
}

TEST(HttpResponseReaderTest, ReadsChunks) {
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")),
            Outcome::kNeedMore);
  EXPECT_EQ(reader.Read(Bytes("0\r\n\r\n")), Outcome::kComplete);
  EXPECT_EQ(reader.body_bytes(), 3U);
}

TEST(HttpResponseReaderTest, TheEndOfTheConnectionEndsABodyWithoutLength) {
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.0 200 ok\r\n\r\nas long as it lasts")), Outcome::kNeedMore);
  EXPECT_EQ(reader.Finish(), Outcome::kComplete);
  EXPECT_FALSE(reader.keep_alive());
  EXPECT_EQ(reader.body_bytes(), 19U);
}

TEST(HttpResponseReaderTest, TheEndOfTheConnectionCutsABodyWithLength) {
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes(kAnswer.substr(0, kAnswer.size() - 1))), Outcome::kNeedMore);
  EXPECT_EQ(reader.Finish(), Outcome::kMalformed);
  HttpResponseReader silent;
  EXPECT_EQ(silent.Finish(), Outcome::kMalformed);
}

TEST(HttpResponseReaderTest, AnAnnouncementIsNotTheAnswer) {
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.1 100 Continue\r\n\r\n")), Outcome::kNeedMore);
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")), Outcome::kComplete);
  EXPECT_EQ(reader.status(), 404U);
}

TEST(HttpResponseReaderTest, SomeAnswersHaveNoBodyWhateverTheySay) {
  for (const std::string status : {"204", "304"}) {
    HttpResponseReader reader;
    for (const std::string fields :
         {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
      reader.Reset();
      std::string head = "HTTP/1.1 ";
      head.append(status).append(" x\r\n").append(fields).append("\r\n");
      EXPECT_EQ(reader.Read(Bytes(head)), Outcome::kComplete) << head;
      EXPECT_TRUE(reader.keep_alive()) << status << fields;
      EXPECT_EQ(reader.body_bytes(), 0U);
    }
  }
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
            Outcome::kComplete);
  EXPECT_EQ(reader.body_bytes(), 2U);
}

TEST(HttpResponseReaderTest, ClosingIsTold) {
  HttpResponseReader reader;
  EXPECT_EQ(reader.Read(Bytes("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")),
            Outcome::kComplete);
  EXPECT_FALSE(reader.keep_alive());
}

TEST(HttpResponseReaderTest, RefusesWhatIsNotOneAnswer) {
  for (const std::string& text :
       {std::string(kAnswer) + "x", std::string("SSH-2.0-x\r\n"), std::string("\r\nHTTP/2 200\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")}) {
    HttpResponseReader reader;
    EXPECT_EQ(reader.Read(Bytes(text)), Outcome::kMalformed) << text;
  }
}

TEST(HttpResponseReaderTest, TheBodysCheckSeesOffsetsAndMayRefuse) {
  std::uint64_t seen = 0;
  HttpResponseReader reader([&](std::uint64_t offset, std::span<const std::byte> bytes) {
    EXPECT_EQ(offset, seen);
    seen += bytes.size();
    return offset + bytes.size() <= 4;
  });
  EXPECT_EQ(reader.Read(Bytes(kAnswer.substr(0, kAnswer.size() - 1))), Outcome::kNeedMore);
  EXPECT_EQ(reader.Read(Bytes("o")), Outcome::kMalformed);
  EXPECT_EQ(seen, 5U);
}

TEST(HttpResponseReaderTest, KeepsTheProofOfTheServer) {
  constexpr std::string_view kResponse =
      "HTTP/1.1 200 OK\r\nauthentication-INFO: rspauth=\"x\"\r\nContent-Length: 0\r\n\r\n";
  HttpResponseReader keeps({}, HttpResponseReader::Challenges::kKept);
  EXPECT_EQ(keeps.Read(Bytes(kResponse)), Outcome::kComplete);
  EXPECT_EQ(keeps.authentication_info(), "rspauth=\"x\"");
  EXPECT_EQ(keeps.challenge(), "");
  keeps.Reset();
  EXPECT_EQ(keeps.Read(Bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), Outcome::kComplete);
  EXPECT_EQ(keeps.authentication_info(), "") << "of the response before";
  HttpResponseReader ignores;
  EXPECT_EQ(ignores.Read(Bytes(kResponse)), Outcome::kComplete);
  EXPECT_EQ(ignores.authentication_info(), "");
}

}  // namespace
}  // namespace ktlsim::command
