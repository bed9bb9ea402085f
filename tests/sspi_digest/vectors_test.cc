// The published exchanges through the public functions: the response of our client, with the
// client's nonce of the document, to the document's challenge. RFC 2617 3.5, RFC 7616 3.9 with
// erratum 4897, RFC 2831 4.
//
// A server's nonces carry a code of ours, so that it cannot have the document's. What it verifies
// is computed by the same functions, and by clients that others wrote in tests/system.

#include <sspi.h>

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/sspi_digest/sasl_scene.h"

namespace ktlsim::test {
namespace {

std::string DigitsOf(const digest::HashValue& hash) {
  return std::string(digest::HexText(hash).view());
}

// A client whose nonce is the document's.
class DigestVectorsTest : public testing::Test {
 protected:
  void Fix(std::string_view cnonce) { DigestWorld::FixClientNonce(std::string(cnonce)); }

  DigestWorld world_;
};

// ---- RFC 2617

constexpr const char* kRfc2617Challenge =
    R"(realm="testrealm@host.com", qop="auth,auth-int",)"
    R"( nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41")";

TEST_F(DigestVectorsTest, Rfc2617) {
  Fix("0a4f113b");
  DigestClient client("Mufasa", "Circle Of Life");
  const std::string header = client.Respond(kRfc2617Challenge);
  const digest::Response response = ReadResponse(header);
  EXPECT_EQ(DigitsOf(response.response), "6629fae49393a05397450978507c4ef1");
  EXPECT_EQ(response.username, "Mufasa");
  EXPECT_EQ(response.realm, "testrealm@host.com");
  EXPECT_EQ(response.nonce, "dcd98b7102dd2f0e8b11d0f600bfb0c093");
  EXPECT_EQ(response.uri, "/dir/index.html");
  EXPECT_EQ(response.qop, digest::Qop::kAuth);
  EXPECT_EQ(response.nc, "00000001");
  EXPECT_EQ(response.cnonce, "0a4f113b");
  EXPECT_EQ(response.opaque, "5ccc069c403ebaf9f0171e9517f40e41");
}

// However right it is: who has read the document could send it, too.
TEST_F(DigestVectorsTest, ARecordedResponseIsNotAccepted) {
  Fix("0a4f113b");
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.pszRealm = "testrealm@host.com";
  DigestServer server(
      UserLine("Mufasa", "Circle Of Life", digest::HashId::kMd5, "testrealm@host.com"), settings);
  DigestClient client("Mufasa", "Circle Of Life");
  const Accepted challenge = server.Challenge();
  EXPECT_EQ(server.Accept(client.Respond(kRfc2617Challenge), {}, &challenge.context).status,
            SEC_E_LOGON_DENIED);
  client.Delete();
  EXPECT_EQ(server.Accept(client.Respond(challenge.token), {}, &challenge.context).status,
            SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

// ---- RFC 7616

class DigestVectors7616Test : public DigestVectorsTest {
 protected:
  // 3.9.1 has a challenge of each algorithm.
  std::string ResponseTo(const std::string& algorithm) {
    constexpr std::string_view kCnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    Fix(kCnonce);
    DigestClient client;
    const std::string header = client.Respond(
        R"(realm="http-auth@example.org", qop="auth, auth-int", algorithm=)" + algorithm +
        R"(, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",)"
        R"( opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")");
    EXPECT_EQ(ReadResponse(header).cnonce, kCnonce);
    EXPECT_EQ(ReadResponse(header).opaque, "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
    return DigitsOf(ReadResponse(header).response);
  }
};

TEST_F(DigestVectors7616Test, Md5) {
  EXPECT_EQ(ResponseTo("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
}

TEST_F(DigestVectors7616Test, Sha256) {
  EXPECT_EQ(ResponseTo("SHA-256"),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

// 3.9.2, whose values are of another hash; erratum 4897 has those of its inputs.
TEST_F(DigestVectors7616Test, Sha512256WithAHashedName) {
  Fix("NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v");
  DigestClient client("J\xc3\xa4s\xc3\xb8n Doe", "Secret, or not?");
  const std::string header = client.Respond(
      R"(realm="api@example.org", qop="auth", algorithm=SHA-512-256,)"
      R"( nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",)"
      R"( opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true)",
      {.uri = "/doe.json"});
  const digest::Response response = ReadResponse(header);
  EXPECT_EQ(response.username_form, digest::UsernameForm::kHashed);
  EXPECT_EQ(response.username, "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
  EXPECT_EQ(DigitsOf(response.response),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
}

// ---- RFC 2831

struct SaslVector {
  const char* target;
  const char* nonce;
  const char* cnonce;
  const char* response;
  const char* rspauth;
};

// Both examples, and the proof of the server.
TEST_F(DigestVectorsTest, Rfc2831) {
  constexpr SaslVector kVectors[] = {
      {"imap/elwood.innosoft.com", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
       "d388dad90d4bbd760a152321f2143af7", "ea40f60335c427b5527b84dbabcdfffd"},
      {"acap/elwood.innosoft.com", "OA9BSXrbuRhWay", "OA9BSuZWMSpW8m",
       "6084c6db3fede7352c551284490fd0fc", "2f0b3d7c3c2e486600ef710726aa2eae"}};
  DigestClient account("chris", "secret");
  for (const SaslVector& vector : kVectors) {
    Fix(vector.cnonce);
    SaslEnd client(account.credential(), false, 0, vector.target);
    std::string token;
    ASSERT_EQ(client.Leg(std::string(R"(realm="elwood.innosoft.com",nonce=")") + vector.nonce +
                             R"(",qop="auth",algorithm=md5-sess,charset=utf-8)",
                         &token),
              SEC_I_CONTINUE_NEEDED)
        << KtlsimLastErrorText();
    for (const std::string& directive :
         {std::string("response=") + vector.response, std::string("nc=00000001"),
          std::string(R"(digest-uri=")") + vector.target + '"'}) {
      EXPECT_NE(token.find(directive), std::string::npos) << directive << " in " << token;
    }
    EXPECT_EQ(client.Leg(std::string("rspauth=") + vector.rspauth, &token), SEC_E_OK)
        << KtlsimLastErrorText();
    EXPECT_NE(client.attributes() & ISC_RET_MUTUAL_AUTH, 0U);
  }
}

TEST_F(DigestVectorsTest, Rfc2831WithTheProofOfTheOtherExample) {
  Fix("OA6MHXh6VqTrRk");
  DigestClient account("chris", "secret");
  SaslEnd client(account.credential(), false, 0, "imap/elwood.innosoft.com");
  std::string token;
  ASSERT_EQ(client.Leg(R"(realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",)"
                       R"(algorithm=md5-sess,charset=utf-8)",
                       &token),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(client.Leg("rspauth=2f0b3d7c3c2e486600ef710726aa2eae", &token), SEC_E_WRONG_PRINCIPAL);
}

}  // namespace
}  // namespace ktlsim::test
