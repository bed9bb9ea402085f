// Every algorithm that a server can offer first: authentication, signed requests, replays, wrong
// passwords and unknown users.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

struct Offer {
  const char* name;  // of the test
  ULONG flags;
  digest::Algorithm first;
};

class DigestAlgorithmTest : public testing::TestWithParam<Offer> {
 protected:
  static KtlsimCred_DigestServer Settings() {
    KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
    settings.fFlags = GetParam().flags;
    return settings;
  }
  static std::string Users() {
    std::string users;
    for (const digest::HashId id :
         {digest::HashId::kMd5, digest::HashId::kSha256, digest::HashId::kSha512256}) {
      users += UserLine("Mufasa", "Circle of Life", id);
    }
    return users;
  }
  static bool hashes_names() { return (GetParam().flags & KTLSIM_DIGEST_USERHASH) != 0; }

  DigestServer server_{Users(), Settings()};
};

TEST_P(DigestAlgorithmTest, OneContextServesAllRequests) {
  DigestClient client;
  const Accepted challenge = server_.Challenge();
  EXPECT_EQ(ReadChallenge(challenge.token).algorithm, GetParam().first);
  const std::string first = client.Respond(challenge.token);
  EXPECT_EQ(ReadResponse(first).algorithm, GetParam().first);
  EXPECT_EQ(ReadResponse(first).username_form,
            hashes_names() ? digest::UsernameForm::kHashed : digest::UsernameForm::kPlain);
  ASSERT_EQ(server_.Accept(first, {}, &challenge.context).status, SEC_E_OK)
      << KtlsimLastErrorText();
  std::string header;
  for (unsigned count = 2; count < 5; ++count) {
    const Request request = {.method = "PUT", .uri = "/" + std::to_string(count)};
    header = client.Sign(request);
    EXPECT_EQ(ReadResponse(header).nonce_count, count);
    EXPECT_EQ(server_.Serve(header, request), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(server_.Serve(header, request), SEC_E_OUT_OF_SEQUENCE) << "a replay";
  }
  DigestServer::Delete(challenge.context);
}

TEST_P(DigestAlgorithmTest, WrongPasswordAndUnknownUserAreDenied) {
  const Accepted challenge = server_.Challenge();
  for (const auto& [user, password] :
       {std::pair("Mufasa", "circle of life"), std::pair("Scar", "Circle of Life")}) {
    DigestClient client(user, password);
    EXPECT_EQ(server_.Accept(client.Respond(challenge.token), {}, &challenge.context).status,
              SEC_E_LOGON_DENIED)
        << user;
  }
  DigestServer::Delete(challenge.context);
}

// A hash of the body has as many digits as the algorithm's.
TEST_P(DigestAlgorithmTest, IntegrityCoversTheBody) {
  const Request request = {.method = "POST",
                           .uri = "/form",
                           .entity_hash = Hash(digest::HashOf(GetParam().first), "body")};
  constexpr ULONG kFlags = ASC_REQ_HTTP | ASC_REQ_INTEGRITY;
  DigestClient client;
  const Accepted challenge = server_.Challenge(kFlags);
  std::string header;
  ASSERT_EQ(
      client.Respond(challenge.token, &header, request, ISC_REQ_USE_HTTP_STYLE | ISC_REQ_INTEGRITY),
      SEC_E_OK);
  Request altered = request;
  altered.entity_hash = Hash(digest::HashOf(GetParam().first), "Body");
  EXPECT_EQ(server_.Accept(header, altered, &challenge.context, kFlags).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(server_.Accept(header, request, &challenge.context, kFlags).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

INSTANTIATE_TEST_SUITE_P(
    Offers, DigestAlgorithmTest,
    testing::Values(Offer{"Md5", 0, digest::Algorithm::kMd5},
                    Offer{"Md5Session", KTLSIM_DIGEST_MD5_SESSION, digest::Algorithm::kMd5Sess},
                    Offer{"Sha256", KTLSIM_DIGEST_SHA256, digest::Algorithm::kSha256},
                    Offer{"Sha256Session", KTLSIM_DIGEST_SHA256 | KTLSIM_DIGEST_MD5_SESSION,
                          digest::Algorithm::kSha256Sess},
                    Offer{"Sha256HashedName", KTLSIM_DIGEST_SHA256 | KTLSIM_DIGEST_USERHASH,
                          digest::Algorithm::kSha256},
                    Offer{"Sha512256", KTLSIM_DIGEST_SHA512_256, digest::Algorithm::kSha512256},
                    Offer{"Sha512256Session", KTLSIM_DIGEST_SHA512_256 | KTLSIM_DIGEST_MD5_SESSION,
                          digest::Algorithm::kSha512256Sess},
                    Offer{"Sha512256HashedName", KTLSIM_DIGEST_SHA512_256 | KTLSIM_DIGEST_USERHASH,
                          digest::Algorithm::kSha512256}),
    [](const testing::TestParamInfo<Offer>& offer) { return offer.param.name; });

}  // namespace
}  // namespace ktlsim::test
