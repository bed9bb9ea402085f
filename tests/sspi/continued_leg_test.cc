// A leg that continues on a context which its package has found: in the order of that context's
// calls, and the caller gets that context's handle.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/waiting_calls.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

bool SameHandle(const SecHandle& a, const SecHandle& b) {
  return a.dwLower == b.dwLower && a.dwUpper == b.dwUpper;
}

// A credential whose contexts are established, and are found by the legs of another one.
class ContinuedLegTest : public PlacementTest {
 protected:
  ContinuedLegTest() {
    sspi::Script script;
    script.legs.resize(1);
    script.legs[0].status = SEC_E_OK;
    script.continued.status = SEC_I_COMPLETE_NEEDED;
    script.continued.output = "found";
    script.continued.attributes = 5;
    script.continued.on_run = [this] { continued_.Set(); };
    script.verify.on_suspend = verifies_.Taker();
    MakeFound(std::move(script));
  }

  void MakeFound(sspi::Script script) {
    found_credential_ = std::make_unique<ScriptedCredential>(std::move(script));
    found_ = std::make_unique<ScriptedContext>(*found_credential_, SEC_E_OK);
  }
  sspi::Script ContinuedScript() {
    sspi::Script script;
    script.legs.resize(1);
    script.legs[0].status = SEC_E_OK;
    script.continued.status = SEC_I_COMPLETE_NEEDED;
    script.continued.output = "found";
    return script;
  }
  // The script of a context whose leg number `leg` continues on the found one.
  sspi::Script OwnScript(std::size_t leg = 0) {
    sspi::Script script;
    script.legs.resize(leg + 1);
    for (sspi::ScriptedLeg& one : script.legs) {
      one.status = SEC_I_CONTINUE_NEEDED;
      one.output = "own";
    }
    script.repeats = true;
    script.legs[leg].continue_on = [this] {
      moves_.fetch_add(1);
      return FoundHandle();
    };
    script.found_dead.status = SEC_I_CONTINUE_NEEDED;
    script.found_dead.output = "alone";
    return script;
  }
  SecHandle FoundHandle() const {
    return found_handle_.dwLower != 0 ? found_handle_ : *found_->get();
  }

  // A call of the found context that is suspended until verifies_.Resume().
  void HoldFound() {
    ASSERT_EQ(SspiVerifySignatureAsync(held_.get(), found_->get(), &message_.desc, 0, nullptr),
              SEC_E_OK);
    verifies_.WaitFor(1);
  }

  Tokens verifies_;
  std::unique_ptr<ScriptedCredential> found_credential_;
  std::unique_ptr<ScriptedContext> found_;
  SecHandle found_handle_{};  // when set: that of a context which the test deletes
  std::atomic<int> moves_{0};
  Event continued_;
  AsyncCall held_{notify_mode()};
  AsyncCall leg_{notify_mode()};
  AsyncCall other_{notify_mode()};
  SignedMessage message_;
  LegMemory memory_;
};
INSTANTIATE_TEST_SUITE_P(, ContinuedLegTest, AllPlacements(), PlacementName);

TEST_P(ContinuedLegTest, FirstLegReturnsTheHandleOfTheFoundContext) {
  ScriptedCredential credential(OwnScript());
  const ULONGLONG contexts = Statistics().cSecurityContexts;
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(made, *found_->get()));
  EXPECT_EQ(memory_.Token(), "found");
  EXPECT_EQ(memory_.attributes, 5U);
  EXPECT_EQ(leg_.callbacks(), 1);
  EXPECT_EQ(Statistics().cSecurityContexts, contexts) << "the leg's own context is gone";
  // Synchronously, too, and as often as wanted.
  for (int i = 0; i < 3; ++i) {
    memory_.out.cbBuffer = sizeof(memory_.output);
    EXPECT_EQ(AcceptSecurityContext(credential.get(), nullptr, &memory_.in_desc, 0, 0, &made,
                                    &memory_.out_desc, &memory_.attributes, nullptr),
              SEC_I_COMPLETE_NEEDED);
    EXPECT_TRUE(SameHandle(made, *found_->get()));
  }
  EXPECT_EQ(Statistics().cSecurityContexts, contexts);
}

TEST_P(ContinuedLegTest, LaterLegLeavesItsOwnContextToItsOwner) {
  ScriptedCredential credential(OwnScript(1));
  ScriptedContext own(credential);
  const ULONGLONG contexts = Statistics().cSecurityContexts;
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), nullptr, own.get(), &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(made, *found_->get()));
  EXPECT_EQ(Statistics().cSecurityContexts, contexts);
}

