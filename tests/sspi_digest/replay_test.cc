// Replays of every kind. None is accepted, and none does harm to the context that it names.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

class DigestReplayTest : public testing::Test {
 protected:
  // AcceptSecurityContext and CompleteAuthToken; the request ends in `status`, and the honest
  // client still gets in.
  void ExpectRefused(const std::string& header, const Request& request, SECURITY_STATUS status) {
    EXPECT_EQ(server_.Serve(header, request), status) << header;
    ExpectStillGood();
  }
  void ExpectStillGood() { EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK); }

  DigestServer server_;
  DigestClient client_;
  Established context_{server_, client_};
};

TEST_F(DigestReplayTest, SameCount) {
  const std::string header = client_.Sign();
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  ExpectRefused(header, {}, SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestReplayTest, SameFirstResponse) {
  ExpectRefused(context_.first, {}, SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestReplayTest, LowerCountThatWasUsed) {
  const std::string early = client_.Sign();
  EXPECT_EQ(server_.Serve(early), SEC_E_OK);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  ExpectRefused(early, {}, SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestReplayTest, LateCountsCountOnceWithinTheWindow) {
  const std::string late = client_.Sign();
  const std::string too_late = client_.Sign();
  std::string header;
  for (int i = 0; i < 60; ++i) header = client_.Sign();
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  EXPECT_EQ(server_.Serve(late), SEC_E_OK);
  EXPECT_EQ(server_.Serve(late), SEC_E_OUT_OF_SEQUENCE);
  for (int i = 0; i < 64; ++i) header = client_.Sign();
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  ExpectRefused(too_late, {}, SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestReplayTest, OtherUriOrMethod) {
  const std::string header = client_.Sign();
  ExpectRefused(header, {.uri = "/elsewhere"}, SEC_E_MESSAGE_ALTERED);
  ExpectRefused(header, {.method = "DELETE"}, SEC_E_MESSAGE_ALTERED);
  // An attacker may alter the directive, too.
  ExpectRefused(With(header, "uri=\"/dir/index.html\"", "uri=\"/elsewhere\""),
                {.uri = "/elsewhere"}, SEC_E_MESSAGE_ALTERED);
  // The altered ones used nothing up.
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

TEST_F(DigestReplayTest, AlteredDirectives) {
  const std::string header = client_.Sign();
  const digest::Response response = ReadResponse(header);
  ExpectRefused(With(header, "nc=00000002", "nc=00000003"), {}, SEC_E_MESSAGE_ALTERED);
  const std::string cnonce(response.cnonce);
  ExpectRefused(With(header, cnonce, (cnonce[0] == 'x' ? "y" : "x") + cnonce.substr(1)), {},
                SEC_E_MESSAGE_ALTERED);
  const std::string first(digest::HexText(response.response).view());
  ExpectRefused(With(header, first, (first[0] == '0' ? "1" : "0") + first.substr(1)), {},
                SEC_E_MESSAGE_ALTERED);
  ExpectRefused(With(header, "username=\"Mufasa\"", "username=\"Scar\""), {}, SEC_E_LOGON_DENIED);
  ExpectRefused(With(header, "algorithm=MD5", "algorithm=SHA-256"), {}, SEC_E_INVALID_TOKEN);
  ExpectRefused(With(header, "qop=auth,", "qop=auth-int,"), {}, SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

// The same user has two contexts: requests of one are none of the other's, although both have the
// same key.
TEST_F(DigestReplayTest, StolenOpaque) {
  DigestClient other;
  Established second(server_, other);
  const std::string mine(ReadResponse(context_.first).opaque);
  const std::string theirs(ReadResponse(second.first).opaque);
  std::string header;
  for (int i = 0; i < 5; ++i) {
    header = other.Sign();
    EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  }
  const Accepted accepted = server_.Accept(With(header, theirs, mine));
  ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  EXPECT_EQ(DigestServer::Verify(context_.context, With(header, theirs, mine)),
            SEC_E_NO_AUTHENTICATING_AUTHORITY);
  // Neither with the first response of the other context, nor with that of a fresh challenge.
  EXPECT_EQ(server_.Accept(With(second.first, theirs, mine)).status, SEC_I_CONTINUE_NEEDED);
  const Accepted challenge = server_.Challenge();
  const std::string fresh(ReadChallenge(challenge.token).opaque);
  EXPECT_EQ(server_.Accept(With(header, theirs, fresh)).status, SEC_I_CONTINUE_NEEDED);
  DigestServer::Delete(challenge.context);
  ExpectStillGood();
}

TEST_F(DigestReplayTest, ForgedOpaque) {
  const std::string header = client_.Sign();
  const std::string mine(ReadResponse(header).opaque);
  for (const std::string& forged :
       {std::string(32, '0'), mine.substr(0, 31) + (mine[31] == '0' ? "1" : "0"), std::string("x"),
        mine + "0"}) {
    const Accepted accepted = server_.Accept(With(header, mine, forged));
    // The response is right; but which context it is for is not known, so it may be a replay.
    ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED) << forged;
    EXPECT_TRUE(ReadChallenge(accepted.token).stale);
    EXPECT_NE(ReadChallenge(accepted.token).opaque, mine);
    DigestServer::Delete(accepted.context);
  }
  EXPECT_EQ(DigestServer::Verify(context_.context, With(header, mine, std::string(32, '0'))),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

TEST_F(DigestReplayTest, OtherServerAndOtherRealm) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.pszServer = "www.example.org";
  DigestServer other(UserLine("Mufasa", "Circle of Life"), settings);
  const std::string header = client_.Sign();
  EXPECT_EQ(other.Serve(header), SEC_E_LOGON_DENIED);
  EXPECT_EQ(other.Serve(context_.first), SEC_E_LOGON_DENIED);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

TEST_F(DigestReplayTest, FirstResponseAfterItsContextIsGone) {
  context_.deletes = false;
  EXPECT_EQ(DigestServer::Delete(context_.context), SEC_E_OK);
  const Accepted accepted = server_.Accept(context_.first);
  ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestReplayTest, NonceOfSomebodyElse) {
  HandMade client = HandMade::For(server_.Challenge().token);
  client.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
  EXPECT_EQ(server_.Accept(client.Header()).status, SEC_E_LOGON_DENIED);
  client.opaque = ReadResponse(context_.first).opaque;
  EXPECT_EQ(server_.Accept(client.Header()).status, SEC_E_LOGON_DENIED);
  ExpectStillGood();
}

TEST_F(DigestReplayTest, StrictlyInOrderWhereItIsAsked) {
  const ULONG flags = ASC_REQ_HTTP | ASC_REQ_SEQUENCE_DETECT;
  DigestClient client;
  const Accepted challenge = server_.Challenge(flags);
  std::string header = client.Respond(challenge.token);
  EXPECT_EQ(ReadResponse(header).qop, digest::Qop::kAuthInt);
  ASSERT_EQ(server_.Accept(header, {}, &challenge.context, flags).status, SEC_E_OK);
  header = client.Sign();
  const std::string next = client.Sign();
  ASSERT_EQ(server_.Accept(next, {}, nullptr, flags).status, SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(DigestServer::Complete(challenge.context, next), SEC_E_OUT_OF_SEQUENCE);
  for (const std::string& token : {header, next}) {
    ASSERT_EQ(server_.Accept(token, {}, nullptr, flags).status, SEC_I_COMPLETE_NEEDED);
    EXPECT_EQ(DigestServer::Complete(challenge.context, token), SEC_E_OK);
  }
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestReplayTest, WindowOfZeroIsStrict) {
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cNonceWindow = 0;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  const std::string second = client_.Sign();
  const std::string third = client_.Sign();
  EXPECT_EQ(server_.Serve(third), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_.Serve(second), SEC_E_OK);
  EXPECT_EQ(server_.Serve(third), SEC_E_OK);
  EXPECT_EQ(server_.Serve(second), SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestReplayTest, VerifySignatureIsStrict) {
  const std::string second = client_.Sign();
  const std::string third = client_.Sign();
  EXPECT_EQ(DigestServer::Verify(context_.context, third), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(DigestServer::Verify(context_.context, second, {.uri = "/elsewhere"}),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(DigestServer::Verify(context_.context, With(second, "nc=00000002", "nc=00000003")),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(DigestServer::Verify(context_.context, second), SEC_E_OK);
  EXPECT_EQ(DigestServer::Verify(context_.context, second), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(DigestServer::Verify(context_.context, third), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
