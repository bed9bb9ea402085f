#include "kernel_sim/digest/hash.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

std::string HexOf(const HashValue& hash) { return std::string(HexText(hash).view()); }

// FIPS 180-4 and RFC 1321 A.5: "abc".
TEST(HashTest, PublishedVectors) {
  HashValue hash;
  Hasher md5(HashId::kMd5);
  ASSERT_TRUE(md5.Hash({"a", "", "bc"}, &hash));
  EXPECT_EQ(HexOf(hash), "900150983cd24fb0d6963f7d28e17f72");
  Hasher sha256(HashId::kSha256);
  ASSERT_TRUE(sha256.Hash({"abc"}, &hash));
  EXPECT_EQ(HexOf(hash), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher sha512_256(HashId::kSha512256);
  ASSERT_TRUE(sha512_256.Hash({"abc"}, &hash));
  EXPECT_EQ(HexOf(hash), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
  ASSERT_TRUE(md5.Hash({"a", "bc"}, &hash)) << "a hasher serves again";
  EXPECT_EQ(HexOf(hash), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(md5.hashes(), 2U);
}

// RFC 2202 2 and RFC 4231 4.3, 4.7: a short key, and one that is longer than a block.
TEST(HashTest, MessageAuthenticationCodes) {
  HashValue code;
  const std::string jefe = "Jefe";
  const std::string question = "what do ya want for nothing?";
  const auto bytes = [](const std::string& text) {
    return Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  Hasher md5(HashId::kMd5);
  ASSERT_TRUE(md5.Hmac(bytes(jefe), {"what do ya want ", "for nothing?"}, &code));
  EXPECT_EQ(HexOf(code), "750c783e6ab0b503eaa86e310a5db738");
  Hasher sha256(HashId::kSha256);
  ASSERT_TRUE(sha256.Hmac(bytes(jefe), {question}, &code));
  EXPECT_EQ(HexOf(code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const std::string long_key(131, '\xaa');
  ASSERT_TRUE(sha256.Hmac(bytes(long_key),
                          {"Test Using Larger Than Block-Size Key - Hash Key First"}, &code));
  EXPECT_EQ(HexOf(code), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(sha256.hashes(), 2U) << "one code is one operation, however it is made";
}

TEST(HashTest, HexadecimalDigits) {
  HashValue hash;
  EXPECT_TRUE(ParseHex("00112233445566778899aAbBcCdDeEfF", HashId::kMd5, &hash));
  EXPECT_EQ(HexOf(hash), "00112233445566778899aabbccddeeff");
  for (const std::string_view wrong :
       {"", "0", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeefff",
        "00112233445566778899aabbccddeefg", "0011223344556677 899aabbccddeeff"}) {
    EXPECT_FALSE(ParseHex(wrong, HashId::kMd5, &hash)) << wrong;
    EXPECT_TRUE(hash.empty());
  }
  EXPECT_FALSE(ParseHex("00112233445566778899aabbccddeeff", HashId::kSha256, &hash));
}

TEST(HashTest, ComparesWholeTexts) {
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "ab"));
}

TEST(HashTest, RandomBytesDiffer) {
  std::array<std::uint8_t, 16> first{};
  std::array<std::uint8_t, 16> second{};
  ASSERT_TRUE(FillRandom(first));
  ASSERT_TRUE(FillRandom(second));
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace ktlsim::digest