// A leg that fails on the found context does not end that one, nor leave its own behind.
TEST_P(ContinuedLegTest, FailureLeavesTheFoundContextAlive) {
  sspi::Script script = ContinuedScript();
  script.continued.status = SEC_E_LOGON_DENIED;
  MakeFound(std::move(script));
  ScriptedCredential credential(OwnScript());
  const ULONGLONG contexts = Statistics().cSecurityContexts;
  CtxtHandle made{1, 2};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_E_LOGON_DENIED);
  EXPECT_TRUE(SameHandle(made, CtxtHandle{1, 2})) << "untouched";
  EXPECT_EQ(Statistics().cSecurityContexts, contexts);
}

TEST_P(ContinuedLegTest, TakesItsTurnOnTheFoundContextAndGivesUpItsOwn) {
  ScriptedCredential credential(OwnScript(1));
  ScriptedContext own(credential);
  HoldFound();
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), nullptr, own.get(), &made), SEC_E_OK);
  WaitUntil([&] { return moves_.load() == 1; });
  // Its own context is free for other calls, while the leg waits for the one before it.
  SignedMessage message;
  ASSERT_EQ(SspiCompleteAuthTokenAsync(other_.get(), own.get(), &message.desc), SEC_E_OK);
  EXPECT_EQ(other_.Finish(), SEC_E_OK);
  EXPECT_FALSE(continued_.IsSet());
  EXPECT_EQ(SspiGetAsyncCallStatus(leg_.get()), SEC_I_ASYNC_CALL_PENDING);
  verifies_.Resume();
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(continued_.IsSet());
  EXPECT_EQ(held_.Finish(), SEC_E_OK);
  EXPECT_TRUE(SameHandle(made, *found_->get()));
}

TEST_P(ContinuedLegTest, RunsAloneWhenTheHandleIsDead) {
  ScriptedCredential credential(OwnScript());
  found_handle_ = found_->Release();
  EXPECT_EQ(DeleteSecurityContext(&found_handle_), SEC_E_OK);
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(memory_.Token(), "alone");
  EXPECT_FALSE(SameHandle(made, found_handle_));
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_P(ContinuedLegTest, RunsAloneWhenTheHandleDiesWhileTheLegWaits) {
  ScriptedCredential credential(OwnScript());
  HoldFound();
  found_handle_ = found_->Release();
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  WaitUntil([&] { return moves_.load() == 1; });
  CtxtHandle dying = found_handle_;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(other_.get(), &dying), SEC_E_OK);
  verifies_.Resume();
  EXPECT_EQ(held_.Finish(), SEC_E_OK);
  EXPECT_EQ(other_.Finish(), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(memory_.Token(), "alone");
  EXPECT_FALSE(SameHandle(made, found_handle_));
  EXPECT_EQ(moves_.load(), 1);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  WaitUntil([] { return Statistics().cSecurityContexts == 0; });
}

// Both contexts are deleted while the leg waits.
TEST_P(ContinuedLegTest, FailsWhenItsOwnContextIsGoneToo) {
  ScriptedCredential credential(OwnScript(1));
  CtxtHandle own = ScriptedContext(credential).Release();
  HoldFound();
  found_handle_ = found_->Release();
  CtxtHandle made{1, 2};
  ASSERT_EQ(memory_.Accept(leg_.get(), nullptr, &own, &made), SEC_E_OK);
  WaitUntil([&] { return moves_.load() == 1; });
  EXPECT_EQ(DeleteSecurityContext(&own), SEC_E_OK);
  CtxtHandle dying = found_handle_;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(other_.get(), &dying), SEC_E_OK);
  verifies_.Resume();
  EXPECT_EQ(leg_.Finish(), SEC_E_INVALID_HANDLE);
  EXPECT_TRUE(SameHandle(made, CtxtHandle{1, 2}));
  EXPECT_EQ(other_.Finish(), SEC_E_OK);
  EXPECT_EQ(held_.Finish(), SEC_E_OK);
  WaitUntil([] { return Statistics().cSecurityContexts == 0; });
}

// Once it has begun to run there, it ends there.
TEST_P(ContinuedLegTest, GoesOnWhenTheHandleDiesWhileTheLegIsSuspendedThere) {
  Tokens tokens;
  sspi::Script script = ContinuedScript();
  script.continued.on_suspend = tokens.Taker();
  MakeFound(std::move(script));
  ScriptedCredential credential(OwnScript());
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  tokens.WaitFor(1);
  found_handle_ = found_->Release();
  CtxtHandle dying = found_handle_;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(other_.get(), &dying), SEC_E_OK);
  tokens.Resume();
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(made, found_handle_));
  EXPECT_EQ(other_.Finish(), SEC_E_OK);
  EXPECT_EQ(CompleteAuthToken(&made, &message_.desc), SEC_E_INVALID_HANDLE);
  WaitUntil([] { return Statistics().cSecurityContexts == 0; });
}

