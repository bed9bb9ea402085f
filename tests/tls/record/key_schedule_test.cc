// Published vectors: RFC 8448 section 3 (TLS 1.3), and the TLS 1.2 PRF against OpenSSL's own.
#include "tls/record/key_schedule.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tests/tls/record/rfc8448.h"

namespace ktlsim::tls::test {
namespace {

std::vector<std::uint8_t> Vector(const Secret& secret) {
  return {secret.span().begin(), secret.span().end()};
}

const SuiteInfo& Aes128() { return *FindSuite(0x1301); }

TEST(KeyScheduleTest, ExtractsTheEarlySecretOfRfc8448) {
  const std::vector<std::uint8_t> zeros(32);
  Secret early;
  ASSERT_TRUE(HkdfExtract(HashId::kSha256, {}, zeros, early));
  EXPECT_EQ(Vector(early), Hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"));
}

TEST(KeyScheduleTest, DerivesTheTrafficKeysOfRfc8448) {
  TrafficKeys server;
  ASSERT_TRUE(DeriveTrafficKeys(Aes128(), Secret(Hex(kServerTrafficSecret)), server));
  EXPECT_EQ(Vector(server.key), Hex("9f02283b6c9c07efc26bb9f2ac92e356"));
  EXPECT_EQ(Vector(server.iv), Hex("cf782b88dd83549aadf1e984"));
  TrafficKeys client;
  ASSERT_TRUE(DeriveTrafficKeys(Aes128(), Secret(Hex(kClientTrafficSecret)), client));
  EXPECT_EQ(Vector(client.key), Hex("17422dda596ed5d9acd890e3c63f5051"));
  EXPECT_EQ(Vector(client.iv), Hex("5b78923dee08579033e523d9"));
}

TEST(KeyScheduleTest, NextTrafficSecretMayReplaceItsSource) {
  const Secret first(Hex(kServerTrafficSecret));
  Secret apart;
  ASSERT_TRUE(NextTrafficSecret(HashId::kSha256, first, apart));
  Secret in_place = first;
  ASSERT_TRUE(NextTrafficSecret(HashId::kSha256, in_place, in_place));
  EXPECT_EQ(Vector(apart), Vector(in_place));
  EXPECT_NE(Vector(apart), Vector(first));
}

TEST(KeyScheduleTest, RefusesALabelThatDoesNotFit) {
  std::vector<std::uint8_t> out(16);
  const std::string label(250, 'x');
  EXPECT_FALSE(HkdfExpandLabel(HashId::kSha256, Hex(kServerTrafficSecret), label, {}, out));
  std::vector<std::uint8_t> too_long(255 * 32 + 1);
  EXPECT_FALSE(HkdfExpand(HashId::kSha256, Hex(kServerTrafficSecret), {}, too_long));
}

TEST(KeyScheduleTest, PrfMakesThePublishedVector) {
  const auto secret = Hex("9bbe436ba940f017b17652849a71db35");
  const auto seed = Hex("a0ba9f936cda311827a6f796ffd5198c");
  std::vector<std::uint8_t> out(100);
  ASSERT_TRUE(Tls12Prf(HashId::kSha256, secret, "test label", seed, out));
  EXPECT_EQ(out, Hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d"
                     "35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f"
                     "796789baa48082d122ee42c5a72e5a5110fff70187347b66"));
}

std::vector<std::uint8_t> OpensslPrf(const char* digest, std::vector<std::uint8_t> secret,
                                     std::string label, std::vector<std::uint8_t> seed,
                                     std::size_t size) {
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(digest), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label.data(), label.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()),
      OSSL_PARAM_construct_end()};
  std::vector<std::uint8_t> out(size);
  EXPECT_EQ(EVP_KDF_derive(context, out.data(), out.size(), parameters), 1);
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  return out;
}

TEST(KeyScheduleTest, PrfAgreesWithOpensslAtEveryLength) {
  const std::vector<std::uint8_t> secret(48, 7);
  const std::vector<std::uint8_t> seed(64, 9);
  for (const auto& [hash, digest] :
       {std::pair{HashId::kSha256, "SHA256"}, std::pair{HashId::kSha384, "SHA384"}}) {
    for (std::size_t size = 1; size <= 120; ++size) {
      std::vector<std::uint8_t> out(size);
      ASSERT_TRUE(Tls12Prf(hash, secret, "key expansion", seed, out));
      ASSERT_EQ(out, OpensslPrf(digest, secret, "key expansion", seed, size)) << size;
    }
  }
}

TEST(SecretTest, MovingWipesTheSource) {
  Secret first(Hex(kServerTrafficSecret));
  const Secret second = std::move(first);
  EXPECT_EQ(Vector(second), Hex(kServerTrafficSecret));
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace ktlsim::tls::test
