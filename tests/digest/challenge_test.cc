#include "kernel_sim/digest/challenge.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/digest/messages_test_support.h"

namespace ktlsim::digest {
namespace {

Fault FaultOf(std::string_view text) {
  Challenge challenge;
  return ParseChallenge(text, &challenge);
}

// RFC 7616 3.9.1 and 3.9.2.
TEST(ChallengeTest, PublishedOnes) {
  Challenge challenge;
  ASSERT_EQ(
      ParseChallenge("Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", "
                     "algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
                     "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                     &challenge),
      Fault::kNone);
  EXPECT_EQ(challenge.realm, "http-auth@example.org");
  EXPECT_EQ(challenge.nonce, "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v");
  EXPECT_EQ(challenge.opaque, "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
  EXPECT_EQ(challenge.algorithm, Algorithm::kSha256);
  EXPECT_EQ(challenge.qops, (QopSet{Qop::kAuth, Qop::kAuthInt}));
  EXPECT_FALSE(challenge.stale || challenge.utf8 || challenge.userhash);
  ASSERT_EQ(ParseChallenge("realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, "
                           "nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", "
                           "opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", "
                           "charset=UTF-8, userhash=true",
                           &challenge),
            Fault::kNone);
  EXPECT_EQ(challenge.algorithm, Algorithm::kSha512256);
  EXPECT_TRUE(challenge.utf8 && challenge.userhash);
}

TEST(ChallengeTest, WhatItMayLackAndWhatNot) {
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=auth"), Fault::kNone);
  EXPECT_EQ(FaultOf("realm=\"\",nonce=\"n\",qop=auth"), Fault::kNone) << "an empty realm";
  EXPECT_EQ(FaultOf("nonce=\"n\",qop=auth"), Fault::kMissing);
  EXPECT_EQ(FaultOf("realm=\"r\",qop=auth"), Fault::kMissing);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"\",qop=auth"), Fault::kMissing);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\""), Fault::kUnknownQop) << "RFC 2069";
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=\"auth-conf,other\""), Fault::kUnknownQop);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=\"other, auth\""), Fault::kNone);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=auth,algorithm=SHA-512"),
            Fault::kUnknownAlgorithm);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=auth,realm=\"r\""), Fault::kDuplicate);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=auth,later=\"x\""), Fault::kNone);
  EXPECT_EQ(FaultOf("realm=\"r\",nonce=\"n\",qop=auth," + std::string(kMessageBytesMax, ' ')),
            Fault::kTooLong);
}

TEST(ChallengeTest, WhatIsWrittenIsReadBack) {
  Challenge challenge;
  challenge.realm = R"(a "realm" with \ in it)";
  challenge.domain = "/a /b";
  challenge.nonce = "n";
  challenge.opaque = "o";
  challenge.algorithm = Algorithm::kSha256Sess;
  challenge.qops = {Qop::kAuthInt, Qop::kAuth};
  challenge.stale = challenge.utf8 = challenge.userhash = true;
  const std::string text =
      test::Text([&](std::span<char> room) { return FormatChallenge(challenge, room); });
  EXPECT_EQ(text, R"(realm="a \"realm\" with \\ in it", domain="/a /b", qop="auth,auth-int", )"
                  R"(algorithm=SHA-256-sess, nonce="n", opaque="o", charset=UTF-8, userhash=true, )"
                  "stale=true");
  Challenge read;
  ASSERT_EQ(ParseChallenge(text, &read), Fault::kNone);
  const Challenge moved = std::move(read);
  EXPECT_EQ(moved.realm, challenge.realm) << "the views move with their room";
  EXPECT_EQ(moved.domain, challenge.domain);
  EXPECT_EQ(moved.qops, challenge.qops);
  EXPECT_EQ(moved.algorithm, challenge.algorithm);
  EXPECT_TRUE(moved.stale && moved.utf8 && moved.userhash);
}

TEST(ChallengeTest, WhatCannotBeWritten) {
  Challenge challenge;
  const auto format = [&](std::span<char> room) { return FormatChallenge(challenge, room); };
  EXPECT_EQ(test::Text(format), "fault: a directive is missing");
  challenge.nonce = "n";
  challenge.qops = {Qop::kAuth};
  challenge.realm = "two\r\nlines";
  EXPECT_EQ(test::Text(format), "fault: a control character");
}

std::string ReadList(std::string_view header) {
  ChallengeListReader reader(header);
  std::string read;
  SchemeChallenge challenge;
  for (int bound = 0; bound < 100; ++bound) {
    switch (reader.Read(&challenge)) {
      case ChallengeListReader::Next::kEnd:
        return read;
      case ChallengeListReader::Next::kFault:
        EXPECT_EQ(reader.Read(&challenge), ChallengeListReader::Next::kFault) << "it stays so";
        return read.append("fault: ").append(ToText(reader.fault()));
      case ChallengeListReader::Next::kChallenge:
        read.append(challenge.scheme).append("<").append(challenge.parameters).append(">");
    }
  }
  return "no end";
}

// RFC 9110 11.6.1 has the second of these.
TEST(ChallengeListTest, SeveralSchemes) {
  EXPECT_EQ(ReadList(""), "");
  EXPECT_EQ(
      ReadList(R"(Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"")"),
      R"(Basic<realm="simple">Newauth<realm="apps", type=1, title="Login to \"apps\"">)");
  EXPECT_EQ(ReadList(R"(Digest realm="a, Digest b=c",nonce="n",Digest realm="b")"),
            R"(Digest<realm="a, Digest b=c",nonce="n">Digest<realm="b">)");
  EXPECT_EQ(ReadList("Negotiate, Digest realm=x,, NTLM abc==, Bearer"),
            "Negotiate<>Digest<realm=x>NTLM<abc==>Bearer<>");
  EXPECT_EQ(ReadList(" , Digest a = b , c = \"d\" , "), "Digest<a = b , c = \"d\">");
}

TEST(ChallengeListTest, WhatIsNoList) {
  EXPECT_EQ(ReadList("Digest realm"), "Digest<realm>") << "a token68";
  EXPECT_EQ(ReadList("Digest realm=\"x"), "fault: a quoted string has no end");
  EXPECT_EQ(ReadList("Basic, \"x\""), "Basic<>fault: the message is no list of name=value");
  EXPECT_EQ(ReadList("Digest=x"), "fault: the message is no list of name=value");
  EXPECT_EQ(ReadList("Digest a=b c=d"), "fault: the message is no list of name=value");
  EXPECT_EQ(ReadList("Digest a=\"b\nc\""), "fault: a control character");
  EXPECT_EQ(ReadList(std::string(kMessageBytesMax + 1, ',')), "fault: the message is too long");
}

}  // namespace
}  // namespace ktlsim::digest
