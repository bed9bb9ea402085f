// No call waits for another call's callback: blocked callbacks, callbacks that call synchronous
// functions, submitters that block, and real TLS handshakes meanwhile.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_conversation.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

class LivenessTest : public testing::TestWithParam<PlacementCase> {
 protected:
  // `count` callbacks that wait until the test ends; returns when all have been entered.
  void BlockCallbacks(int count) {
    for (int i = 0; i < count; ++i) {
      LegMemory& memory = *memory_.emplace_back(std::make_unique<LegMemory>());
      SspiAsyncContext* async = SspiCreateAsyncContext();
      ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &LivenessTest::Block, this), SEC_E_OK);
      ASSERT_EQ(memory.Accept(async, nullptr, context_.get(), nullptr), SEC_E_OK);
    }
    entered_.WaitFor(count);
    blocked_ = count;
  }
  void TearDown() override {
    EXPECT_EQ(left_.value(), 0) << "blocked all the time";
    release_.Set();
    left_.WaitFor(blocked_);
  }
  void Converse(int count, ULONG notify_mode) {
    std::vector<std::unique_ptr<TlsConversation>> conversations;
    for (int i = 0; i < count; ++i) {
      conversations.push_back(
          std::make_unique<TlsConversation>(client_.get(), server_.get(), notify_mode));
      conversations.back()->Start();
    }
    for (auto& conversation : conversations) ASSERT_EQ(conversation->Wait(), SEC_E_OK);
  }

 private:
  static void Block(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<LivenessTest*>(data);
    SspiFreeAsyncContext(async);
    self->entered_.Add();
    self->release_.Wait();
    self->left_.Add();
  }

 protected:
  RuntimeWith runtime_{OptionsFor(GetParam().placement)};
  TestCredential server_ = TestCredential::Server();
  TestCredential client_ = TestCredential::Client();
  ScriptedCredential scripted_{RepeatedScript()};
  ScriptedContext context_{scripted_};
  std::vector<std::unique_ptr<LegMemory>> memory_;
  Count entered_;
  Event release_;
  Count left_;
  int blocked_ = 0;
};

INSTANTIATE_TEST_SUITE_P(
    Placements, LivenessTest,
    testing::Values(PlacementCase{"Inline", KTLSIM_PLACEMENT_INLINE, KTLSIM_NOTIFY_POOL},
                    PlacementCase{"CryptoPool", KTLSIM_PLACEMENT_POOL, KTLSIM_NOTIFY_POOL}),
    PlacementName);

TEST_P(LivenessTest, OneBlockedCallbackStallsNobody) {
  BlockCallbacks(1);
  Converse(20, KTLSIM_NOTIFY_POOL);
  Converse(20, KTLSIM_NOTIFY_ON_PROCESSOR);
}

TEST_P(LivenessTest, ManyBlockedCallbacksStallNobody) {
  BlockCallbacks(40);
  Converse(20, KTLSIM_NOTIFY_POOL);
  Converse(20, KTLSIM_NOTIFY_ON_PROCESSOR);
  EXPECT_GT(Statistics().cNotifyThreads, 40U) << "the pool grew";
}

TEST_P(LivenessTest, SynchronousCallsGoOnMeanwhile) {
  BlockCallbacks(10);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        TestEnd client(false);
        TestEnd server(true);
        ASSERT_TRUE(RunHandshake(client, client_.get(), server, server_.get()));
        Append(server.inbox, client.Seal(ToBytes("ping")));
        ASSERT_EQ(ToText(server.Open(server_.get())), "ping");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(LivenessTest, SubmittersThatBlockNeedNoHelp) {
  BlockCallbacks(10);
  std::vector<std::thread> threads;
  // More waiting threads than processors and notification threads at the start.
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        AsyncCall call;
        LegMemory memory;
        CtxtHandle made{};
        ASSERT_EQ(memory.Accept(call.get(), scripted_.get(), nullptr, &made), SEC_E_OK);
        ASSERT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
        ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &made), SEC_E_OK);
        ASSERT_EQ(call.Finish(), SEC_E_OK);
      }
    });
  }
  Converse(10, KTLSIM_NOTIFY_POOL);
  for (std::thread& thread : threads) thread.join();
}

struct SynchronousCaller {
  PCredHandle credential;
  Count* done;
  LegMemory leg{};

  static void Notify(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<SynchronousCaller*>(data);
    SspiFreeAsyncContext(async);
    CredHandle own;
    EXPECT_EQ(
        AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                  KeepScript(RepeatedScript()), nullptr, nullptr, &own, nullptr),
        SEC_E_OK);
    for (PCredHandle credential : {self->credential, &own}) {
      LegMemory memory;
      CtxtHandle made{};
      EXPECT_EQ(AcceptSecurityContext(credential, nullptr, &memory.in_desc, 0, 0, &made,
                                      &memory.out_desc, &memory.attributes, nullptr),
                SEC_I_CONTINUE_NEEDED);
      EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
    }
    EXPECT_EQ(FreeCredentialsHandle(&own), SEC_E_OK);
    Statistics();
    self->done->Add();
  }
};

TEST_P(LivenessTest, CallbacksMayCallSynchronousFunctions) {
  BlockCallbacks(3);
  Count done;
  std::vector<std::unique_ptr<SynchronousCaller>> callers;
  for (int i = 0; i < 100; ++i) {
    callers.push_back(std::make_unique<SynchronousCaller>(scripted_.get(), &done));
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &SynchronousCaller::Notify, callers.back().get()),
              SEC_E_OK);
    ASSERT_EQ(callers.back()->leg.Accept(async, nullptr, context_.get(), nullptr), SEC_E_OK);
  }
  Converse(10, KTLSIM_NOTIFY_POOL);
  done.WaitFor(100);
}

// At dispatch level a wait would stop a processor: the call is refused and does not hang.
struct DispatchCaller {
  PCredHandle credential;
  CtxtHandle context{};
  LegMemory leg{};
  Event done{};

  static void Notify(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<DispatchCaller*>(data);
    SspiFreeAsyncContext(async);
    LegMemory memory;
    CtxtHandle made{};
    CredHandle own{};
    EXPECT_EQ(AcceptSecurityContext(self->credential, nullptr, &memory.in_desc, 0, 0, &made,
                                    &memory.out_desc, &memory.attributes, nullptr),
              SEC_E_UNSUPPORTED_FUNCTION);
    EXPECT_EQ(DeleteSecurityContext(&self->context), SEC_E_UNSUPPORTED_FUNCTION);
    EXPECT_EQ(
        AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                  KeepScript(RepeatedScript()), nullptr, nullptr, &own, nullptr),
        SEC_E_UNSUPPORTED_FUNCTION);
    Statistics();
    self->done.Set();
  }
};

TEST_P(LivenessTest, SynchronousCallsAtDispatchLevelAreRefused) {
  DispatchCaller caller{scripted_.get()};
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &DispatchCaller::Notify, &caller), SEC_E_OK);
  ASSERT_EQ(KtlsimSetNotifyMode(async, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
  ASSERT_EQ(caller.leg.Accept(async, scripted_.get(), nullptr, &caller.context), SEC_E_OK);
  caller.done.Wait();
  EXPECT_EQ(DeleteSecurityContext(&caller.context), SEC_E_OK)
      << "the refusal left the context alive";
}

}  // namespace
}  // namespace ktlsim::test
