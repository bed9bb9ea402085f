#include "kernel_sim/accounts/certificate_facts.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/accounts/certificate_maker.h"

namespace ktlsim::accounts {
namespace {

using test::CertificateMaker;

CertificateRead Read(const std::vector<std::uint8_t>& der, CertificateFacts* facts) {
  *facts = {};
  return ReadCertificate(der, facts);
}

void ExpectUnreadable(const CertificateMaker& maker, const char* what) {
  CertificateFacts facts;
  EXPECT_EQ(Read(maker.Der(), &facts), CertificateRead::kUnreadable) << what;
}

TEST(CertificateFactsTest, ReadsNamesSerialAndKey) {
  CertificateMaker maker;
  maker.Serial("00C0FFEE")
      .Email("Alice.Smith@Example.ORG")
      .Dns("www.example.org")
      .Upn("Alice@Example.ORG")
      .Upn("m\xC3\x9Cller@example.org");
  CertificateFacts facts;
  ASSERT_EQ(Read(maker.Der(), &facts), CertificateRead::kDone);
  EXPECT_EQ(facts.emails, std::vector<std::string>{"Alice.Smith@example.org"});
  // Only ASCII letters have their case folded.
  EXPECT_EQ(facts.upns,
            (std::vector<std::string>{"alice@example.org", "m\xC3\x9Cller@example.org"}));
  EXPECT_EQ(facts.serial, "c0ffee");
  EXPECT_EQ(facts.key, maker.Key());
}

TEST(CertificateFactsTest, WithoutNamesItStillHasAKey) {
  CertificateMaker maker;
  CertificateFacts facts;
  ASSERT_EQ(Read(maker.Der(), &facts), CertificateRead::kDone);
  EXPECT_TRUE(facts.emails.empty());
  EXPECT_TRUE(facts.upns.empty());
  EXPECT_EQ(facts.key, maker.Key());
}

TEST(CertificateFactsTest, HostileNamesMakeItUnreadable) {
  using std::string_view_literals::operator""sv;
  ExpectUnreadable(CertificateMaker().Email("alice@example.org\0.evil.org"sv), "NUL in an e-mail");
  ExpectUnreadable(CertificateMaker().Upn("alice@example.org\0"sv), "NUL at the end of a UPN");
  ExpectUnreadable(CertificateMaker().Upn("\0alice@example.org"sv), "NUL in front of a UPN");
  ExpectUnreadable(CertificateMaker().Email("alic\xE9@example.org"), "IA5 has no such byte");
  ExpectUnreadable(CertificateMaker().Email("al ice@example.org"), "a space");
  ExpectUnreadable(CertificateMaker().Email("alice@example.org\n"), "a line end");
  ExpectUnreadable(CertificateMaker().Email("a@b@c"), "two at signs");
  ExpectUnreadable(CertificateMaker().Email("@example.org"), "no local part");
  ExpectUnreadable(CertificateMaker().Email("alice@"), "no domain");
  ExpectUnreadable(CertificateMaker().Email(""), "no e-mail");
  ExpectUnreadable(CertificateMaker().Upn("alice"), "no domain");
  ExpectUnreadable(CertificateMaker().Upn(""), "no UPN");
  ExpectUnreadable(CertificateMaker().Upn("alice\xC0\x80@example.org"), "an overlong NUL");
  ExpectUnreadable(CertificateMaker().Upn("alice@exa\x1Bmple.org"), "a control character");
  for (const int type : {V_ASN1_IA5STRING, V_ASN1_PRINTABLESTRING, V_ASN1_OCTET_STRING,
                         V_ASN1_BMPSTRING, V_ASN1_T61STRING}) {
    ExpectUnreadable(CertificateMaker().Upn("alice@example.org", type), "no UTF8String");
  }
  ExpectUnreadable(CertificateMaker().Email(std::string(1020, 'a') + "@b.cd"), "a long e-mail");
  ExpectUnreadable(CertificateMaker().Upn("a@" + std::string(1023, 'b')), "a long UPN");
  ExpectUnreadable(CertificateMaker().Email("alice@example.org").NamesTwice(), "two extensions");
}

TEST(CertificateFactsTest, OtherNamesOfOtherKindsArePassedOver) {
  ASN1_OBJECT* const kind = OBJ_txt2obj("1.3.6.1.4.1.311.20.2.4", 1);
  CertificateMaker maker;
  maker.Other(kind, "alice@example.org", V_ASN1_UTF8STRING);
  CertificateFacts facts;
  ASSERT_EQ(Read(maker.Der(), &facts), CertificateRead::kDone);
  EXPECT_TRUE(facts.upns.empty());
}

TEST(CertificateFactsTest, SizeAndNumberAreBounded) {
  CertificateMaker most;
  for (std::size_t i = 0; i < kCertificateNamesMax; ++i) {
    most.Email("user" + std::to_string(i) + "@example.org");
  }
  CertificateFacts facts;
  EXPECT_EQ(Read(most.Der(), &facts), CertificateRead::kDone);
  EXPECT_EQ(facts.emails.size(), kCertificateNamesMax);
  ExpectUnreadable(most.Dns("one.too.many"), "too many names");

  ExpectUnreadable(CertificateMaker().Dns(std::string(kCertificateBytesMax, 'a')), "huge");
  ExpectUnreadable(CertificateMaker().Serial("01" + std::string(40, '0')), "a serial of 21 bytes");
  ExpectUnreadable(CertificateMaker().Serial("-1"), "a negative serial");
}

// What is not exactly one certificate is none. Cut at each length, and with each byte flipped, it
// is read or refused, and nothing else happens.
TEST(CertificateFactsTest, BrokenBytesAreRefusedOrRead) {
  CertificateMaker maker;
  maker.Email("alice@example.org").Upn("alice@example.org");
  const std::vector<std::uint8_t> der = maker.Der();
  CertificateFacts facts;
  for (std::size_t bytes = 0; bytes < der.size(); ++bytes) {
    EXPECT_EQ(Read({der.begin(), der.begin() + static_cast<std::ptrdiff_t>(bytes)}, &facts),
              CertificateRead::kUnreadable);
  }
  std::vector<std::uint8_t> more = der;
  more.push_back(0);
  EXPECT_EQ(Read(more, &facts), CertificateRead::kUnreadable);
  for (std::size_t i = 0; i < der.size(); ++i) {
    std::vector<std::uint8_t> flipped = der;
    flipped[i] ^= 0xFFU;
    EXPECT_NE(Read(flipped, &facts), CertificateRead::kNoMemory) << i;
  }
}

TEST(KeyIdTest, IsReadWithAndWithoutColons) {
  const std::string digits(64, 'a');
  ASSERT_TRUE(ParseKeyId(digits).has_value());
  EXPECT_EQ(KeyIdText(*ParseKeyId(digits)), digits);
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "0F" : ":0F";
  ASSERT_TRUE(ParseKeyId(colons).has_value());
  EXPECT_EQ(KeyIdText(*ParseKeyId(colons)).substr(0, 4), "0f0f");
  for (const std::string& refused :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'),
        ":" + digits, digits + ":", "aa::" + std::string(62, 'a'), "a:" + std::string(63, 'a')}) {
    EXPECT_FALSE(ParseKeyId(refused).has_value()) << refused;
  }
}

TEST(SerialTest, ZerosInFrontDoNotCount) {
  EXPECT_EQ(ParseSerial("00:0A:1b"), "a1b");
  EXPECT_EQ(ParseSerial("0"), "0");
  EXPECT_EQ(ParseSerial("000"), "0");
  EXPECT_EQ(ParseSerial(std::string(40, 'f')), std::string(40, 'f'));
  EXPECT_FALSE(ParseSerial(std::string(41, 'f')).has_value());
  EXPECT_FALSE(ParseSerial("").has_value());
  EXPECT_FALSE(ParseSerial("0x1").has_value());
  EXPECT_FALSE(ParseSerial("-1").has_value());
}

}  // namespace
}  // namespace ktlsim::accounts
