// One user answers a challenge that was made for the context of another one: an opaque value and a
// nonce are no secrets. A context never becomes somebody else's.

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/nodes_scene.h"

namespace ktlsim::test {
namespace {

using Result = context_store::StoreResult;
using sspi::DigestIndex;

class DigestAnotherUserTest : public DigestNodesTest {
 protected:
  void SetUp() override {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cEstablishedSeconds = 20;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
    first_ = OfAnotherNode();
    accepted_ = server_.Accept(first_);
    ASSERT_EQ(accepted_.status, SEC_E_OK) << KtlsimLastErrorText();
  }
  std::string NameOf(const CtxtHandle& context) {
    CtxtHandle handle = context;
    SecPkgContext_NamesA names{};
    if (QueryContextAttributesA(&handle, SECPKG_ATTR_NAMES, &names) != SEC_E_OK) return "";
    std::string name = names.sUserName;
    FreeContextBuffer(names.sUserName);
    return name;
  }

  std::string first_;
  Accepted accepted_;
};

TEST_F(DigestAnotherUserTest, ANewNonceOfAContextIsItsOwnUsersAlone) {
  world_.Pass(21);
  const Accepted renewed = server_.Accept(client_.Sign());
  ExpectStale(renewed);
  const std::string theirs = other_user_.Respond(renewed.token);
  EXPECT_EQ(server_.Accept(theirs).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(NameOf(accepted_.context), "Mufasa");
  EXPECT_EQ(server_.Accept(Answer(renewed.token)).status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

// On a node that has not made the nonce.
TEST_F(DigestAnotherUserTest, NorIsItOnAnotherNode) {
  world_.Pass(11);
  const DigestIndex::Place elsewhere = Go(first_, other_);
  ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  HandMade exhausted = HandMade::For(challenge_.token);
  exhausted.count = 0xffffff00;
  const Accepted renewed = server_.Accept(exhausted.Header());
  ExpectStale(renewed);
  Go(first_, elsewhere);
  EXPECT_EQ(server_.Accept(other_user_.Respond(renewed.token)).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

// The same challenge, answered by each of them on a node of its own.
TEST_F(DigestAnotherUserTest, ThePartialContextOfOneDoesNotBecomeTheOthers) {
  const DigestIndex::Place here = Go(first_, other_);
  const Accepted theirs = server_.Accept(other_user_.Respond(challenge_.token));
  ExpectStale(theirs);
  EXPECT_FALSE(ReadChallenge(theirs.token).opaque == ReadResponse(first_).opaque);
  EXPECT_EQ(server_.Accept(other_user_.Respond(theirs.token)).status, SEC_E_OK)
      << KtlsimLastErrorText();
  Return(first_, here);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(NameOf(accepted_.context), "Mufasa");
}

// A node that was alone does not take from the store what somebody else has put there.
TEST_F(DigestNodesTest, ANodeThatWasAloneDoesNotJoinAnotherUser) {
  challenge_ = server_.Challenge();
  const std::string first = Answer(challenge_.token);
  store().RefuseAll(Result::kUnavailable);
  const Accepted asked = server_.Accept(first);
  ExpectStale(asked);
  const std::string own = Answer(asked.token);
  ASSERT_EQ(server_.Accept(own).status, SEC_E_OK) << KtlsimLastErrorText();
  store().RefuseAll(std::nullopt);
  world_.Pass(2);
  const DigestIndex::Place here = Leave(first);
  ASSERT_EQ(server_.Accept(other_user_.Respond(challenge_.token)).status, SEC_E_OK)
      << KtlsimLastErrorText();
  Leave(first);
  Return(first, here);
  EXPECT_EQ(server_.Accept(other_user_.Sign()).status, SEC_E_LOGON_DENIED);
  SecPkgContext_NamesA names{};
  ASSERT_EQ(QueryContextAttributesA(&challenge_.context, SECPKG_ATTR_NAMES, &names), SEC_E_OK);
  EXPECT_STREQ(names.sUserName, "Mufasa");
  FreeContextBuffer(names.sUserName);
}

}  // namespace
}  // namespace ktlsim::test
