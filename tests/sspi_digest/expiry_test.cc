// How long nonces, contexts and open requests live, on a clock of the test's.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"

namespace ktlsim::test {
namespace {

struct TestTime final : testing::Environment {
  void SetUp() override { DigestWorld::UseTestTime(); }
};
testing::Environment* const test_time = testing::AddGlobalTestEnvironment(new TestTime());

class DigestExpiryTest : public testing::Test {
 protected:
  DigestExpiryTest() {
    // Counts in this process's memory.
    EXPECT_TRUE(DigestWorld::package().UseStore(nullptr, nullptr));
  }
  void SetIdle(ULONG seconds) {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cIdleSeconds = seconds;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  }
  // The request is answered by a challenge with a new nonce for the same context.
  std::string ExpectRenewed(const std::string& header, const CtxtHandle& context) {
    const Accepted accepted = server_.Accept(header);
    EXPECT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED);
    if (accepted.status != SEC_I_CONTINUE_NEEDED) return {};
    EXPECT_TRUE(SameHandle(accepted.context, context));
    EXPECT_TRUE(ReadChallenge(accepted.token).stale);
    EXPECT_EQ(ReadChallenge(accepted.token).opaque, ReadResponse(header).opaque);
    EXPECT_NE(ReadChallenge(accepted.token).nonce, ReadResponse(header).nonce);
    return accepted.token;
  }

  DigestWorld world_;
  DigestServer server_;
  DigestClient client_;
};

TEST_F(DigestExpiryTest, UnansweredChallengeEndsWithItsNonce) {
  const Accepted challenge = server_.Challenge();
  const std::string header = client_.Respond(challenge.token);
  world_.Pass(301);
  const Accepted accepted = server_.Accept(header);
  ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  EXPECT_FALSE(SameHandle(accepted.context, challenge.context));
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_INVALID_HANDLE);
  std::string again;
  ASSERT_EQ(client_.Respond(accepted.token, &again), SEC_E_OK);
  EXPECT_EQ(server_.Accept(again).status, SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(accepted.context), SEC_E_OK);
}

