// The published examples.
#include "kernel_sim/digest/calculation.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

struct Exchange {
  Algorithm algorithm = Algorithm::kMd5;
  std::string_view username;
  std::string_view realm;
  std::string_view password;
  NonceFacts nonce;
  RequestFacts request;
};

std::string ResponseOf(const Exchange& exchange) {
  Hasher hasher(HashOf(exchange.algorithm));
  HashValue account;
  HashValue session;
  HashValue response;
  EXPECT_TRUE(
      ComputeAccountHash(hasher, exchange.username, exchange.realm, exchange.password, &account));
  EXPECT_TRUE(ComputeSessionHash(hasher, exchange.algorithm, account, exchange.nonce.nonce,
                                 exchange.nonce.cnonce, &session));
  EXPECT_TRUE(ComputeResponse(hasher, session, exchange.nonce, exchange.request, &response));
  return std::string(HexText(response).view());
}

// RFC 2617 3.5.
constexpr Exchange kRfc2617 = {
    .algorithm = Algorithm::kMd5,
    .username = "Mufasa",
    .realm = "testrealm@host.com",
    .password = "Circle Of Life",
    .nonce = {.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
              .nc = "00000001",
              .cnonce = "0a4f113b",
              .qop = Qop::kAuth},
    .request = {.method = "GET", .uri = "/dir/index.html", .entity_hash = {}},
};

// RFC 7616 3.9.1.
constexpr Exchange Rfc7616(Algorithm algorithm) {
  return {.algorithm = algorithm,
          .username = "Mufasa",
          .realm = "http-auth@example.org",
          .password = "Circle of Life",
          .nonce = {.nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                    .nc = "00000001",
                    .cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                    .qop = Qop::kAuth},
          .request = {.method = "GET", .uri = "/dir/index.html", .entity_hash = {}}};
}

TEST(CalculationTest, Rfc2617Section3_5) {
  EXPECT_EQ(ResponseOf(kRfc2617), "6629fae49393a05397450978507c4ef1");
}

