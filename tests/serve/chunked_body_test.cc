#include "kernel_sim/serve/chunked_body.h"

#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

using Outcome = ChunkedBody::Outcome;

constexpr std::uint64_t kBodyMax = 1 << 20;
constexpr std::size_t kFramingMax = 4096;
constexpr std::string_view kEnd = "0\r\n\r\n";

// "complete, 3 behind" (three bytes follow the body), "more", or the status of the refusal.
std::string ReadInPieces(std::string_view text, std::size_t piece, std::uint64_t body_max,
                         std::size_t framing_max) {
  ChunkedBody body;
  body.Begin(body_max, framing_max);
  while (!text.empty()) {
    const std::string_view part = text.substr(0, piece);
    std::size_t consumed = 0;
    const Outcome outcome =
        body.Read(std::as_bytes(std::span(part.data(), part.size())), &consumed);
    text.remove_prefix(consumed);
    if (outcome == Outcome::kRefused) return std::to_string(body.refusal());
    if (outcome == Outcome::kComplete)
      return "complete, " + std::to_string(text.size()) + " behind";
    EXPECT_EQ(consumed, part.size());
  }
  return "more";
}

// The result must not depend on where the input is cut.
std::string Read(std::string_view text, std::uint64_t body_max = kBodyMax,
                 std::size_t framing_max = kFramingMax) {
  const std::string whole = ReadInPieces(text, text.size(), body_max, framing_max);
  for (std::size_t piece = 1; piece < text.size() && piece < 8; ++piece) {
    EXPECT_EQ(ReadInPieces(text, piece, body_max, framing_max), whole) << text;
  }
  return whole;
}

std::string ReadFramed(const std::string& text, std::size_t framing_max) {
  return Read(text, kBodyMax, framing_max);
}

TEST(ChunkedBodyTest, EndsBehindTheTrailerSection) {
  EXPECT_EQ(Read("0\r\n\r\n"), "complete, 0 behind");
  EXPECT_EQ(Read("3\r\nabc\r\n0\r\n\r\nGET"), "complete, 3 behind");
  EXPECT_EQ(Read("1\r\n\r\r\n0b\r\n\n0\r\n\r\nxxxxx\r\n0\r\n\r\nG"), "complete, 1 behind");
  EXPECT_EQ(Read("A\r\n0123456789\r\n000\r\nA: b\r\nRange: bytes=0-\r\n\r\n"),
            "complete, 0 behind");
}

TEST(ChunkedBodyTest, WaitsForTheRestAtEveryLength) {
  constexpr std::string_view kWhole = "3;a=b;c=\"\\\"d\"\r\nabc\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t bytes = 0; bytes < kWhole.size(); ++bytes) {
    EXPECT_EQ(Read(kWhole.substr(0, bytes)), "more") << bytes;
  }
  EXPECT_EQ(Read(kWhole), "complete, 0 behind");
}

TEST(ChunkedBodyTest, KnowsWhatAnExtensionLooksLike) {
  for (const char* good : {";a", ";a=b", ";a;b", ";a=b;c=d", ";a=\"b;\\\"\\\\ \";c", "; a", ";a =b",
                           ";a= b", ";a ;b", ";a=b ;c", ";a=\"b\" ;c", ";0=0"}) {
    EXPECT_EQ(Read("1" + std::string(good) + "\r\nx\r\n" + std::string(kEnd)), "complete, 0 behind")
        << good;
  }
  for (const char* bad :
       {";", ";;a", ";=b", ";a=", ";a=b=c", ";a ", ";a=b ", ";a b", ";a=b c", ";a=\"b", ";a=\"b\"c",
        ";a=\"\x01\"", ";a:b", ";a\x80", " ;a", " ", "\t"}) {
    EXPECT_EQ(Read("1" + std::string(bad) + "\r\nx\r\n" + std::string(kEnd)), "400") << bad;
  }
}

TEST(ChunkedBodyTest, ALineEndsInCrLfAndNothingElse) {
  for (const char* bad :
       {"1\nx\r\n0\r\n\r\n", "1\rx\r\n0\r\n\r\n", "1\r\rx\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r0\r\n\r\n", "1\r\nxy\r\n0\r\n\r\n", "1\r\nx\r\n0\n\r\n", "1\r\nx\r\n0\r\n\n",
        "0\r\nA: b\n\r\n", "0\r\nA: b\r\r\n\r\n", "0\r\nA: b\rc\r\n\r\n", "0\r\n\rx", "0\r\n\r\r\n",
        "1;a\nx\r\n0\r\n\r\n", "1;a=\"\n\"\r\nx\r\n0\r\n\r\n", "1;a=\"\r\n\"\r\nx\r\n0\r\n\r\n"}) {
    EXPECT_EQ(Read(bad), "400") << bad;
  }
}