TEST_F(DigestExpiryTest, UnansweredChallengeIsGoodUntilThen) {
  const Accepted challenge = server_.Challenge();
  const std::string header = client_.Respond(challenge.token);
  world_.Pass(299);
  EXPECT_EQ(server_.Accept(header).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestExpiryTest, StaleIsNeverSaidToAWrongPassword) {
  const Accepted challenge = server_.Challenge();
  DigestClient wrong("Mufasa", "wrong");
  const std::string header = wrong.Respond(challenge.token);
  world_.Pass(301);
  EXPECT_EQ(server_.Accept(header).status, SEC_E_LOGON_DENIED);
}

TEST_F(DigestExpiryTest, EstablishedContextGetsANewNonceAndStaysTheSame) {
  SetIdle(100'000);
  Established context(server_, client_);
  world_.Pass(36'001);
  const std::string late = client_.Sign();
  const std::string challenge = ExpectRenewed(late, context.context);
  // Not for a request that is wrong.
  EXPECT_EQ(server_.Accept(With(late, "nc=00000002", "nc=00000003")).status, SEC_E_LOGON_DENIED);
  std::string header;
  ASSERT_EQ(client_.Respond(challenge, &header), SEC_E_OK);
  const Accepted accepted = server_.Accept(header);
  ASSERT_EQ(accepted.status, SEC_E_OK);
  EXPECT_TRUE(SameHandle(accepted.context, context.context));
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  // Nor is the first response to the new nonce taken twice.
  EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestExpiryTest, RequestsOnSeveralConnectionsGetOneNewNonce) {
  SetIdle(100'000);
  Established context(server_, client_);
  world_.Pass(36'001);
  const std::string first = ExpectRenewed(client_.Sign(), context.context);
  const std::string second = ExpectRenewed(client_.Sign(), context.context);
  EXPECT_EQ(ReadChallenge(first).nonce, ReadChallenge(second).nonce);
  // Both connections' clients answer it.
  HandMade one = HandMade::For(first);
  HandMade two = HandMade::For(second);
  two.count = 2;
  EXPECT_EQ(server_.Accept(one.Header()).status, SEC_E_OK);
  EXPECT_EQ(server_.Serve(two.Header()), SEC_E_OK);
}

TEST_F(DigestExpiryTest, ContextWithoutRequestsGetsANewNonce) {
  Established context(server_, client_);
  world_.Pass(3'599);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  world_.Pass(3'601);
  const std::string challenge = ExpectRenewed(client_.Sign(), context.context);
  std::string header;
  ASSERT_EQ(client_.Respond(challenge, &header), SEC_E_OK);
  EXPECT_EQ(server_.Accept(header).status, SEC_E_OK);
}

TEST_F(DigestExpiryTest, ContextWithoutRequestsForLongIsOver) {
  Established context(server_, client_);
  context.deletes = false;
  world_.Pass(3'901);
  const Accepted accepted = server_.Accept(client_.Sign());
  ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  EXPECT_FALSE(SameHandle(accepted.context, context.context));
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_INVALID_HANDLE);
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestExpiryTest, OldNonceIsGoodForFiveSecondsBesideTheNewOne) {
  SetIdle(100'000);
  Established context(server_, client_);
  world_.Pass(35'999);
  const std::string on_its_way = client_.Sign();
  const std::string too_late = client_.Sign();
  HandMade exhausted =
      HandMade::For("realm=\"" + std::string(kRealm) + "\", qop=\"auth\", nonce=\"" +
                    std::string(ReadResponse(on_its_way).nonce) + "\", opaque=\"" +
                    std::string(ReadResponse(on_its_way).opaque) + "\"");
  exhausted.count = 0xffffff00;
  const std::string challenge = ExpectRenewed(exhausted.Header(), context.context);
  std::string header;
  ASSERT_EQ(client_.Respond(challenge, &header), SEC_E_OK);
  EXPECT_EQ(server_.Accept(header).status, SEC_E_OK);
  EXPECT_EQ(server_.Serve(on_its_way), SEC_E_OK);
  EXPECT_EQ(server_.Serve(on_its_way), SEC_E_OUT_OF_SEQUENCE);
  world_.Pass(6);
  ExpectRenewed(too_late, context.context);
}

TEST_F(DigestExpiryTest, OpenRequestIsForgottenAfterThirtySeconds) {
  Established context(server_, client_);
  const std::string header = client_.Sign();
  ASSERT_EQ(server_.Accept(header).status, SEC_I_COMPLETE_NEEDED);
  world_.Pass(31);
  EXPECT_EQ(DigestServer::Complete(context.context, header), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

TEST_F(DigestExpiryTest, VerifySignatureAsksForANewChallengeWhenTheNonceIsOld) {
  SetIdle(100'000);
  Established context(server_, client_);
  world_.Pass(36'001);
  EXPECT_EQ(DigestServer::Verify(context.context, client_.Sign()),
            SEC_E_NO_AUTHENTICATING_AUTHORITY);
}

TEST_F(DigestExpiryTest, LifetimesAreSettings) {
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cUnansweredSeconds = 10;
  settings.cEstablishedSeconds = 20;
  settings.cIdleSeconds = 1000;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  Established context(server_, client_);
  world_.Pass(19);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  world_.Pass(2);
  const std::string challenge = ExpectRenewed(client_.Sign(), context.context);
  std::string header;
  ASSERT_EQ(client_.Respond(challenge, &header), SEC_E_OK);
  world_.Pass(11);
  EXPECT_NE(ReadChallenge(ExpectRenewed(header, context.context)).nonce,
            ReadChallenge(challenge).nonce);
}

}  // namespace
}  // namespace ktlsim::test