TEST(CalculationTest, Rfc7616Section3_9_1) {
  EXPECT_EQ(ResponseOf(Rfc7616(Algorithm::kMd5)), "8ca523f5e9506fed4657c9700eebdbec");
  EXPECT_EQ(ResponseOf(Rfc7616(Algorithm::kSha256)),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

// The RFC's own values are of another hash; erratum 4897 has those of its inputs.
TEST(CalculationTest, Rfc7616Section3_9_2WithErratum4897) {
  constexpr std::string_view kName = "J\xc3\xa4s\xc3\xb8n Doe";
  constexpr std::string_view kRealm = "api@example.org";
  Hasher hasher(HashId::kSha512256);
  HashValue name;
  ASSERT_TRUE(ComputeUserHash(hasher, kName, kRealm, &name));
  EXPECT_EQ(HexText(name).view(),
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
  EXPECT_EQ(ResponseOf({.algorithm = Algorithm::kSha512256,
                        .username = kName,
                        .realm = kRealm,
                        .password = "Secret, or not?",
                        .nonce = {.nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
                                  .nc = "00000001",
                                  .cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
                                  .qop = Qop::kAuth},
                        .request = {.method = "GET", .uri = "/doe.json", .entity_hash = {}}}),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
}

struct SaslExample {
  std::string_view nonce;
  std::string_view cnonce;
  std::string_view uri;
  std::string_view response;
  std::string_view rspauth;
};

// RFC 2831 4: IMAP and ACAP.
TEST(CalculationTest, Rfc2831Section4) {
  constexpr SaslExample kExamples[] = {
      {"OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk", "imap/elwood.innosoft.com",
       "d388dad90d4bbd760a152321f2143af7", "ea40f60335c427b5527b84dbabcdfffd"},
      {"OA9BSXrbuRhWay", "OA9BSuZWMSpW8m", "acap/elwood.innosoft.com",
       "6084c6db3fede7352c551284490fd0fc", "2f0b3d7c3c2e486600ef710726aa2eae"},
  };
  for (const SaslExample& example : kExamples) {
    Hasher hasher(HashId::kMd5);
    HashValue account;
    HashValue session;
    HashValue hash;
    ASSERT_TRUE(ComputeAccountHash(hasher, "chris", "elwood.innosoft.com", "secret", &account));
    ASSERT_TRUE(
        ComputeSaslSessionHash(hasher, account, example.nonce, example.cnonce, "", &session));
    const NonceFacts nonce = {
        .nonce = example.nonce, .nc = "00000001", .cnonce = example.cnonce, .qop = Qop::kAuth};
    const RequestFacts request = {
        .method = kSaslMethod, .uri = example.uri, .entity_hash = kSaslEntityHash};
    ASSERT_TRUE(ComputeResponse(hasher, session, nonce, request, &hash));
    EXPECT_EQ(HexText(hash).view(), example.response);
    ASSERT_TRUE(ComputeRspauth(hasher, session, nonce, request, &hash));
    EXPECT_EQ(HexText(hash).view(), example.rspauth);
  }
}

std::string Spelt(HashId id, std::string_view text) {
  Hasher hasher(id);
  HashValue hash;
  EXPECT_TRUE(hasher.Hash({text}, &hash));
  return std::string(HexText(hash).view());
}

// Spelt out as RFC 7616 3.4.2 and 3.4.3 write them.
TEST(CalculationTest, SessionsAndEntities) {
  for (const Algorithm algorithm : kAlgorithms) {
    const HashId id = HashOf(algorithm);
    std::string a1 = Spelt(id, "u:r:p");
    if (IsSession(algorithm)) a1 = Spelt(id, std::string(a1).append(":n:c"));
    const std::string entity = Spelt(id, "body");
    for (const Qop qop : {Qop::kAuth, Qop::kAuthInt}) {
      const std::string a2 = Spelt(id, qop == Qop::kAuth ? "PUT:/x" : "PUT:/x:" + entity);
      const std::string expected = Spelt(
          id, std::string(a1).append(":n:0000000a:c:").append(NameOf(qop)).append(":").append(a2));
      EXPECT_EQ(ResponseOf({.algorithm = algorithm,
                            .username = "u",
                            .realm = "r",
                            .password = "p",
                            .nonce = {.nonce = "n", .nc = "0000000a", .cnonce = "c", .qop = qop},
                            .request = {.method = "PUT", .uri = "/x", .entity_hash = entity}}),
                expected)
          << NameOf(algorithm);
    }
  }
}

TEST(CalculationTest, AnAuthorizationIdentityChangesTheKey) {
  Hasher hasher(HashId::kMd5);
  HashValue account;
  HashValue without;
  HashValue with;
  ASSERT_TRUE(ComputeAccountHash(hasher, "u", "r", "p", &account));
  ASSERT_TRUE(ComputeSaslSessionHash(hasher, account, "n", "c", "", &without));
  ASSERT_TRUE(ComputeSaslSessionHash(hasher, account, "n", "c", "other", &with));
  EXPECT_FALSE(ConstantTimeEqual(without.raw(), with.raw()));
}

TEST(AlgorithmTest, NamesAreReadBack) {
  for (const Algorithm algorithm : kAlgorithms) {
    Algorithm read = Algorithm::kMd5;
    EXPECT_TRUE(ParseAlgorithm(NameOf(algorithm), &read));
    EXPECT_EQ(read, algorithm);
  }
  Algorithm read = Algorithm::kSha256;
  EXPECT_TRUE(ParseAlgorithm("md5-SESS", &read));
  EXPECT_EQ(read, Algorithm::kMd5Sess);
  for (const std::string_view unknown : {"", "MD", "MD5-", "SHA-512", "SHA-1"}) {
    EXPECT_FALSE(ParseAlgorithm(unknown, &read)) << unknown;
    EXPECT_EQ(read, Algorithm::kMd5Sess) << "left alone";
  }
}

TEST(AlgorithmTest, QopsAreReadBack) {
  for (const Qop qop : {Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf}) {
    Qop read = Qop::kAuth;
    EXPECT_TRUE(ParseQop(NameOf(qop), &read));
    EXPECT_EQ(read, qop);
  }
  Qop read = Qop::kAuth;
  EXPECT_FALSE(ParseQop("AUTH", &read)) << "what was sent is hashed, and differs";
  EXPECT_FALSE(ParseQop("", &read));
  constexpr QopSet kBoth = {Qop::kAuth, Qop::kAuthInt};
  EXPECT_TRUE(kBoth.Has(Qop::kAuthInt));
  EXPECT_FALSE(kBoth.Has(Qop::kAuthConf));
  EXPECT_TRUE(QopSet().empty());
}

}  // namespace
}  // namespace ktlsim::digest
