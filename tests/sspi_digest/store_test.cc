// A context store that is shared, slow, gone, restarted, or taken away: what each call answers.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/handles.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

using Operation = ScriptedStore::Operation;
using Result = context_store::StoreResult;

class DigestStoreTest : public testing::Test {
 protected:
  ScriptedStore& store() { return world_.store(); }
  void SetWait(ULONG ms) {
    KtlsimCred_DigestServer settings = server_.settings();
    settings.cContextStoreWaitMs = ms;
    ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  }
  // As though the context had been made on another node: this one does not know it.
  static void ForgetHere(const std::string& header, const CtxtHandle& context) {
    const auto opaque = digest::Opaque::Parse(ReadResponse(header).opaque);
    ASSERT_TRUE(opaque.has_value());
    EXPECT_TRUE(DigestWorld::package().index().Remove(*opaque, context));
  }
  void ExpectStale(const Accepted& accepted) {
    ASSERT_EQ(accepted.status, SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    EXPECT_TRUE(ReadChallenge(accepted.token).stale);
  }

  // The client answers a challenge with `stale`, and is let in.
  void GoOn(const Accepted& accepted) {
    ExpectStale(accepted);
    std::string header;
    ASSERT_EQ(client_.Respond(accepted.token, &header), SEC_E_OK);
    EXPECT_EQ(server_.Accept(header).status, SEC_E_OK) << KtlsimLastErrorText();
  }

  DigestWorld world_;
  DigestServer server_;
  DigestClient client_;
};

TEST_F(DigestStoreTest, ContextOfAnotherNodeIsTakenOver) {
  Established context(server_, client_);
  const std::string used = client_.Sign();
  EXPECT_EQ(server_.Serve(used), SEC_E_OK);
  ForgetHere(used, context.context);
  const std::string header = client_.Sign();
  const Accepted accepted = server_.Accept(header);
  ASSERT_EQ(accepted.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
  EXPECT_FALSE(SameHandle(accepted.context, context.context));
  EXPECT_EQ(DigestServer::Complete(accepted.context, header), SEC_E_OK);
  // The value stays the same, and a replay of what the other node has seen is caught.
  const std::string next = client_.Sign();
  EXPECT_TRUE(SameHandle(server_.Accept(next).context, accepted.context));
  EXPECT_EQ(server_.Serve(used), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_.Serve(context.first), SEC_E_OUT_OF_SEQUENCE);
  SecPkgContext_NamesA names{};
  CtxtHandle handle = accepted.context;
  ASSERT_EQ(QueryContextAttributesA(&handle, SECPKG_ATTR_NAMES, &names), SEC_E_OK);
  EXPECT_STREQ(names.sUserName, "Mufasa");
  FreeContextBuffer(names.sUserName);
  // It ends for all nodes.
  EXPECT_EQ(DigestServer::Delete(accepted.context), SEC_E_OK);
  EXPECT_EQ(store().entries(), 0U);
}

TEST_F(DigestStoreTest, WrongRequestTakesNothingOver) {
  Established context(server_, client_);
  const std::string header = client_.Sign();
  ForgetHere(header, context.context);
  const ULONGLONG alive = ContextsAlive(server_);
  EXPECT_EQ(server_.Accept(With(header, "username=\"Mufasa\"", "username=\"Scar\"")).status,
            SEC_E_LOGON_DENIED);
  EXPECT_EQ(Statistics().cSecurityContexts, alive);
  EXPECT_EQ(store().entries(), 1U);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
}

TEST_F(DigestStoreTest, ContextDeletedOnAnotherNodeIsChallengedAgain) {
  Established context(server_, client_);
  context.deletes = false;
  const std::string open = client_.Sign();
  ASSERT_EQ(server_.Accept(open).status, SEC_I_COMPLETE_NEEDED);
  struct Call final : context_store::StoreCall {
    void OnStored() override {}
  } call;
  const auto opaque = *digest::Opaque::Parse(ReadResponse(open).opaque);
  ASSERT_EQ(store().Remove(call, {.kind = context_store::Kind::kDigestContext,
                                  .name = std::as_bytes(opaque.bytes())}),
            context_store::Begun::kDone);
  EXPECT_EQ(DigestServer::Complete(context.context, open), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_INVALID_HANDLE);
  const Accepted accepted = server_.Accept(client_.Sign());
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestStoreTest, DeletedElsewhereIsSeenByAccept) {
  Established context(server_, client_);
  context.deletes = false;
  const std::string header = client_.Sign();
  store().Refuse(Operation::kGet, Result::kNotFound);
  const Accepted accepted = server_.Accept(header);
  ExpectStale(accepted);
  EXPECT_FALSE(SameHandle(accepted.context, context.context));
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_INVALID_HANDLE);
  DigestServer::Delete(accepted.context);
}

TEST_F(DigestStoreTest, RestartedStoreAsksForAFreshResponseOnce) {
  Established context(server_, client_);
  store().Restart();
  const std::string header = client_.Sign();
  EXPECT_EQ(DigestServer::Verify(context.context, header), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  const Accepted accepted = server_.Accept(header);
  ExpectStale(accepted);
  EXPECT_TRUE(SameHandle(accepted.context, context.context));
  std::string fresh;
  ASSERT_EQ(client_.Respond(accepted.token, &fresh), SEC_E_OK);
  EXPECT_EQ(server_.Accept(fresh).status, SEC_E_OK);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(server_.Serve(header), SEC_I_CONTINUE_NEEDED);
}

TEST_F(DigestStoreTest, RestartedStoreAndANodeThatDoesNotKnowTheContext) {
  Established context(server_, client_);
  const std::string header = client_.Sign();
  ForgetHere(header, context.context);
  store().Restart();
  const Accepted accepted = server_.Accept(header);
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
  EXPECT_EQ(server_.Accept(With(header, "nc=00000002", "nc=00000009")).status, SEC_E_LOGON_DENIED);
}

TEST_F(DigestStoreTest, ChallengeOfAnEarlierLifeIsRenewedAndNotRefused) {
  const Accepted challenge = server_.Challenge();
  store().Restart();
  const Accepted accepted = server_.Accept(client_.Respond(challenge.token));
  ExpectStale(accepted);
  std::string header;
  ASSERT_EQ(client_.Respond(accepted.token, &header), SEC_E_OK);
  EXPECT_EQ(server_.Accept(header).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

// ---- The store is gone

TEST_F(DigestStoreTest, WithoutTheStoreClientsStillGetInAndReplaysDoNot) {
  store().RefuseAll(Result::kUnavailable);
  const Accepted challenge = server_.Challenge();
  const std::string first = client_.Respond(challenge.token);
  // Another node may have accepted it, or the store may have got it after all. The next nonce is
  // this node's own.
  GoOn(server_.Accept(first));
  const std::string second = client_.Sign();
  EXPECT_EQ(server_.Serve(second), SEC_E_OK);
  EXPECT_EQ(server_.Serve(second), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_NE(server_.Serve(first), SEC_E_OK);
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
}

TEST_F(DigestStoreTest, BeforeTheStoreIsThereForTheFirstTimeClientsGetInAtOnce) {
  store().BeUnborn();
  store().RefuseAll(Result::kUnavailable);
  const Accepted challenge = server_.Challenge();
  const std::string first = client_.Respond(challenge.token);
  EXPECT_EQ(server_.Accept(first).status, SEC_E_OK);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(server_.Serve(first), SEC_E_OUT_OF_SEQUENCE);
}

TEST_F(DigestStoreTest, StoreThatCountsAsGoneIsNotHandedAnything) {
  store().RefuseAll(Result::kUnavailable);
  for (int i = 0; i < 3; ++i) {
    DigestClient client;
    const Accepted challenge = server_.Challenge();
    ExpectStale(server_.Accept(client.Respond(challenge.token)));
    DigestServer::Delete(challenge.context);
  }
  // No second challenge is needed any more.
  const int begun = store().begun(Operation::kPut);
  Established context(server_, client_);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_EQ(store().begun(Operation::kPut), begun);
}

TEST_F(DigestStoreTest, WithoutTheStoreAnEstablishedContextAuthenticatesAgain) {
  Established context(server_, client_);
  const std::string before = client_.Sign();
  store().RefuseAll(Result::kUnavailable);
  const std::string header = client_.Sign();
  const Accepted accepted = server_.Accept(header);
  ExpectStale(accepted);
  EXPECT_EQ(server_.Accept(With(header, "nc=00000003", "nc=00000009")).status, SEC_E_LOGON_DENIED);
  GoOn(accepted);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  // What was signed with the old nonce is not accepted: nobody knows whether it was counted.
  EXPECT_NE(server_.Serve(before), SEC_E_OK);
  EXPECT_NE(server_.Serve(context.first), SEC_E_OK);
}

TEST_F(DigestStoreTest, WithoutTheStoreNoCountIsTrusted) {
  Established context(server_, client_);
  const std::string header = client_.Sign();
  ASSERT_EQ(server_.Accept(header).status, SEC_I_COMPLETE_NEEDED);
  for (const Result result : {Result::kUnavailable, Result::kFull, Result::kRefused,
                              Result::kReadOnly, Result::kNotDurable, Result::kTimedOut}) {
    store().Refuse(Operation::kAdvance, result);
    EXPECT_EQ(DigestServer::Verify(context.context, header), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  }
  EXPECT_EQ(DigestServer::Complete(context.context, header), SEC_E_NO_AUTHENTICATING_AUTHORITY);
}

TEST_F(DigestStoreTest, WithoutTheStoreAResponseToAnotherNodesNonceIsChallengedAgain) {
  const Accepted challenge = server_.Challenge();
  const std::string header = client_.Respond(challenge.token);
  ForgetHere(header, challenge.context);
  store().RefuseAll(Result::kUnavailable);
  const Accepted accepted = server_.Accept(header);
  ExpectStale(accepted);
  DigestServer::Delete(accepted.context);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestStoreTest, DeleteWithoutTheStoreIsMadeUpForWhenItIsBack) {
  Established context(server_, client_);
  context.deletes = false;
  store().Refuse(Operation::kRemove, Result::kUnavailable);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_OK);
  EXPECT_EQ(store().entries(), 1U);
  store().Refuse(Operation::kRemove, std::nullopt);
  DigestClient other;
  Established next(server_, other);
  EXPECT_EQ(store().entries(), 1U);
  // Not the deleted one.
  ExpectStale(server_.Accept(client_.Sign()));
}

TEST_F(DigestStoreTest, DeleteWhileTheStoreCountsAsGoneIsMadeUpForToo) {
  Established context(server_, client_);
  context.deletes = false;
  store().RefuseAll(Result::kUnavailable);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(DigestServer::Verify(context.context, client_.Sign()),
              SEC_E_NO_AUTHENTICATING_AUTHORITY);
  }
  const int begun = store().begun(Operation::kRemove);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_OK);
  EXPECT_EQ(store().begun(Operation::kRemove), begun);
  store().RefuseAll(std::nullopt);
  world_.Pass(2);
  DigestClient other;
  Established next(server_, other);
  EXPECT_EQ(store().entries(), 1U);
  EXPECT_EQ(server_.Serve(other.Sign()), SEC_E_OK);
}

TEST_F(DigestStoreTest, StoreThatFailsThriceIsNotAskedForASecond) {
  Established context(server_, client_);
  store().RefuseAll(Result::kUnavailable);
  const int begun = store().begun(Operation::kAdvance);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(DigestServer::Verify(context.context, client_.Sign()),
              SEC_E_NO_AUTHENTICATING_AUTHORITY);
  }
  EXPECT_EQ(store().begun(Operation::kAdvance), begun + 3);
  world_.Pass(1);
  // One call tries, and the store works again.
  store().RefuseAll(std::nullopt);
  HandMade hand = HandMade::For("realm=\"" + std::string(kRealm) + "\", qop=\"auth\", nonce=\"" +
                                std::string(ReadResponse(context.first).nonce) + "\"");
  hand.count = 2;
  EXPECT_EQ(DigestServer::Verify(context.context, hand.Header()), SEC_E_OK);
  hand.count = 3;
  EXPECT_EQ(DigestServer::Verify(context.context, hand.Header()), SEC_E_OK);
  EXPECT_EQ(store().begun(Operation::kAdvance), begun + 5);
}

// ---- The store is slow

TEST_F(DigestStoreTest, CallsWaitForTheStoreAndNoProcessorDoes) {
  const Accepted challenge = server_.Challenge();
  const std::string first = client_.Respond(challenge.token);
  store().Hold(Operation::kPut);
  Accepted accepted;
  std::thread caller([&] { accepted = server_.Accept(first); });
  store().WaitForHeld();
  // Other calls go on, on every processor.
  store().Hold(Operation::kPut, false);
  for (int i = 0; i < 32; ++i) {
    DigestClient other;
    Established context(server_, other);
    EXPECT_EQ(server_.Serve(other.Sign()), SEC_E_OK);
  }
  store().LetGo();
  caller.join();
  EXPECT_EQ(accepted.status, SEC_E_OK);
  store().Hold(Operation::kGet);
  store().Hold(Operation::kAdvance);
  const std::string second = client_.Sign();
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  std::thread again([&] { status = server_.Serve(second); });
  store().WaitForHeld();
  store().LetGo();
  store().WaitForHeld();
  store().LetGo();
  again.join();
  EXPECT_EQ(status, SEC_E_OK);
  store().Hold(Operation::kGet, false);
  store().Hold(Operation::kAdvance, false);
  EXPECT_EQ(server_.Serve(second), SEC_E_OUT_OF_SEQUENCE);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestStoreTest, AsynchronousCallsWaitAndReturnAtOnce) {
  Established context(server_, client_);
  const std::string header = client_.Sign();
  store().Hold(Operation::kAdvance);
  AsyncCall call;
  ServerInput input(header, {});
  ULONG qop = 1;
  ASSERT_EQ(SspiVerifySignatureAsync(call.get(), &context.context, input.get(), 0, &qop), SEC_E_OK);
  store().WaitForHeld();
  EXPECT_EQ(call.callbacks(), 0);
  store().LetGo();
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  EXPECT_EQ(qop, 0U);
  store().Hold(Operation::kAdvance, false);
  const std::string next = client_.Sign();
  ServerInput next_input(next, {});
  ASSERT_EQ(server_.Accept(next).status, SEC_I_COMPLETE_NEEDED);
  ASSERT_EQ(SspiCompleteAuthTokenAsync(call.get(), &context.context, next_input.get()), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
}

TEST_F(DigestStoreTest, AsynchronousDeleteEndsWhenTheStoreHasForgotten) {
  Established context(server_, client_);
  context.deletes = false;
  store().Hold(Operation::kRemove);
  AsyncCall call;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &context.context), SEC_E_OK);
  store().WaitForHeld();
  EXPECT_EQ(call.callbacks(), 0);
  store().LetGo();
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  EXPECT_EQ(store().entries(), 0U);
}

TEST_F(DigestStoreTest, SynchronousDeleteDoesNotWait) {
  Established context(server_, client_);
  context.deletes = false;
  store().Hold(Operation::kRemove);
  EXPECT_EQ(DigestServer::Delete(context.context), SEC_E_OK);
  store().WaitForHeld();
  store().LetGo();
  EXPECT_EQ(store().entries(), 0U);
}

TEST_F(DigestStoreTest, WaitHasALimitAndTheLateOutcomeNoEffect) {
  Established context(server_, client_);
  SetWait(1);
  store().Hold(Operation::kAdvance);
  const std::string header = client_.Sign();
  EXPECT_EQ(server_.Serve(header), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  store().LetGo();
  store().Hold(Operation::kAdvance, false);
  // It was counted after all, so it is not served, now or later.
  EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

TEST_F(DigestStoreTest, EstablishedContextIsChallengedAgainAtTheLimit) {
  Established context(server_, client_);
  SetWait(1);
  store().Hold(Operation::kGet);
  ExpectStale(server_.Accept(client_.Sign()));
  store().LetGo();
}

// What was sent may still arrive, and another node may take the same response. So this one counts
// another nonce.
TEST_F(DigestStoreTest, FirstResponseAtTheLimitIsAskedForUnderANonceOfThisNode) {
  const Accepted challenge = server_.Challenge();
  const std::string first = client_.Respond(challenge.token);
  SetWait(1);
  store().Hold(Operation::kPut);
  const Accepted accepted = server_.Accept(first);
  EXPECT_TRUE(SameHandle(accepted.context, challenge.context));
  store().LetGo();
  store().Hold(Operation::kPut, false);
  const int begun = store().begun(Operation::kPut);
  GoOn(accepted);
  EXPECT_EQ(store().begun(Operation::kPut), begun);
  // The store works again.
  GoOn(server_.Accept(client_.Sign()));
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  EXPECT_NE(server_.Serve(first), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestStoreTest, StopEndsTheWait) {
  Established context(server_, client_);
  SetWait(30'000);
  store().Hold(Operation::kAdvance);
  AsyncCall call;
  ServerInput input(client_.Sign(), {});
  ULONG qop = 0;
  ASSERT_EQ(SspiVerifySignatureAsync(call.get(), &context.context, input.get(), 0, &qop), SEC_E_OK);
  store().WaitForHeld();
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
  store().LetGo();
  store().Hold(Operation::kAdvance, false);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
}

TEST_F(DigestStoreTest, StopEndsAnAcceptThatWaits) {
  const Accepted challenge = server_.Challenge();
  SetWait(30'000);
  store().Hold(Operation::kPut);
  AsyncCall call;
  ServerInput input(client_.Respond(challenge.token), {});
  CtxtHandle handle = challenge.context;
  CtxtHandle made;
  ULONG attributes = 0;
  char room[4096];
  SecBuffer out = {sizeof(room), SECBUFFER_TOKEN, room};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  ASSERT_EQ(SspiAcceptSecurityContextAsync(call.get(), server_.credential(), &handle, input.get(),
                                           ASC_REQ_HTTP, 0, &made, &output, &attributes, nullptr),
            SEC_E_OK);
  store().WaitForHeld();
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
  store().LetGo();
  store().Hold(Operation::kPut, false);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

// ---- The store is replaced

TEST_F(DigestStoreTest, AnotherStoreKnowsNoContexts) {
  Established context(server_, client_);
  auto other = std::make_shared<ScriptedStore>(DigestWorld::package().package_host().clock());
  ASSERT_TRUE(DigestWorld::package().UseStore(other, nullptr));
  const int begun = store().begun(Operation::kGet);
  // The keys of the nonces are others, too.
  EXPECT_EQ(server_.Accept(client_.Sign()).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(store().begun(Operation::kGet), begun);
  DigestClient again;
  Established next(server_, again);
  EXPECT_EQ(server_.Serve(again.Sign()), SEC_E_OK);
}

TEST_F(DigestStoreTest, NodeKeysMakeNoncesThatAllNodesKnow) {
  const std::vector<std::byte> secret(32, std::byte{7});
  auto keys = context_store::NodeKeys::Create(secret);
  ASSERT_TRUE(keys.ok());
  ASSERT_TRUE(DigestWorld::package().UseStore(world_.shared_store(), *keys));
  Established context(server_, client_);
  const std::string header = client_.Sign();
  // Another node: the same store and keys, and a package that knows no contexts.
  ForgetHere(header, context.context);
  ASSERT_TRUE(DigestWorld::package().UseStore(world_.shared_store(), *keys));
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  EXPECT_EQ(server_.Serve(header), SEC_E_OUT_OF_SEQUENCE);
}

}  // namespace
}  // namespace ktlsim::test
