// Users of Digest as access tokens: mapped by exact user and realm when they are authenticated, on
// every node that serves them, and again when the accounts have changed.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/impersonation.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/sspi_digest/sasl_scene.h"
#include "tests/support/scripted_mapper.h"

namespace ktlsim::test {
namespace {

using security::MappingOutcome;

class DigestIdentityTest : public testing::Test {
 protected:
  DigestIdentityTest() { mapper_->SayUser("Mufasa", 1001); }

  static SECURITY_STATUS Impersonate(CtxtHandle context) {
    return ImpersonateSecurityContext(&context);
  }
  // Whom the thread acts as now; it acts as itself afterwards.
  static security::Sid Reverted() {
    const security::Token::Ref token = authorization::ThreadToken();
    authorization::Revert();
    return token != nullptr ? security::Sid(token->state()->user()) : security::Sid();
  }

  WithMapper mapper_;
  DigestWorld world_;
  DigestServer server_;
  DigestClient client_;
};

TEST_F(DigestIdentityTest, TheUserWhoWasAuthenticatedIsImpersonated) {
  const Accepted challenge = server_.Challenge();
  EXPECT_EQ(Impersonate(challenge.context), SEC_E_NO_IMPERSONATION) << "nobody yet";
  EXPECT_EQ(mapper_->times(), 0U);
  const Accepted accepted = server_.Accept(client_.Respond(challenge.token));
  ASSERT_EQ(accepted.status, SEC_E_OK);
  const MappedFacts asked = mapper_->last();
  EXPECT_TRUE(asked.digest);
  EXPECT_EQ(asked.user, "Mufasa");
  EXPECT_EQ(asked.realm, kRealm);
  ASSERT_EQ(Impersonate(accepted.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1001));
  // The requests after it ask nobody.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(mapper_->times(), 1U);
  EXPECT_EQ(DigestServer::Delete(accepted.context), SEC_E_OK);
}

TEST_F(DigestIdentityTest, AWrongPasswordIsMappedToNobody) {
  DigestClient stranger("Mufasa", "wrong");
  const Accepted challenge = server_.Challenge();
  EXPECT_EQ(server_.Accept(stranger.Respond(challenge.token)).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(mapper_->times(), 0U);
  EXPECT_EQ(Impersonate(challenge.context), SEC_E_NO_IMPERSONATION);
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
}

TEST_F(DigestIdentityTest, AUserWithoutAnAccountIsServedAndNotImpersonated) {
  mapper_->Say(MappingOutcome::kTwoMatches);
  DigestServer server(UserLine("Simba", "Hakuna"));
  DigestClient client("Simba", "Hakuna");
  const Established context(server, client);
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
  EXPECT_EQ(Impersonate(context.context), SEC_E_MULTIPLE_ACCOUNTS);
  EXPECT_EQ(authorization::ThreadToken(), nullptr);
}

TEST_F(DigestIdentityTest, ChangedAccountsAreAskedAtTheNextRequest) {
  const Established context(server_, client_);
  mapper_->SayUser("Mufasa", 1002);
  mapper_->NextGeneration();
  ASSERT_EQ(Impersonate(context.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1001));
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(mapper_->times(), 2U);
  ASSERT_EQ(Impersonate(context.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1002));
}

// As on another machine: this node knows the context only from the store.
TEST_F(DigestIdentityTest, AnotherNodeMapsTheUserOfTheStore) {
  const Established context(server_, client_);
  const digest::Opaque opaque = digest::Opaque::Parse(ReadResponse(context.first).opaque).value();
  ASSERT_TRUE(DigestWorld::package().index().Remove(opaque, context.context));
  mapper_->SayUser("Mufasa", 1003);
  const std::string header = client_.Sign();
  const Accepted there = server_.Accept(header);
  ASSERT_EQ(there.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  EXPECT_FALSE(SameHandle(there.context, context.context));
  EXPECT_EQ(Impersonate(there.context), SEC_E_NO_IMPERSONATION) << "the response is not verified";
  EXPECT_EQ(mapper_->times(), 1U);
  EXPECT_EQ(DigestServer::Complete(there.context, header), SEC_E_OK);
  EXPECT_EQ(mapper_->times(), 2U);
  EXPECT_EQ(mapper_->last().user, "Mufasa");
  EXPECT_EQ(mapper_->last().realm, kRealm);
  ASSERT_EQ(Impersonate(there.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1003));
  ASSERT_EQ(Impersonate(context.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1001)) << "the first node's own";
  EXPECT_EQ(DigestServer::Delete(there.context), SEC_E_OK);
}

// Whoever has seen the opaque value on the wire finds the context of its user, no more.
TEST_F(DigestIdentityTest, AResponseThatIsWrongMapsNobody) {
  const Established context(server_, client_);
  const digest::Opaque opaque = digest::Opaque::Parse(ReadResponse(context.first).opaque).value();
  ASSERT_TRUE(DigestWorld::package().index().Remove(opaque, context.context));
  std::string header = client_.Sign();
  const std::size_t response = header.find("response=\"") + 10;
  ASSERT_LT(response, header.size());
  header[response] = header[response] == '0' ? '1' : '0';
  const Accepted there = server_.Accept(header);
  ASSERT_EQ(there.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  EXPECT_LT(DigestServer::Complete(there.context, header), 0);
  EXPECT_EQ(Impersonate(there.context), SEC_E_NO_IMPERSONATION);
  EXPECT_EQ(mapper_->times(), 1U);
  EXPECT_EQ(DigestServer::Delete(there.context), SEC_E_OK);
}

TEST_F(DigestIdentityTest, VerifySignatureAsksNobody) {
  const Established context(server_, client_);
  mapper_->SayUser("Mufasa", 1002);
  mapper_->NextGeneration();
  EXPECT_EQ(DigestServer::Verify(context.context, client_.Sign()), SEC_E_OK);
  EXPECT_EQ(mapper_->times(), 1U);
  ASSERT_EQ(Impersonate(context.context), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1001));
}

TEST_F(DigestIdentityTest, AUserOfSaslIsMappedToo) {
  SaslEnd server(server_.credential(), true, 0);
  SaslEnd client(client_.credential(), false, 0);
  std::string token;
  ASSERT_EQ(server.Leg("", &token), SEC_I_CONTINUE_NEEDED);
  ASSERT_GE(client.Leg(token, &token), 0) << KtlsimLastErrorText();
  ASSERT_EQ(server.Leg(token, &token), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(mapper_->last().user, "Mufasa");
  EXPECT_EQ(mapper_->last().realm, kRealm);
  ASSERT_EQ(Impersonate(*server.context()), SEC_E_OK);
  EXPECT_EQ(Reverted(), UserSid(1001));
  EXPECT_EQ(Impersonate(*client.context()), SEC_E_UNSUPPORTED_FUNCTION);
}

}  // namespace
}  // namespace ktlsim::test
