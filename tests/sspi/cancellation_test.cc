// Calls that end without having run, and what happens to calls whose owner gives them up: through
// the public functions.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

// A leg in flight, held by its script, so that later submissions stay queued.
class CancellationTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(memory_.Accept(front_.get(), credential_.get(), context_.get(), nullptr), SEC_E_OK);
    held_.WaitUntilHeld();
    before_ = Statistics();
  }
  void TearDown() override {
    held_.Resume();
    EXPECT_EQ(front_.Wait(), SEC_I_CONTINUE_NEEDED);
    EXPECT_EQ(memory_.Token(), "late");
  }
  static void ExpectUntouched(const LegMemory& memory) {
    EXPECT_EQ(memory.out.cbBuffer, sizeof(memory.output));
    EXPECT_EQ(memory.output[0], 0);
    EXPECT_EQ(memory.attributes, 0U);
  }

  HeldLeg held_;
  ScriptedCredential credential_{held_.script()};
  ScriptedContext context_{credential_};
  AsyncCall front_;
  LegMemory memory_;
  KtlsimStatistics before_{};
};

TEST_F(CancellationTest, AQueuedCallIsCancelledAtOnceAndCallsBackOnce) {
  AsyncCall queued;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(queued.get(), nullptr, context_.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(KtlsimCancelAsyncCall(queued.get()), SEC_E_OK);
  EXPECT_EQ(queued.Wait(), KTLSIM_E_CANCELLED) << "the earlier leg is still held";
  ExpectUntouched(memory);
  EXPECT_EQ(KtlsimCancelAsyncCall(queued.get()), KTLSIM_E_TOO_LATE) << "it has ended";
  EXPECT_EQ(Statistics().cCancelled, before_.cCancelled + 1);
  // The context goes on, and the script has not moved.
  ASSERT_EQ(queued.Finish(), KTLSIM_E_CANCELLED);
  ASSERT_EQ(memory.Accept(queued.get(), nullptr, context_.get(), nullptr), SEC_E_OK);
  held_.Resume();
  EXPECT_EQ(queued.Finish(), SEC_E_OK);
  EXPECT_EQ(memory.Token(), "last");
  EXPECT_EQ(queued.callbacks(), 2);
}

TEST_F(CancellationTest, OnlyAQueuedCallCanBeCancelled) {
  EXPECT_EQ(KtlsimCancelAsyncCall(nullptr), SEC_E_INVALID_HANDLE);
  AsyncCall idle;
  EXPECT_EQ(KtlsimCancelAsyncCall(idle.get()), SEC_E_INVALID_PARAMETER) << "nothing submitted";
  EXPECT_EQ(KtlsimCancelAsyncCall(front_.get()), KTLSIM_E_TOO_LATE) << "it runs, suspended";
  SspiAsyncContext* freed = SspiCreateAsyncContext();
  SspiFreeAsyncContext(freed);
  EXPECT_EQ(KtlsimCancelAsyncCall(freed), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(Statistics().cCancelled, before_.cCancelled);
}

TEST_F(CancellationTest, ADeleteIsNeverCancelledNorTimedOut) {
  AsyncCall deletion;
  ASSERT_EQ(KtlsimSetQueueWaitLimit(deletion.get(), 1), SEC_E_OK);
  CtxtHandle handle = context_.Release();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(deletion.get(), &handle), SEC_E_OK);
  EXPECT_EQ(KtlsimCancelAsyncCall(deletion.get()), KTLSIM_E_TOO_LATE);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
  WaitUntil([&] { return std::chrono::steady_clock::now() >= until; });
  held_.Resume();
  EXPECT_EQ(deletion.Wait(), SEC_E_OK);
  EXPECT_EQ(Statistics().cQueueTimeouts, before_.cQueueTimeouts);
}

TEST_F(CancellationTest, AQueuedCallWaitsNoLongerThanItsLimit) {
  AsyncCall limited;
  AsyncCall patient;
  LegMemory memory;
  LegMemory patient_memory;
  ASSERT_EQ(KtlsimSetQueueWaitLimit(limited.get(), 1), SEC_E_OK);
  ASSERT_EQ(memory.Accept(limited.get(), nullptr, context_.get(), nullptr), SEC_E_OK);
  ASSERT_EQ(patient_memory.Accept(patient.get(), nullptr, context_.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(limited.Wait(), KTLSIM_E_QUEUE_TIMEOUT);
  ExpectUntouched(memory);
  EXPECT_EQ(patient.callbacks(), 0);
  EXPECT_EQ(Statistics().cQueueTimeouts, before_.cQueueTimeouts + 1);
  held_.Resume();
  EXPECT_EQ(patient.Wait(), SEC_E_OK) << "the next call takes its place";
}

TEST_F(CancellationTest, LimitsAreRefusedInFlightLikeEveryRegistration) {
  EXPECT_EQ(KtlsimSetQueueWaitLimit(front_.get(), 1), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimSetQueueWaitLimit(nullptr, 1), SEC_E_INVALID_HANDLE);
}

TEST_F(CancellationTest, FreeInFlightWhileQueuedStillCallsBackOnce) {
  static Count* told;
  Count count;
  told = &count;
  LegMemory memory;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(
                async, [](SspiAsyncContext*, PVOID) { told->Add(); }, nullptr),
            SEC_E_OK);
  ASSERT_EQ(memory.Accept(async, nullptr, context_.get(), nullptr), SEC_E_OK);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(KtlsimCancelAsyncCall(async), SEC_E_INVALID_HANDLE) << "its owner has given it up";
  held_.Resume();
  count.WaitFor(1);
  EXPECT_EQ(memory.Token(), "last");
}

// The default of the runtime, and a context that opts out of it. A queued first leg leaves no
// security context.
TEST(QueueWaitLimitTest, DefaultHoldsForAllButThoseThatOptOut) {
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.cProcessors = 1;
  options.QueueWaitLimitMs = 1;
  RuntimeWith runtime(options);
  Event entered;
  Event go_on;
  sspi::Script script = RepeatedScript();
  script.legs.resize(2);
  script.legs[1] = script.legs[0];
  script.legs[1].on_run = [&] {
    entered.Set();
    go_on.Wait();
  };
  ScriptedCredential blocking(script);
  ScriptedContext context(blocking);
  ScriptedCredential scripted(RepeatedScript());
  const KtlsimStatistics before = Statistics();
  AsyncCall front;
  LegMemory front_memory;
  ASSERT_EQ(KtlsimSetQueueWaitLimit(front.get(), KTLSIM_NO_WAIT_LIMIT), SEC_E_OK);
  ASSERT_EQ(front_memory.Accept(front.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  entered.Wait();  // the one processor is busy
  AsyncCall limited;
  AsyncCall patient;
  AsyncCall cancelled;
  ASSERT_EQ(KtlsimSetQueueWaitLimit(patient.get(), KTLSIM_NO_WAIT_LIMIT), SEC_E_OK);
  ASSERT_EQ(KtlsimSetQueueWaitLimit(cancelled.get(), KTLSIM_NO_WAIT_LIMIT), SEC_E_OK);
  LegMemory memory[3];
  CtxtHandle made[3] = {};
  ASSERT_EQ(memory[0].Accept(limited.get(), scripted.get(), nullptr, &made[0]), SEC_E_OK);
  ASSERT_EQ(memory[1].Accept(patient.get(), scripted.get(), nullptr, &made[1]), SEC_E_OK);
  ASSERT_EQ(memory[2].Accept(cancelled.get(), scripted.get(), nullptr, &made[2]), SEC_E_OK);
  EXPECT_EQ(KtlsimCancelAsyncCall(cancelled.get()), SEC_E_OK);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
  WaitUntil([&] { return std::chrono::steady_clock::now() >= until; });
  go_on.Set();
  EXPECT_EQ(limited.Wait(), KTLSIM_E_QUEUE_TIMEOUT);
  EXPECT_EQ(cancelled.Wait(), KTLSIM_E_CANCELLED);
  EXPECT_EQ(patient.Wait(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(made[0].dwUpper, 0U);
  EXPECT_EQ(made[2].dwUpper, 0U);
  EXPECT_EQ(DeleteSecurityContext(&made[1]), SEC_E_OK);
  WaitUntil([&] { return Statistics().cSecurityContexts == before.cSecurityContexts; });
}

// Goal: every call ends once, as KtlsimCancelAsyncCall has promised, whichever comes first: its
// turn, the canceller or the limit. Method: threads that cancel their calls right after the
// submission.
TEST(CancellationRaceTest, EveryCallEndsOnceAndTheCountsAddUp) {
  constexpr int kThreads = 3;
  const int rounds = Repetitions(2000);
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimStatistics before = Statistics();
  std::atomic<ULONGLONG> cancelled{0};
  std::atomic<ULONGLONG> timed_out{0};
  const auto submitter = [&] {
    for (int i = 0; i < rounds; ++i) {
      AsyncCall call(i % 2 == 0 ? KTLSIM_NOTIFY_POOL : KTLSIM_NOTIFY_ON_PROCESSOR);
      if (i % 3 == 0) {
        ASSERT_EQ(KtlsimSetQueueWaitLimit(call.get(), 1), SEC_E_OK);
      }
      LegMemory memory;
      ASSERT_EQ(memory.Accept(call.get(), nullptr, context.get(), nullptr), SEC_E_OK);
      const SECURITY_STATUS promised = KtlsimCancelAsyncCall(call.get());
      const SECURITY_STATUS status = call.Finish();
      if (promised == SEC_E_OK) {
        ASSERT_EQ(status, KTLSIM_E_CANCELLED);
        ++cancelled;
      } else {
        ASSERT_EQ(promised, KTLSIM_E_TOO_LATE);
        ASSERT_TRUE(status == SEC_I_CONTINUE_NEEDED || status == KTLSIM_E_QUEUE_TIMEOUT);
        if (status == KTLSIM_E_QUEUE_TIMEOUT) ++timed_out;
      }
      ASSERT_EQ(memory.Token(), status == SEC_I_CONTINUE_NEEDED
                                    ? "token"
                                    : std::string(sizeof(memory.output), '\0'));
      ASSERT_EQ(call.callbacks(), 1);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(submitter);
  for (std::thread& thread : threads) thread.join();
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimStatistics after = Statistics();
  EXPECT_EQ(after.cCancelled - before.cCancelled, cancelled);
  EXPECT_EQ(after.cQueueTimeouts - before.cQueueTimeouts, timed_out);
  EXPECT_EQ(after.cAccepted - before.cAccepted, after.cCompleted - before.cCompleted);
  EXPECT_EQ(after.cAccepted - before.cAccepted, static_cast<ULONGLONG>(kThreads * rounds));
}

// Everything is given up while legs are queued and suspended: contexts deleted as documented,
// credentials freed, async contexts freed, the runtime stopped. Nothing leaks, and every callback
// comes.
TEST(TeardownTest, NothingLeaksWhenAllIsGivenUpWhilePendingAndSuspended) {
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  const KtlsimStatistics before = Statistics();
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  constexpr int kContexts = 20;
  constexpr int kQueued = 3;
  static Count* told;
  Count count;
  told = &count;
  std::vector<std::unique_ptr<HeldLeg>> held;
  std::vector<std::unique_ptr<LegMemory>> memory;
  for (int i = 0; i < kContexts; ++i) {
    held.push_back(std::make_unique<HeldLeg>());
    ScriptedCredential credential(held.back()->script());
    ScriptedContext context(credential);
    for (int leg = 0; leg <= kQueued; ++leg) {
      memory.push_back(std::make_unique<LegMemory>());
      SspiAsyncContext* async = SspiCreateAsyncContext();
      ASSERT_EQ(SspiSetAsyncNotifyCallback(
                    async, [](SspiAsyncContext*, PVOID) { told->Add(); }, nullptr),
                SEC_E_OK);
      ASSERT_EQ(memory.back()->Accept(async, nullptr, context.get(), nullptr), SEC_E_OK);
      SspiFreeAsyncContext(async);
    }
    held.back()->WaitUntilHeld();
    CtxtHandle handle = context.Release();
    SspiAsyncContext* silent = SspiCreateAsyncContext();
    ASSERT_EQ(SspiDeleteSecurityContextAsync(silent, &handle), SEC_E_OK);
    SecInvalidateHandle(&handle);
    SspiFreeAsyncContext(silent);
  }
  WaitUntil([] { return Statistics().cSuspended == kContexts; });
  std::thread stopper([] { EXPECT_EQ(KtlsimStop(), SEC_E_OK); });
  for (auto& leg : held) leg->Resume();
  stopper.join();
  EXPECT_EQ(count.value(), kContexts * (1 + kQueued));
  const KtlsimStatistics after = Statistics();
  EXPECT_EQ(after.cSecurityContexts, before.cSecurityContexts);
  EXPECT_EQ(after.cCredentials, before.cCredentials);
  EXPECT_EQ(after.cAsyncContexts, before.cAsyncContexts);
  EXPECT_EQ(after.cContextBuffers, before.cContextBuffers);
  EXPECT_EQ(after.cInFlight, 0U);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
