// Several nodes with one store: any of them takes the response to a challenge that another one has
// made, and all of them together take it once.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/sspi_digest/nodes_scene.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

using Operation = ScriptedStore::Operation;
using Result = context_store::StoreResult;
using sspi::DigestIndex;

TEST_F(DigestNodesTest, ResponseToAnotherNodesChallengeIsAccepted) {
  const std::string first = OfAnotherNode();
  const Accepted accepted = server_.Accept(first);
  ASSERT_EQ(accepted.status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_FALSE(SameHandle(accepted.context, challenge_.context));
  const std::string second = client_.Sign();
  EXPECT_EQ(server_.Serve(second), SEC_E_OK);
  EXPECT_EQ(server_.Serve(first), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(store().entries(), 1U);
  EXPECT_EQ(DigestServer::Delete(accepted.context), SEC_E_OK);
  EXPECT_EQ(store().entries(), 0U);
}

// Each request goes to the node whose turn it is, and none is asked for a fresh response.
TEST_F(DigestNodesTest, RequestsThatGoFromNodeToNodeAreServed) {
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  std::string used[6];
  DigestIndex::Place elsewhere = Go(first, other_);
  for (std::string& header : used) {
    header = client_.Sign();
    EXPECT_EQ(server_.Serve(header), SEC_E_OK) << KtlsimLastErrorText();
    elsewhere = Go(first, elsewhere);
  }
  for (int node = 0; node < 2; ++node) {
    EXPECT_EQ(server_.Serve(first), SEC_E_OUT_OF_SEQUENCE);
    for (const std::string& header : used) {
      EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
    }
    elsewhere = Go(first, elsewhere);
  }
}

// All of them know the context, and all of its counts are lost.
TEST_F(DigestNodesTest, AfterARestartOfTheStoreTheFreshResponseIsGoodOnAnyNodeOnce) {
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  DigestIndex::Place elsewhere = Go(first, other_);
  ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  store().Restart();
  const Accepted asked = server_.Accept(client_.Sign());
  ExpectStale(asked);
  const std::string fresh = Answer(asked.token);
  elsewhere = Go(first, elsewhere);
  EXPECT_EQ(server_.Accept(fresh).status, SEC_E_OK) << KtlsimLastErrorText();
  for (int node = 0; node < 2; ++node) {
    EXPECT_EQ(server_.Serve(fresh), SEC_E_OUT_OF_SEQUENCE) << node;
    EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK) << node;
    elsewhere = Go(first, elsewhere);
  }
}

// Each has gone on alone under a nonce of its own, and learns from the store what the other ones
// do.
TEST_F(DigestNodesTest, AfterNodesWereAloneTheFreshResponseIsGoodOnAnyOfThemOnce) {
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  DigestIndex::Place elsewhere = Go(first, other_);
  ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  store().RefuseAll(Result::kUnavailable);
  for (int node = 0; node < 2; ++node) {
    const Accepted asked = server_.Accept(client_.Sign());
    ExpectStale(asked);
    std::string response = Answer(asked.token);
    // Here the two count in one memory, where the first use of their first nonces is the same.
    if (node == 1) response = client_.Sign();
    ASSERT_EQ(server_.Accept(response).status, SEC_E_OK) << KtlsimLastErrorText();
    elsewhere = Go(first, elsewhere);
  }
  store().RefuseAll(std::nullopt);
  world_.Pass(2);
  const Accepted asked = server_.Accept(client_.Sign());
  ExpectStale(asked);
  const std::string fresh = Answer(asked.token);
  elsewhere = Go(first, elsewhere);
  EXPECT_EQ(server_.Accept(fresh).status, SEC_E_OK) << KtlsimLastErrorText();
  for (int node = 0; node < 2; ++node) {
    EXPECT_NE(server_.Serve(fresh), SEC_E_OK) << node;
    elsewhere = Go(first, elsewhere);
  }
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

// The node of the challenge learns that it was answered elsewhere, and goes on with that context
// under the handle that its caller has.
TEST_F(DigestNodesTest, ChallengeIsNoFirstResponseOnTwoNodes) {
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  const DigestIndex::Place here = Go(first, other_);
  const Accepted again = server_.Accept(first);
  EXPECT_EQ(again.status, SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(again.context, challenge_.context));
  EXPECT_EQ(DigestServer::Complete(again.context, first), SEC_E_OUT_OF_SEQUENCE);
  // Nor on a third one.
  Leave(first);
  EXPECT_EQ(server_.Serve(first), SEC_E_OUT_OF_SEQUENCE);
  Go(first, here);
  EXPECT_EQ(server_.Serve(first), SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestNodesTest, OfTwoNodesAtOnceOneAccepts) {
  WaitLong();
  const std::string first = OfAnotherNode();
  store().Hold(Operation::kPut);
  Accepted here;
  std::thread this_node([&] { here = server_.Accept(first); });
  store().WaitForHeld();
  const DigestIndex::Place this_place = Go(first, other_);
  Accepted there;
  std::thread other_node([&] { there = server_.Accept(first); });
  store().WaitForHeld(2);
  store().Hold(Operation::kPut, false);
  store().LetGo();
  store().LetGo();
  this_node.join();
  other_node.join();
  EXPECT_EQ(here.status, SEC_E_OK);
  ASSERT_EQ(there.status, SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(DigestServer::Complete(there.context, first), SEC_E_OUT_OF_SEQUENCE);
  Go(first, this_place);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

// A response does not protect its opaque value. With another one it would be counted apart.
TEST_F(DigestNodesTest, AnotherOpaqueValueMakesNoChallengeOfIt) {
  const std::string first = OfAnotherNode();
  const std::string opaque(ReadResponse(first).opaque);
  const Accepted accepted = server_.Accept(With(first, opaque, std::string(31, '0') + "1"));
  ExpectStale(accepted);
  EXPECT_EQ(store().entries(), 0U);
  // Also when it is one that this node has given to somebody.
  const Accepted mine = server_.Challenge();
  const Accepted with_mine = server_.Accept(
      With(first, opaque, std::string(ReadChallenge(mine.token).opaque)), {}, &mine.context);
  ExpectStale(with_mine);
  EXPECT_EQ(store().entries(), 0U);
  DigestServer::Delete(accepted.context);
  DigestServer::Delete(mine.context);
}

TEST_F(DigestNodesTest, DeletedContextIsNotMadeAgainOutOfItsChallenge) {
  const std::string first = OfAnotherNode();
  const Accepted accepted = server_.Accept(first);
  ASSERT_EQ(accepted.status, SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(accepted.context), SEC_E_OK);
  const Accepted replayed = server_.Accept(first);
  ExpectStale(replayed);
  EXPECT_FALSE(ReadChallenge(replayed.token).opaque == ReadResponse(first).opaque);
  Return(first, other_);
  ExpectStale(server_.Accept(first));
  EXPECT_EQ(store().entries(), 0U);
  DigestServer::Delete(replayed.context);
}

TEST_F(DigestNodesTest, StoreThatDropsEntriesIsNotTrustedWithIt) {
  const std::string first = OfAnotherNode();
  store().Forget(true);
  const Accepted accepted = server_.Accept(first);
  ExpectStale(accepted);
  EXPECT_EQ(server_.Accept(Answer(accepted.token)).status, SEC_E_OK) << "a challenge of its own";
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestNodesTest, ChallengeOfAnEarlierLifeOfTheStoreIsRenewed) {
  const std::string first = OfAnotherNode();
  store().Restart();
  const Accepted accepted = server_.Accept(first);
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestNodesTest, OldChallengeIsRenewed) {
  const std::string first = OfAnotherNode();
  world_.Pass(301);
  const Accepted accepted = server_.Accept(first);
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
}

// If the store forgot an entry while its challenge can be answered, a replay would look like a
// first response.
class DigestNodesMemoryTest : public DigestNodesTest {
 protected:
  void SetUp() override {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cIdleSeconds = 60;
    settings.cUnansweredSeconds = 1000;
    settings.cEstablishedSeconds = 100;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  }
  void ExpectNoAnswer(const std::string& first) {
    const Accepted replayed = server_.Accept(first);
    EXPECT_NE(replayed.status, SEC_E_OK) << "a replay is no first response";
    if (replayed.status == SEC_I_COMPLETE_NEEDED) {
      EXPECT_NE(DigestServer::Complete(replayed.context, first), SEC_E_OK);
    } else {
      DigestServer::Delete(replayed.context);
    }
  }
};

TEST_F(DigestNodesMemoryTest, UnusedContextIsRememberedOnTheNodeThatMadeTheChallenge) {
  const std::string first = OfAnotherNode();
  world_.Pass(10);
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  Go(first, other_);
  world_.Pass(285);
  ExpectNoAnswer(first);
}

TEST_F(DigestNodesMemoryTest, UnusedContextIsRememberedOnAThirdNode) {
  const std::string first = OfAnotherNode();
  world_.Pass(900);
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK) << "however short the idle time is";
  Leave(first);
  world_.Pass(95);
  ExpectNoAnswer(first);
}

TEST_F(DigestNodesTest, WrongResponseLeavesNothingBehind) {
  const std::string first = OfAnotherNode();
  const ULONGLONG alive = ContextsAlive(server_);
  const std::size_t partial = index().partial();
  EXPECT_EQ(server_.Accept(With(first, "nc=00000001", "nc=00000002")).status, SEC_E_LOGON_DENIED);
  const Accepted mine = server_.Challenge();
  EXPECT_EQ(server_.Accept(With(first, "nc=00000001", "nc=00000002"), {}, &mine.context).status,
            SEC_E_LOGON_DENIED);
  DigestServer::Delete(mine.context);
  EXPECT_EQ(Statistics().cSecurityContexts, alive);
  EXPECT_EQ(index().partial(), partial);
  EXPECT_EQ(store().entries(), 0U);
  // And does no harm to the right one.
  EXPECT_EQ(server_.Accept(first).status, SEC_E_OK);
}

TEST_F(DigestNodesTest, NonceMadeWithoutTheStoreIsThisNodesOwn) {
  store().RefuseAll(Result::kUnavailable);
  for (int i = 0; i < 3; ++i) {
    DigestClient client;
    const Accepted challenge = server_.Challenge();
    const std::string header = client.Respond(challenge.token);
    Leave(header);
    const Accepted failing = server_.Accept(header);
    ExpectStale(failing);
    DigestServer::Delete(failing.context);
    DigestServer::Delete(challenge.context);
  }
  // The store counts as gone.
  const std::string first = OfAnotherNode();
  store().RefuseAll(std::nullopt);
  world_.Pass(2);
  const Accepted accepted = server_.Accept(first);
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
  Return(first, other_);
  EXPECT_EQ(server_.Accept(first).status, SEC_E_OK) << "where it was made";
}

// One more response, and then it is good on every node.
TEST_F(DigestNodesTest, ContextMadeWithoutTheStoreIsSharedWhenItIsBack) {
  store().RefuseAll(Result::kUnavailable);
  const Accepted challenge = server_.Challenge();
  const Accepted asked = server_.Accept(Answer(challenge.token));
  ExpectStale(asked);
  const std::string first = Answer(asked.token);
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(store().entries(), 0U);
  store().RefuseAll(std::nullopt);
  DigestClient other;
  const Established works(server_, other);
  const std::string before = client_.Sign();
  const Accepted renewed = server_.Accept(before);
  ExpectStale(renewed);
  EXPECT_TRUE(SameHandle(renewed.context, challenge.context));
  const std::string fresh = Answer(renewed.token);
  const DigestIndex::Place here = Leave(fresh);
  EXPECT_EQ(server_.Accept(fresh).status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(store().entries(), 2U);
  Go(fresh, here);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK) << "under the count of all";
  for (const std::string& header : {first, before, fresh}) {
    EXPECT_NE(server_.Serve(header), SEC_E_OK);
  }
  DigestServer::Delete(challenge.context);
}

// ---- A new nonce for a context that is established

TEST_F(DigestNodesTest, ResponseToANewNonceOfAnotherNodeIsAccepted) {
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cEstablishedSeconds = 20;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  DigestIndex::Place elsewhere = Go(first, other_);
  ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  elsewhere = Go(first, elsewhere);
  world_.Pass(21);
  const Accepted renewed = server_.Accept(client_.Sign());
  ExpectStale(renewed);
  elsewhere = Go(first, elsewhere);
  const std::string fresh = Answer(renewed.token);
  EXPECT_EQ(ReadResponse(fresh).opaque, ReadResponse(first).opaque);
  EXPECT_EQ(server_.Accept(fresh).status, SEC_E_OK) << KtlsimLastErrorText();
  // The node that made the nonce sees that it was used.
  elsewhere = Go(first, elsewhere);
  const std::string next = client_.Sign();
  EXPECT_EQ(server_.Serve(next), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(server_.Serve(fresh), SEC_E_OUT_OF_SEQUENCE);
  Go(first, elsewhere);
  EXPECT_EQ(server_.Serve(next), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_.Serve(fresh), SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestNodesTest, WrongResponseToANewNonceOfAnotherNodeChangesNothing) {
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cEstablishedSeconds = 20;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  world_.Pass(11);
  const DigestIndex::Place elsewhere = Go(first, other_);
  ASSERT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  HandMade exhausted = HandMade::For(challenge_.token);
  exhausted.count = 0xffffff00;
  const Accepted renewed = server_.Accept(exhausted.Header());
  ExpectStale(renewed);
  Go(first, elsewhere);
  HandMade wrong = HandMade::For(renewed.token);
  wrong.password = "wrong";
  EXPECT_EQ(server_.Accept(wrong.Header()).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK) << "under the old nonce";
}

// ---- Handles

// The partial context that a caller passes in remains the caller's.
TEST_F(DigestNodesTest, ContextOfAnotherNodeGetsAHandleOfItsOwn) {
  const std::string first = OfAnotherNode();
  const Accepted mine = server_.Challenge();
  const Accepted accepted = server_.Accept(first, {}, &mine.context);
  ASSERT_EQ(accepted.status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_FALSE(SameHandle(accepted.context, mine.context));
  // The next node, for one that is established.
  Leave(first);
  const std::string second = client_.Sign();
  const Accepted found = server_.Accept(second, {}, &mine.context);
  ASSERT_EQ(found.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  EXPECT_FALSE(SameHandle(found.context, mine.context));
  EXPECT_FALSE(SameHandle(found.context, accepted.context));
  EXPECT_EQ(DigestServer::Complete(found.context, second), SEC_E_OK);
  EXPECT_TRUE(SameHandle(server_.Accept(client_.Sign()).context, found.context));
  // The partial one can be answered, and to delete it ends nothing else.
  DigestClient other;
  EXPECT_EQ(server_.Accept(other.Respond(mine.token), {}, &mine.context).status, SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(mine.context), SEC_E_OK);
  EXPECT_EQ(store().entries(), 1U);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(found.context), SEC_E_OK);
  EXPECT_EQ(store().entries(), 0U);
}

TEST_F(DigestNodesTest, WrongRequestMakesNoContextBesideTheCallers) {
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  const std::string second = client_.Sign();
  Leave(first);
  const Accepted mine = server_.Challenge();
  const ULONGLONG alive = ContextsAlive(server_);
  EXPECT_EQ(
      server_.Accept(With(second, "username=\"Mufasa\"", "username=\"Scar\""), {}, &mine.context)
          .status,
      SEC_E_LOGON_DENIED);
  EXPECT_EQ(Statistics().cSecurityContexts, alive);
  EXPECT_EQ(store().entries(), 1U);
  EXPECT_EQ(server_.Serve(second), SEC_E_OK);
  DigestServer::Delete(mine.context);
}

// Requests on several connections at once meet in one context.
TEST_F(DigestNodesTest, SeveralRequestsAtOnceMakeOneContext) {
  WaitLong();
  const std::string first = OfAnotherNode();
  ASSERT_EQ(server_.Accept(first).status, SEC_E_OK);
  Leave(first);
  const Accepted mine = server_.Challenge();
  const ULONGLONG alive = ContextsAlive(server_);
  const std::string headers[] = {client_.Sign(), client_.Sign()};
  store().Hold(Operation::kGet);
  Accepted accepted[2];
  std::thread one([&] { accepted[0] = server_.Accept(headers[0], {}, &mine.context); });
  store().WaitForHeld();
  std::thread other([&] { accepted[1] = server_.Accept(headers[1]); });
  store().WaitForHeld(2);
  store().Hold(Operation::kGet, false);
  store().LetGo();
  store().LetGo();
  one.join();
  other.join();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(accepted[i].status, SEC_I_COMPLETE_NEEDED);
    EXPECT_EQ(DigestServer::Complete(accepted[i].context, headers[i]), SEC_E_OK);
  }
  EXPECT_TRUE(SameHandle(accepted[0].context, accepted[1].context));
  EXPECT_EQ(Statistics().cSecurityContexts, alive + 1);
  DigestServer::Delete(mine.context);
}

}  // namespace
}  // namespace ktlsim::test