// A wait before the move and one after it share one limit.
TEST_P(ContinuedLegTest, WaitsBeforeAndAfterTheMove) {
  Tokens tokens;
  sspi::Script script = ContinuedScript();
  script.continued.on_suspend = tokens.Taker();
  script.continued.limit_ms = 30000;
  MakeFound(std::move(script));
  sspi::Script own = OwnScript();
  own.legs[0].on_suspend = tokens.Taker();
  own.legs[0].limit_ms = 30000;
  ScriptedCredential credential(own);
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  tokens.Resume(0);
  tokens.WaitFor(2);
  tokens.Resume(0);
  EXPECT_EQ(SspiGetAsyncCallStatus(leg_.get()), SEC_I_ASYNC_CALL_PENDING) << "an old token";
  tokens.Resume(1);
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(made, *found_->get()));
}

TEST_P(ContinuedLegTest, EndsAtItsLimitOnTheFoundContext) {
  Tokens tokens;
  sspi::Script script = ContinuedScript();
  script.continued.on_suspend = tokens.Taker();
  script.continued.limit_ms = 1;
  MakeFound(std::move(script));
  ScriptedCredential credential(OwnScript());
  CtxtHandle made{1, 2};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  EXPECT_TRUE(SameHandle(made, CtxtHandle{1, 2}));
  EXPECT_EQ(CompleteAuthToken(found_->get(), &message_.desc), SEC_E_OK) << "it goes on";
}

TEST_P(ContinuedLegTest, StopEndsWhatTheLegWaitsForAndTheLegRuns) {
  ScriptedCredential credential(OwnScript());
  HoldFound();
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  WaitUntil([&] { return moves_.load() == 1; });
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(held_.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(leg_.Finish(), SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

// A package that names a context of another direction, or moves twice, is wrong.
TEST_P(ContinuedLegTest, OnlyContextsOfTheSameKindAreFound) {
  ScriptedCredential credential(OwnScript(), SECPKG_CRED_OUTBOUND);
  CtxtHandle made{};
  ASSERT_EQ(SspiInitializeSecurityContextAsyncA(leg_.get(), credential.get(), nullptr, nullptr, 0,
                                                0, 0, &memory_.in_desc, 0, &made, &memory_.out_desc,
                                                &memory_.attributes, nullptr),
            SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(memory_.Token(), "alone");
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_P(ContinuedLegTest, LegMovesOnce) {
  sspi::Script script = ContinuedScript();
  script.continued.continue_on = [this] { return FoundHandle(); };
  MakeFound(std::move(script));
  ScriptedCredential credential(OwnScript());
  const ULONGLONG contexts = Statistics().cSecurityContexts;
  CtxtHandle made{};
  ASSERT_EQ(memory_.Accept(leg_.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(leg_.Finish(), SEC_E_INTERNAL_ERROR);
  EXPECT_EQ(Statistics().cSecurityContexts, contexts);
}

// Two contexts whose legs continue on the respective other one, at once: nobody waits for ever.
TEST_P(ContinuedLegTest, LegsCrossWithoutADeadlock) {
  CtxtHandle handles[2] = {};
  std::vector<std::unique_ptr<ScriptedCredential>> credentials;
  for (int i = 0; i < 2; ++i) {
    sspi::Script script = ContinuedScript();
    script.legs.resize(2);
    script.legs[0].status = script.legs[1].status = SEC_I_CONTINUE_NEEDED;
    script.repeats = true;
    script.legs[1].continue_on = [&handles, i] { return handles[1 - i]; };
    credentials.push_back(std::make_unique<ScriptedCredential>(std::move(script)));
    handles[i] = ScriptedContext(*credentials.back()).Release();
  }
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        AsyncCall call(notify_mode());
        LegMemory memory;
        for (int n = 0; n < Repetitions(500); ++n) {
          CtxtHandle made{};
          ASSERT_EQ(memory.Accept(call.get(), nullptr, &handles[i], &made), SEC_E_OK);
          ASSERT_EQ(call.Finish(), SEC_I_COMPLETE_NEEDED);
          ASSERT_TRUE(SameHandle(made, handles[1 - i]));
        }
      });
    }
  }
  for (CtxtHandle& handle : handles) EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
