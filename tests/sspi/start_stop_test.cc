// KtlsimStart and KtlsimStop: bad options, draining, refusing afterwards, starting again.

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/waiting_calls.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class StartStopTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(KtlsimStop(), SEC_E_OK); }
  void TearDown() override {
    KtlsimStop();
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK) << KtlsimLastErrorText();
  }
};

KtlsimOptions Good() {
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.cbSize = sizeof(options);
  return options;
}

TEST_F(StartStopTest, BadOptionsAreNamedAndStartNothing) {
  std::vector<KtlsimOptions> bad(7, Good());
  bad[0].cbSize = 0;
  bad[1].cbSize = sizeof(KtlsimOptions) - 1;
  bad[2].cProcessors = 100000;
  bad[3].Placement = 2;
  bad[4].fFlags = 0x80;
  bad[5].cReceiveBuffers = 3;
  bad[6].cCryptoProcessors = ~0U;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(KtlsimStart(&bad[i]), SEC_E_INVALID_PARAMETER) << i;
    EXPECT_GT(std::string(KtlsimLastErrorText()).size(), 10U) << i;
  }
  KtlsimOptions good = Good();
  EXPECT_EQ(KtlsimStart(&good), SEC_E_OK) << "a refused start leaves no trace";
  EXPECT_EQ(KtlsimStart(&good), SEC_E_INVALID_PARAMETER) << "already started";
  EXPECT_GT(std::string(KtlsimLastErrorText()).size(), 10U);
}

TEST_F(StartStopTest, StopWithoutStartIsOk) {
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
}

TEST_F(StartStopTest, RolesGoRound) {
  KtlsimOptions options = Good();
  options.cProcessors = 3;
  options.pszProcessorRoles = "client,server";
  ASSERT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
  std::string roles;
  ASSERT_EQ(KtlsimForEachProcessor(
                [](void* text, const KtlsimProcessor* processor) {
                  *static_cast<std::string*>(text) +=
                      std::to_string(processor->index) + processor->role + " ";
                },
                &roles),
            SEC_E_OK);
  EXPECT_EQ(roles, "0client 1server 2client ");
  EXPECT_EQ(KtlsimForEachProcessor(nullptr, nullptr), SEC_E_INVALID_PARAMETER);
}

TEST_F(StartStopTest, StopDrainsRefusesAndLetsASecondStartGoOn) {
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  RunningLeg running;
  ScriptedCredential credential(running.script());
  ScriptedContext context(credential);
  AsyncCall call;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(call.get(), credential.get(), context.get(), nullptr), SEC_E_OK);
  running.WaitUntilItRuns();
  Event stopped;
  std::thread stopper([&] {
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(call.callbacks(), 1) << "the stop waits until the callback has returned";
    stopped.Set();
  });
  // Until the stop has begun, submissions are accepted.
  CtxtHandle made{};
  AsyncCall probe;
  LegMemory probe_memory;
  CredHandle nobody{1, 2};
  SECURITY_STATUS status = SEC_E_INVALID_HANDLE;
  while (status == SEC_E_INVALID_HANDLE) {
    std::this_thread::yield();
    status = probe_memory.Accept(probe.get(), &nobody, nullptr, &made);
  }
  EXPECT_EQ(status, SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_FALSE(stopped.IsSet()) << "a call is in flight";
  running.LetItEnd();
  stopper.join();
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
}

TEST_F(StartStopTest, StoppedRuntimeRefusesEverySubmissionAndKeepsObjects) {
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  AsyncCall call;
  LegMemory memory;
  CtxtHandle made{};
  CredHandle acquired{};
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &made),
            SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(
      SspiAcquireCredentialsHandleAsyncA(call.get(), nullptr, ScriptedName(), SECPKG_CRED_INBOUND,
                                         nullptr, nullptr, nullptr, nullptr, &acquired, nullptr),
      SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(SspiEncryptMessageAsync(call.get(), context.get(), 0, &memory.in_desc, 0),
            SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(AcceptSecurityContext(credential.get(), nullptr, &memory.in_desc, 0, 0, &made,
                                  &memory.out_desc, &memory.attributes, nullptr),
            SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(KtlsimForEachProcessor([](void*, const KtlsimProcessor*) {}, nullptr),
            SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(call.callbacks(), 0);
  EXPECT_EQ(Statistics().cInFlight, 0U);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ASSERT_EQ(memory.Accept(call.get(), credential.get(), context.get(), nullptr), SEC_E_OK)
      << "handles outlive a stop";
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
}

TEST_F(StartStopTest, StoppedRuntimeStillDeletes) {
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  CtxtHandle handle = context.Release();
  EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_OK);
  EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_INVALID_HANDLE);
  CredHandle freed = credential.Release();
  EXPECT_EQ(FreeCredentialsHandle(&freed), SEC_E_OK);
}

struct StopInside {
  SECURITY_STATUS status = SEC_E_OK;
  Event done;
};

TEST_F(StartStopTest, StopInsideACallbackIsRefused) {
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ScriptedCredential credential(RepeatedScript());
  for (const ULONG mode : {ULONG{KTLSIM_NOTIFY_POOL}, ULONG{KTLSIM_NOTIFY_ON_PROCESSOR}}) {
    StopInside inside;
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_EQ(KtlsimSetNotifyMode(async, mode), SEC_E_OK);
    ASSERT_EQ(SspiSetAsyncNotifyCallback(
                  async,
                  [](SspiAsyncContext* handle, PVOID data) {
                    auto* self = static_cast<StopInside*>(data);
                    self->status = KtlsimStop();
                    SspiFreeAsyncContext(handle);
                    self->done.Set();
                  },
                  &inside),
              SEC_E_OK);
    LegMemory memory;
    CtxtHandle made{};
    ASSERT_EQ(memory.Accept(async, credential.get(), nullptr, &made), SEC_E_OK);
    inside.done.Wait();
    EXPECT_EQ(inside.status, SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  }
}

TEST_F(StartStopTest, StatisticsNeedTheirSize) {
  KtlsimStatistics statistics{};
  EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimQueryStatistics(nullptr), SEC_E_INVALID_PARAMETER);
}

// A monitoring thread does not know when the program stops.
TEST_F(StartStopTest, StatisticsCanBeReadWhileItStopsAndStarts) {
  std::atomic<bool> over{false};
  std::thread monitor([&over] {
    KtlsimProcessorStatistics processor{};
    processor.cbSize = sizeof(processor);
    while (!over.load()) {
      EXPECT_LT(Statistics().cInFlight, 1000U);
      for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &processor) == SEC_E_OK; ++i) {
        EXPECT_LT(processor.Lanes[KTLSIM_LANE_HANDSHAKE].cDepth, 1000U);
      }
      KtlsimProcessorCpuNs(nullptr);
    }
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  }
  over.store(true);
  monitor.join();
}

TEST_F(StartStopTest, AcceptedEqualsCompletedEqualsCalledBackAfterADrain) {
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  AsyncCall call;
  for (int i = 0; i < 50; ++i) {
    LegMemory memory;
    ASSERT_EQ(memory.Accept(call.get(), nullptr, context.get(), nullptr), SEC_E_OK);
    ASSERT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  }
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimStatistics now = Statistics();
  EXPECT_GE(now.cAccepted, 50U);
  EXPECT_EQ(now.cRefused, 0U);
  EXPECT_EQ(now.cCallbacks, 50U);
  EXPECT_EQ(now.cCompleted, now.cAccepted);
}

}  // namespace
}  // namespace ktlsim::test
