#include "kernel_sim/digest/response.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/digest/messages_test_support.h"

namespace ktlsim::digest {
namespace {

constexpr std::string_view kRfc2617 =
    "username=\"Mufasa\", realm=\"testrealm@host.com\", "
    "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, "
    "cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", "
    "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";

// `text` with `from` replaced.
std::string With(std::string_view text, std::string_view from, std::string_view to) {
  std::string other(text);
  const std::size_t at = other.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return other.replace(at, from.size(), to);
}

Fault FaultOf(std::string_view text) {
  Response response;
  return ParseResponse(text, &response);
}

// RFC 2617 3.5.
TEST(ResponseTest, ReadsWhatCounts) {
  Response response;
  ASSERT_EQ(ParseResponse(kRfc2617, &response), Fault::kNone);
  EXPECT_EQ(response.username, "Mufasa");
  EXPECT_EQ(response.username_form, UsernameForm::kPlain);
  EXPECT_EQ(response.realm, "testrealm@host.com");
  EXPECT_EQ(response.nonce, "dcd98b7102dd2f0e8b11d0f600bfb0c093");
  EXPECT_EQ(response.uri, "/dir/index.html");
  EXPECT_EQ(response.qop, Qop::kAuth);
  EXPECT_EQ(response.nonce_count, 1U);
  EXPECT_EQ(response.cnonce, "0a4f113b");
  EXPECT_EQ(HexText(response.response).view(), "6629fae49393a05397450978507c4ef1");
  EXPECT_EQ(response.opaque, "5ccc069c403ebaf9f0171e9517f40e41");
  EXPECT_EQ(response.algorithm, Algorithm::kMd5) << "without the directive";
}

TEST(ResponseTest, WhatMustBeThere) {
  for (const std::string_view directive :
       {"username=\"Mufasa\"", "realm=\"testrealm@host.com\"",
        "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"", "uri=\"/dir/index.html\"", "qop=auth",
        "nc=00000001", "cnonce=\"0a4f113b\"", "response=\"6629fae49393a05397450978507c4ef1\""}) {
    EXPECT_EQ(FaultOf(With(kRfc2617, directive, "")), Fault::kMissing) << directive;
    const std::string twice = std::string(kRfc2617) + "," + std::string(directive);
    EXPECT_EQ(FaultOf(twice), Fault::kDuplicate) << directive;
  }
  EXPECT_EQ(FaultOf(With(kRfc2617, ", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"", "")),
            Fault::kNone);
}

TEST(ResponseTest, ValuesThatCannotBe) {
  struct Row {
    std::string_view from;
    std::string_view to;
    Fault fault;
  };
  const Row rows[] = {
      {"nc=00000001", "nc=1", Fault::kBadValue},
      {"nc=00000001", "nc=0000000g", Fault::kBadValue},
      {"nc=00000001", "nc=000000001", Fault::kBadValue},
      {"nc=00000001", "nc=\"00000001\"", Fault::kNone},
      {"nc=00000001", "nc=0000000A", Fault::kNone},
      {"qop=auth", "qop=\"auth\"", Fault::kNone},
      {"qop=auth", "qop=auth-conf", Fault::kUnknownQop},
      {"qop=auth", "qop=Auth", Fault::kUnknownQop},
      {"qop=auth", "qop=auth, algorithm=SHA-256", Fault::kBadValue},  // its response is longer
      {"qop=auth", "qop=auth, algorithm=x", Fault::kUnknownAlgorithm},
      {"qop=auth", "qop=auth, algorithm=\"MD5-sess\"", Fault::kNone},
      {"qop=auth", "qop=auth, userhash=maybe", Fault::kBadValue},
      {"qop=auth", "qop=auth, username*=UTF-8''x", Fault::kConflict},
      {"6629fae49393a05397450978507c4ef1", "6629fae49393a05397450978507c4ef", Fault::kBadValue},
      {"6629fae49393a05397450978507c4ef1", "6629FAE49393A05397450978507C4EF1", Fault::kNone},
      {"username=\"Mufasa\"", "username*=UTF-8''x, userhash=true", Fault::kConflict},
      {"username=\"Mufasa\"", "username*=ISO-8859-1''x", Fault::kBadValue},
      {"username=\"Mufasa\"", "username*=UTF-8''%C3", Fault::kBadValue},
      {"username=\"Mufasa\"", "username*=UTF-8''%00", Fault::kBadValue},
      {"username=\"Mufasa\"", "username*=UTF-8'en'x, userhash=false", Fault::kNone},
      {"username=\"Mufasa\"", "username=\"Mufasa\"\t", Fault::kNone},
      {"username=\"Mufasa\"", "username=\"Mu\nfasa\"", Fault::kControlByte},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(FaultOf(With(kRfc2617, row.from, row.to)), row.fault) << row.to;
  }
}

// A value in quotes with escapes that is decoded once more needs room twice.
TEST(ResponseTest, AnExtendedNameMayHaveEscapesAndLength) {
  const std::string name(kMessageBytesMax - 1000, 'x');
  const std::string text =
      With(kRfc2617, "username=\"Mufasa\"", "username*=\"\\UTF-8''" + name + "\"");
  Response response;
  ASSERT_EQ(ParseResponse(text, &response), Fault::kNone);
  EXPECT_EQ(response.username, name);
}

TEST(ResponseTest, NamesInEachForm) {
  Response response;
  ASSERT_EQ(ParseResponse(kRfc2617, &response), Fault::kNone);
  const auto format = [&](std::span<char> room) { return FormatResponse(response, room); };
  response.username = "J\xc3\xa4s\xc3\xb8n Doe";
  response.username_form = UsernameForm::kExtended;
  std::string text = test::Text(format);
  EXPECT_TRUE(text.starts_with("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=")) << text;
  Response read;
  ASSERT_EQ(ParseResponse(text, &read), Fault::kNone);
  EXPECT_EQ(read.username, response.username);
  EXPECT_EQ(read.username_form, UsernameForm::kExtended);

  response.username = "0123";
  response.username_form = UsernameForm::kHashed;
  text = test::Text(format);
  EXPECT_TRUE(text.ends_with(", userhash=true")) << text;
  ASSERT_EQ(ParseResponse(text, &read), Fault::kNone);
  EXPECT_EQ(read.username_form, UsernameForm::kHashed);

  response.username = "a\xff";
  response.username_form = UsernameForm::kExtended;
  EXPECT_EQ(test::Text(format), "fault: a directive has a value that it cannot have");
}

TEST(ResponseTest, WhatIsWrittenIsReadBack) {
  Response response;
  ASSERT_EQ(ParseResponse(kRfc2617, &response), Fault::kNone);
  response.uri = R"(/a"b\c)";
  response.algorithm = Algorithm::kMd5Sess;
  response.qop = Qop::kAuthInt;
  const NcText nc(0xabcdef01);
  response.nc = nc.view();
  const std::string text =
      test::Text([&](std::span<char> room) { return FormatResponse(response, room); });
  Response read;
  ASSERT_EQ(ParseResponse(text, &read), Fault::kNone);
  EXPECT_EQ(read.uri, response.uri);
  EXPECT_EQ(read.algorithm, response.algorithm);
  EXPECT_EQ(read.qop, response.qop);
  EXPECT_EQ(read.nonce_count, 0xabcdef01U);
  EXPECT_EQ(read.nc, "abcdef01");
  EXPECT_EQ(read.response.raw(), response.response.raw());
  response.cnonce = {};
  EXPECT_EQ(test::Text([&](std::span<char> room) { return FormatResponse(response, room); }),
            "fault: a directive is missing");
}

TEST(AuthenticationInfoTest, WhatIsWrittenIsReadBack) {
  AuthenticationInfo info;
  ASSERT_TRUE(ParseHex("6629fae49393a05397450978507c4ef1", HashId::kMd5, &info.rspauth));
  info.cnonce = "c";
  info.nc = "00000002";
  info.nextnonce = "next";
  const std::string text =
      test::Text([&](std::span<char> room) { return FormatAuthenticationInfo(info, room); });
  EXPECT_EQ(text,
            "rspauth=\"6629fae49393a05397450978507c4ef1\", qop=auth, nc=00000002, cnonce=\"c\", "
            "nextnonce=\"next\"");
  AuthenticationInfo read;
  ASSERT_EQ(ParseAuthenticationInfo(text, Algorithm::kMd5, &read), Fault::kNone);
  EXPECT_EQ(read.nextnonce, "next");
  EXPECT_EQ(read.rspauth.raw(), info.rspauth.raw());
  EXPECT_EQ(ParseAuthenticationInfo(text, Algorithm::kSha256, &read), Fault::kBadValue);
  EXPECT_EQ(ParseAuthenticationInfo("nextnonce=\"n\"", Algorithm::kMd5, &read), Fault::kMissing);
}

}  // namespace
}  // namespace ktlsim::digest
