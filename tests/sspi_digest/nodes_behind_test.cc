// A node that was alone while the others went on: what it takes until all of them count together.

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/nodes_scene.h"

namespace ktlsim::test {
namespace {

using Result = context_store::StoreResult;
using sspi::DigestIndex;

// This node was alone, and others have renewed the nonce many times meanwhile. It joins them,
// however far they have come.
class DigestNodesBehindTest : public DigestNodesTest {
 protected:
  void SetUp() override {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cEstablishedSeconds = 20;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
    first_ = OfAnotherNode();
    ASSERT_EQ(server_.Accept(first_).status, SEC_E_OK);
    elsewhere_ = Go(first_, other_);
    ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
    store().RefuseAll(Result::kUnavailable);
    const Accepted asked = server_.Accept(client_.Sign());
    ExpectStale(asked);
    own_ = Answer(asked.token);
    ASSERT_EQ(server_.Accept(own_).status, SEC_E_OK) << KtlsimLastErrorText();
    store().RefuseAll(std::nullopt);
    world_.Pass(2);
  }
  void Switch() { elsewhere_ = Go(first_, elsewhere_); }
  void Renew() {
    world_.Pass(21);
    const Accepted renewed = server_.Accept(client_.Sign());
    ExpectStale(renewed);
    renewed_ = renewed.token;
    ASSERT_EQ(server_.Accept(Answer(renewed_)).status, SEC_E_OK) << KtlsimLastErrorText();
  }

  std::string first_;
  std::string renewed_;  // the last challenge of Renew
  std::string own_;      // accepted while this node was alone
  DigestIndex::Place elsewhere_;
};

TEST_F(DigestNodesBehindTest, TakesTheNonceUnderWhichTheOthersCount) {
  Switch();
  ExpectStale(server_.Accept(client_.Sign()));
  for (int i = 0; i < 4; ++i) Renew();
  const std::string there = client_.Sign();
  ASSERT_EQ(server_.Serve(there), SEC_E_OK);
  Switch();
  HandMade wrong = HandMade::For(renewed_);
  wrong.password = "wrong";
  EXPECT_EQ(server_.Accept(wrong.Header()).status, SEC_E_LOGON_DENIED);
  const std::string here = client_.Sign();
  EXPECT_EQ(server_.Serve(here), SEC_E_OK) << KtlsimLastErrorText();
  for (int node = 0; node < 2; ++node) {
    for (const std::string& used : {first_, own_, there, here}) {
      EXPECT_NE(server_.Serve(used), SEC_E_OK) << node;
    }
    EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK) << node;
    Switch();
  }
}

// It cannot know how far they have come until a response names a nonce of theirs.
TEST_F(DigestNodesBehindTest, ItsOwnNextNonceIsGoodWithTheSecondChallenge) {
  const std::string own = client_.Sign();
  Switch();
  const Accepted shared = server_.Accept(own);
  ExpectStale(shared);
  ASSERT_EQ(server_.Accept(Answer(shared.token)).status, SEC_E_OK);
  for (int i = 0; i < 4; ++i) Renew();
  Switch();
  const Accepted low = server_.Accept(own);
  ExpectStale(low);
  const Accepted high = server_.Accept(Answer(low.token));
  ExpectStale(high);
  EXPECT_EQ(server_.Accept(Answer(high.token)).status, SEC_E_OK) << KtlsimLastErrorText();
  Switch();
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK) << KtlsimLastErrorText();
}

}  // namespace
}  // namespace ktlsim::test