TEST(ChunkedBodyTest, ASizeHasDigitsOnly) {
  for (const char* bad : {"\r\n", "x\r\n", "-1\r\nx\r\n", "+1\r\nx\r\n", "0x1\r\nx\r\n",
                          " 1\r\nx\r\n", "1 \r\nx\r\n", "1_0\r\n", ";a\r\n", "1.\r\nx\r\n"}) {
    EXPECT_EQ(Read(bad), "400") << bad;
  }
}

TEST(ChunkedBodyTest, ATrailerIsAField) {
  for (const char* bad : {"A\r\n", ": b\r\n", "A : b\r\n", " A: b\r\n", "\tA: b\r\n",
                          "A: b\r\n c\r\n", "A: \x01\r\n", "A: b\x7f\r\n", "A\x80: b\r\n"}) {
    EXPECT_EQ(Read("0\r\n" + std::string(bad) + "\r\n"), "400") << bad;
  }
  EXPECT_EQ(Read("0\r\nA:\r\nB: \t\x80;\r\n\r\n"), "complete, 0 behind");
}

TEST(ChunkedBodyTest, BoundsTheContentWhereItIsKnown) {
  EXPECT_EQ(Read("4\r\nabcd\r\n0\r\n\r\n", 4, kFramingMax), "complete, 0 behind");
  EXPECT_EQ(Read("5", 4, kFramingMax), "413");
  EXPECT_EQ(Read("3\r\nabc\r\n2", 4, kFramingMax), "413");
  EXPECT_EQ(Read("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 4, kFramingMax), "complete, 0 behind");
  EXPECT_EQ(Read("ffffffffffffffff", ~std::uint64_t{0}, kFramingMax), "more");
  EXPECT_EQ(Read("10000000000000000", ~std::uint64_t{0}, kFramingMax), "413");
  EXPECT_EQ(Read("1\r\nx\r\nffffffffffffffff", ~std::uint64_t{0}, kFramingMax), "413");
}

TEST(ChunkedBodyTest, BoundsWhatOneChunkHasAroundIt) {
  const std::string fits(kChunkSurplusBytesMax - 1, 'x');
  EXPECT_EQ(Read("1;" + fits + "\r\nx\r\n" + std::string(kEnd)), "complete, 0 behind");
  EXPECT_EQ(Read("1;x" + fits), "400");
  EXPECT_EQ(Read("1;a=\"" + fits), "400");
  const std::string zeros(kChunkSurplusBytesMax, '0');
  EXPECT_EQ(Read(zeros + "1\r\nx\r\n" + std::string(kEnd)), "complete, 0 behind");
  EXPECT_EQ(Read(zeros + "01"), "400");
  EXPECT_EQ(Read(zeros + "0\r\n\r\n"), "complete, 0 behind");
  EXPECT_EQ(Read(zeros + "00"), "400");
}

TEST(ChunkedBodyTest, BoundsWhatTheMessageHasAroundItsContent) {
  // Three bytes a chunk that are not needed: a leading zero, and the extension ";a".
  std::string chunks;
  for (int i = 0; i < 10; ++i) chunks += "01;a\r\nx\r\n";
  EXPECT_EQ(ReadFramed(chunks + std::string(kEnd), 30), "complete, 0 behind");
  EXPECT_EQ(ReadFramed(chunks, 29), "400");
  EXPECT_EQ(ReadFramed("0\r\nAB: cd\r\n\r\n", 8), "complete, 0 behind");
  EXPECT_EQ(ReadFramed("0\r\nAB: cd\r\n\r\n", 7), "431");
  EXPECT_EQ(ReadFramed("1;a\r\nx\r\n0\r\nAB: cd\r\n\r\n", 10), "complete, 0 behind");
  EXPECT_EQ(ReadFramed("1;a\r\nx\r\n0\r\nAB: cd\r\n\r\n", 9), "431");
  // Necessary bytes of framing do not count.
  EXPECT_EQ(ReadFramed("1\r\nx\r\n0\r\n\r\n", 0), "complete, 0 behind");
}

// Every byte of a body becomes every other: never read past its end, and the same in pieces.
TEST(ChunkedBodyTest, HoldsAgainstEveryFlippedByte) {
  constexpr std::string_view kBody = "2;a=\"b\"\r\nxy\r\n0\r\nA: b\r\n\r\n";
  for (std::size_t at = 0; at < kBody.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string flipped(kBody);
      flipped[at] = static_cast<char>(c);
      const std::string whole = ReadInPieces(flipped, flipped.size(), kBodyMax, kFramingMax);
      EXPECT_EQ(ReadInPieces(flipped, 1, kBodyMax, kFramingMax), whole) << at << ": " << c;
    }
  }
}

}  // namespace
}  // namespace ktlsim::serve
