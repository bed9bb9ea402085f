#include "kernel_sim/digest/sasl_messages.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/digest/messages_test_support.h"

namespace ktlsim::digest {
namespace {

Fault ChallengeFault(std::string_view text) {
  SaslChallenge challenge;
  return ParseSaslChallenge(text, &challenge);
}

Fault ResponseFault(std::string_view text) {
  SaslResponse response;
  return ParseSaslResponse(text, &response);
}

// RFC 2831 4.
constexpr std::string_view kResponse =
    "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\","
    "nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\","
    "response=d388dad90d4bbd760a152321f2143af7,qop=auth";

TEST(SaslMessagesTest, PublishedOnes) {
  SaslChallenge challenge;
  ASSERT_EQ(
      ParseSaslChallenge("realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\","
                         "algorithm=md5-sess,charset=utf-8",
                         &challenge),
      Fault::kNone);
  ASSERT_EQ(challenge.all_realms().size(), 1U);
  EXPECT_EQ(challenge.all_realms()[0], "elwood.innosoft.com");
  EXPECT_EQ(challenge.qops, QopSet{Qop::kAuth});
  EXPECT_TRUE(challenge.utf8);
  EXPECT_EQ(challenge.maxbuf, 65536U);
  SaslResponse response;
  ASSERT_EQ(ParseSaslResponse(kResponse, &response), Fault::kNone);
  EXPECT_EQ(response.username, "chris");
  EXPECT_EQ(response.digest_uri, "imap/elwood.innosoft.com");
  EXPECT_EQ(response.nonce_count, 1U);
  EXPECT_EQ(test::Text([&](std::span<char> room) { return FormatSaslResponse(response, room); }),
            kResponse);
  HashValue rspauth;
  ASSERT_EQ(ParseSaslRspauth("rspauth=ea40f60335c427b5527b84dbabcdfffd", &rspauth), Fault::kNone);
  EXPECT_EQ(test::Text([&](std::span<char> room) { return FormatSaslRspauth(rspauth, room); }),
            "rspauth=ea40f60335c427b5527b84dbabcdfffd");
}

TEST(SaslMessagesTest, ChallengesThatAreTakenOrNot) {
  constexpr std::string_view kStart = "nonce=\"n\",algorithm=md5-sess";
  const auto fault = [&](std::string_view more) {
    return ChallengeFault(std::string(kStart).append(more));
  };
  EXPECT_EQ(fault(""), Fault::kNone) << "auth, and no realm";
  EXPECT_EQ(fault(",realm=a,realm=b"), Fault::kNone);
  EXPECT_EQ(fault(",nonce=\"m\""), Fault::kDuplicate);
  EXPECT_EQ(fault(",qop=\"auth-conf\""), Fault::kMissing) << "no cipher";
  EXPECT_EQ(fault(",qop=\"auth-conf\",cipher=\"aes\""), Fault::kUnknownQop);
  EXPECT_EQ(fault(",qop=\"auth-conf,auth\",cipher=\"aes\""), Fault::kNone);
  EXPECT_EQ(fault(",qop=\"auth-conf\",cipher=\"aes,3DES\""), Fault::kNone);
  EXPECT_EQ(fault(",maxbuf=17"), Fault::kNone);
  EXPECT_EQ(fault(",maxbuf=16"), Fault::kBadValue);
  EXPECT_EQ(fault(",maxbuf=16777215"), Fault::kNone);
  EXPECT_EQ(fault(",maxbuf=16777216"), Fault::kBadValue);
  EXPECT_EQ(fault(",maxbuf=99999999999999999999"), Fault::kBadValue);
  EXPECT_EQ(fault(",maxbuf=17x"), Fault::kBadValue);
  EXPECT_EQ(fault(",maxbuf=-17"), Fault::kBadValue);
  EXPECT_EQ(fault(",charset=latin1"), Fault::kBadValue);
  EXPECT_EQ(fault(std::string(kSaslChallengeBytesMax - kStart.size(), ',')), Fault::kNone);
  EXPECT_EQ(fault(std::string(kSaslChallengeBytesMax - kStart.size() + 1, ',')), Fault::kTooLong);
  EXPECT_EQ(ChallengeFault("nonce=\"n\""), Fault::kMissing);
  EXPECT_EQ(ChallengeFault("nonce=\"n\",algorithm=MD5"), Fault::kUnknownAlgorithm);
  std::string realms(kStart);
  for (std::size_t i = 0; i < kSaslRealmsMax; ++i) realms += ",realm=r";
  EXPECT_EQ(ChallengeFault(realms), Fault::kNone);
  EXPECT_EQ(ChallengeFault(realms + ",realm=r"), Fault::kTooMany);
}

TEST(SaslMessagesTest, AChallengeIsReadBack) {
  SaslChallenge challenge;
  challenge.realms = {"one", "t\"wo"};
  challenge.realm_count = 2;
  challenge.nonce = "n";
  challenge.opaque = "o";
  challenge.qops = {Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf};
  challenge.ciphers.Add(SaslCipher::kDes);
  challenge.ciphers.Add(SaslCipher::k3Des);
  challenge.ciphers.Add(SaslCipher::kRc4);
  challenge.maxbuf = 4096;
  challenge.utf8 = challenge.stale = true;
  const auto format = [&](std::span<char> room) { return FormatSaslChallenge(challenge, room); };
  const std::string text = test::Text(format);
  EXPECT_EQ(text,
            "realm=\"one\",realm=\"t\\\"wo\",nonce=\"n\",qop=\"auth,auth-int,auth-conf\","
            "cipher=\"rc4,3des,des\",maxbuf=4096,algorithm=md5-sess,charset=utf-8,stale=true,"
            "opaque=\"o\"");
  SaslChallenge read;
  ASSERT_EQ(ParseSaslChallenge(text, &read), Fault::kNone);
  ASSERT_EQ(read.all_realms().size(), 2U);
  EXPECT_EQ(read.all_realms()[1], "t\"wo");
  EXPECT_EQ(read.qops, challenge.qops);
  EXPECT_EQ(read.ciphers, challenge.ciphers);
  EXPECT_EQ(read.maxbuf, 4096U);
  const std::string long_realm(kSaslChallengeBytesMax, 'r');
  challenge.realms[0] = long_realm;
  EXPECT_EQ(test::Text(format), "fault: the message is too long");
  challenge.realm_count = 0;
  challenge.ciphers = {};
  EXPECT_EQ(test::Text(format), "fault: a directive is missing");
}

TEST(SaslMessagesTest, ResponsesThatAreTakenOrNot) {
  const auto fault = [&](std::string_view from, std::string_view to) {
    std::string text(kResponse);
    return ResponseFault(text.replace(text.find(from), from.size(), to));
  };
  for (const std::string_view directive :
       {"username=\"chris\"", "nonce=\"OA6MG9tEQGm2hh\"", "nc=00000001",
        "cnonce=\"OA6MHXh6VqTrRk\"", "digest-uri=\"imap/elwood.innosoft.com\"",
        "response=d388dad90d4bbd760a152321f2143af7"}) {
    EXPECT_EQ(fault(directive, ""), Fault::kMissing) << directive;
    EXPECT_EQ(ResponseFault(std::string(kResponse).append(",").append(directive)),
              Fault::kDuplicate);
  }
  EXPECT_EQ(fault("realm=\"elwood.innosoft.com\",", ""), Fault::kNone);
  EXPECT_EQ(fault("qop=auth", ""), Fault::kNone) << "auth is what it is without";
  EXPECT_EQ(fault("qop=auth", "qop=auth-conf"), Fault::kMissing);
  EXPECT_EQ(fault("qop=auth", "qop=auth-conf,cipher=aes"), Fault::kBadValue);
  EXPECT_EQ(fault("qop=auth", "qop=auth-conf,cipher=\"3des\""), Fault::kNone);
  EXPECT_EQ(fault("qop=auth", "qop=other"), Fault::kUnknownQop);
  EXPECT_EQ(fault("nc=00000001", "nc=1"), Fault::kBadValue);
  EXPECT_EQ(fault("qop=auth", "qop=auth,maxbuf=16"), Fault::kBadValue);
  EXPECT_EQ(fault("charset=utf-8", "charset=x"), Fault::kBadValue);
  EXPECT_EQ(fault("=d388d", "=d388"), Fault::kBadValue);
  EXPECT_EQ(ResponseFault(std::string(kResponse) + std::string(4096, ',')), Fault::kTooLong);
}

TEST(SaslMessagesTest, AResponseIsReadBack) {
  SaslResponse response;
  ASSERT_EQ(ParseSaslResponse(kResponse, &response), Fault::kNone);
  response.qop = Qop::kAuthConf;
  response.cipher = SaslCipher::kRc4Bits56;
  response.maxbuf = 1024;
  response.authzid = "other";
  response.opaque = "o";
  const std::string text =
      test::Text([&](std::span<char> room) { return FormatSaslResponse(response, room); });
  SaslResponse read;
  ASSERT_EQ(ParseSaslResponse(text, &read), Fault::kNone);
  EXPECT_EQ(read.qop, Qop::kAuthConf);
  EXPECT_EQ(read.cipher, SaslCipher::kRc4Bits56);
  EXPECT_EQ(read.maxbuf, 1024U);
  EXPECT_EQ(read.authzid, "other");
  EXPECT_EQ(read.opaque, "o");
  HashValue hash;
  EXPECT_EQ(ParseSaslRspauth("nonce=x", &hash), Fault::kMissing);
  EXPECT_EQ(ParseSaslRspauth("rspauth=ea40", &hash), Fault::kBadValue);
}

}  // namespace
}  // namespace ktlsim::digest
