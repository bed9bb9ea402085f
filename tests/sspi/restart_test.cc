// Stops and starts while other threads are at work: a submission on its way in, callbacks, visits,
// other stops and starts.

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/trace.h"
#include "tests/sspi/waiting_calls.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

// Calls `act` once, when the calling thread has reached `event` inside the library.
class At {
 public:
  At(std::string_view event, std::function<void()> act) : event_(event), act_(std::move(act)) {
    SetTraceObserver(
        [](void* self, const char* seen, std::uint64_t) { static_cast<At*>(self)->See(seen); },
        this);
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;
  ~At() { SetTraceObserver(nullptr, nullptr); }
  bool seen() const { return seen_; }

 private:
  void See(std::string_view event) {
    if (event != event_ || std::exchange(seen_, true)) return;
    act_();
  }

  const std::string_view event_;
  const std::function<void()> act_;
  bool seen_ = false;
};

void Elsewhere(const std::function<void()>& act) { std::thread(act).join(); }
void StopElsewhere() {
  Elsewhere([] { EXPECT_EQ(KtlsimStop(), SEC_E_OK); });
}
void RestartElsewhere() {
  Elsewhere([] {
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK) << KtlsimLastErrorText();
  });
}

class RestartTest : public testing::Test {
 protected:
  // Refused when the library runs already.
  void SetUp() override { static_cast<void>(KtlsimStart(nullptr)); }
  void TearDown() override { static_cast<void>(KtlsimStart(nullptr)); }
};

// ---- A call between its look-up and its acceptance

TEST_F(RestartTest, AnAsynchronousCallOnItsWayInIsAcceptedByTheNextStart) {
  ScriptedCredential credential(RepeatedScript());
  CtxtHandle made{};
  LegMemory memory;
  AsyncCall call;
  const At at("async_claim", &RestartElsewhere);
  EXPECT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_TRUE(at.seen());
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_F(RestartTest, AnAsynchronousCallOnItsWayIntoAStopIsRefusedAndLeavesItsContextIdle) {
  ScriptedCredential credential(RepeatedScript());
  CtxtHandle made{};
  LegMemory memory;
  AsyncCall call;
  {
    const At at("async_claim", &StopElsewhere);
    EXPECT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &made),
              SEC_E_SHUTDOWN_IN_PROGRESS);
  }
  EXPECT_EQ(Statistics().cSecurityContexts, 0U);
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_E_INVALID_PARAMETER);
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  ASSERT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &made), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_F(RestartTest, ASynchronousCallOnItsWayInIsServedByTheNextStart) {
  ScriptedCredential credential(RepeatedScript());
  CtxtHandle made{};
  LegMemory memory;
  {
    const At at("request_take", &RestartElsewhere);
    EXPECT_EQ(AcceptSecurityContext(credential.get(), nullptr, &memory.in_desc, 0, 0, &made,
                                    &memory.out_desc, &memory.attributes, nullptr),
              SEC_I_CONTINUE_NEEDED);
    EXPECT_TRUE(at.seen());
  }
  const At at("request_take", &RestartElsewhere);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  EXPECT_TRUE(at.seen());
  EXPECT_EQ(Statistics().cSecurityContexts, 0U);
}

// The documented form, whose status no caller looks at.
TEST_F(RestartTest, ATeardownOnItsWayIntoAStopFreesAllTheSame) {
  ScriptedCredential credential(RepeatedScript());
  {
    CtxtHandle context = ScriptedContext(credential).Release();
    SspiAsyncContext* async = SspiCreateAsyncContext();
    const At at("async_claim", &StopElsewhere);
    EXPECT_EQ(SspiDeleteSecurityContextAsync(async, &context), SEC_E_SHUTDOWN_IN_PROGRESS);
    SspiFreeAsyncContext(async);
    EXPECT_EQ(Statistics().cSecurityContexts, 0U);
  }
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  CredHandle freed = credential.Release();
  AsyncCall call;
  const At at("async_claim", &StopElsewhere);
  EXPECT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &freed), SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(Statistics().cCredentials, 0U);
  EXPECT_EQ(call.callbacks(), 0);
}

// ---- A library that is stopped

TEST_F(RestartTest, AStoppedLibraryTearsDownAtTheSubmission) {
  ScriptedCredential credential(RepeatedScript());
  CtxtHandle with_callback = ScriptedContext(credential).Release();
  CtxtHandle without = ScriptedContext(credential).Release();
  const ULONGLONG async_contexts = Statistics().cAsyncContexts;
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  {
    AsyncCall call;
    EXPECT_EQ(SspiDeleteSecurityContextAsync(call.get(), &with_callback),
              SEC_E_SHUTDOWN_IN_PROGRESS);
    EXPECT_EQ(Statistics().cSecurityContexts, 1U) << "freed before the function returns";
    EXPECT_EQ(SspiDeleteSecurityContextAsync(call.get(), &with_callback), SEC_E_INVALID_HANDLE);
    SspiAsyncContext* async = SspiCreateAsyncContext();
    EXPECT_EQ(SspiDeleteSecurityContextAsync(async, &without), SEC_E_SHUTDOWN_IN_PROGRESS);
    SspiFreeAsyncContext(async);
    EXPECT_EQ(Statistics().cSecurityContexts, 0U);
    CredHandle freed = credential.Release();
    EXPECT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &freed), SEC_E_SHUTDOWN_IN_PROGRESS);
    EXPECT_EQ(Statistics().cCredentials, 0U);
    EXPECT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &freed), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_E_INVALID_PARAMETER) << "idle";
    EXPECT_EQ(call.callbacks(), 0);
  }
  EXPECT_EQ(Statistics().cAsyncContexts, async_contexts);
}

// A leg in flight while the library stops keeps what it needs.
TEST_F(RestartTest, TeardownBehindALegWhileItStops) {
  RunningLeg running;
  ScriptedCredential credential(running.script());
  CtxtHandle context = ScriptedContext(credential).Release();
  AsyncCall leg;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(leg.get(), nullptr, &context, nullptr), SEC_E_OK);
  running.WaitUntilItRuns();
  std::thread stopper([] { EXPECT_EQ(KtlsimStop(), SEC_E_OK); });
  AsyncCall probe;
  WaitUntil([&] {
    CredHandle nobody{1, 2};
    CtxtHandle made{};
    return memory.Accept(probe.get(), &nobody, nullptr, &made) == SEC_E_SHUTDOWN_IN_PROGRESS;
  });
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_EQ(SspiDeleteSecurityContextAsync(async, &context), SEC_E_SHUTDOWN_IN_PROGRESS);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(Statistics().cSecurityContexts, 1U) << "the leg uses it";
  running.LetItEnd();
  stopper.join();
  EXPECT_EQ(leg.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(Statistics().cSecurityContexts, 0U);
}

TEST_F(RestartTest, FiguresCanBeReadAfterADrainUntilTheNextStart) {
  constexpr ULONGLONG kCalls = 20;
  const auto processor_completed = [] {
    ULONGLONG completed = 0;
    KtlsimProcessorStatistics one{};
    one.cbSize = sizeof(one);
    for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
      for (const KtlsimLaneStatistics& lane : one.Lanes) completed += lane.cCompleted;
    }
    return completed;
  };
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_POOL);
  options.cbSize = sizeof(options);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  ASSERT_EQ(KtlsimStart(&options), SEC_E_OK);
  {
    ScriptedCredential credential(RepeatedScript());
    AsyncCall call;
    CtxtHandle context{};
    for (ULONGLONG i = 0; i < kCalls; ++i) {
      LegMemory memory;
      const bool first = i == 0;
      ASSERT_EQ(memory.Accept(call.get(), first ? credential.get() : nullptr,
                              first ? nullptr : &context, first ? &context : nullptr),
                SEC_E_OK);
      ASSERT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
    }
    EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  }
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  const KtlsimStatistics drained = Statistics();
  EXPECT_EQ(drained.cAccepted, kCalls + 1);
  EXPECT_EQ(drained.cCompleted, kCalls + 1);
  EXPECT_EQ(drained.cCallbacks, kCalls);
  EXPECT_EQ(drained.cInFlight, 0U);
  EXPECT_EQ(drained.cNotifyThreads, 0U);
  EXPECT_GE(drained.cNotifyThreadsPeak, 1U);
  EXPECT_EQ(processor_completed(), kCalls + 1);
  const ULONGLONG cpu = KtlsimProcessorCpuNs(nullptr);
  EXPECT_GT(cpu, 0U);
  EXPECT_EQ(KtlsimProcessorCpuNs(nullptr), cpu);
  options.cbSize = 1;
  EXPECT_EQ(KtlsimStart(&options), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(Statistics().cAccepted, kCalls + 1) << "a start that failed changes nothing";
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(Statistics().cAccepted, 0U) << "the counters begin with the start";
  EXPECT_EQ(processor_completed(), 0U);
}

// ---- Starts and stops during a stop

struct InCallback {
  explicit InCallback(std::function<void()> what) : act(std::move(what)) {}

  const std::function<void()> act;
  Event entered;
  Event may_return;

  // A call whose callback acts, and then waits until it may return.
  SECURITY_STATUS Submit(SspiAsyncContext* async, ScriptedCredential& credential, LegMemory& memory,
                         CtxtHandle* made) {
    EXPECT_EQ(SspiSetAsyncNotifyCallback(
                  async,
                  [](SspiAsyncContext*, PVOID data) {
                    auto& self = *static_cast<InCallback*>(data);
                    self.entered.Set();
                    self.may_return.Wait();
                    self.act();
                  },
                  this),
              SEC_E_OK);
    return memory.Accept(async, credential.get(), nullptr, made);
  }
};

void WaitUntilItStops() {
  WaitUntil([] {
    return KtlsimForEachProcessor([](void*, const KtlsimProcessor*) {}, nullptr) ==
           SEC_E_SHUTDOWN_IN_PROGRESS;
  });
}

TEST_F(RestartTest, AStartWhileAnotherThreadStopsIsRefusedAtOnce) {
  ScriptedCredential credential(RepeatedScript());
  SspiAsyncContext* async = SspiCreateAsyncContext();
  LegMemory memory;
  CtxtHandle made{};
  SECURITY_STATUS inside = SEC_E_OK;
  InCallback callback([&inside] { inside = KtlsimStart(nullptr); });
  ASSERT_EQ(callback.Submit(async, credential, memory, &made), SEC_E_OK);
  callback.entered.Wait();
  std::thread stopper([] { EXPECT_EQ(KtlsimStop(), SEC_E_OK); });
  WaitUntilItStops();
  // A callback could be waiting for this thread.
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_GT(std::string(KtlsimLastErrorText()).size(), 10U);
  callback.may_return.Set();
  stopper.join();
  EXPECT_EQ(inside, SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_F(RestartTest, AStartInACallbackOfARunningLibraryIsRefused) {
  ScriptedCredential credential(RepeatedScript());
  SspiAsyncContext* async = SspiCreateAsyncContext();
  LegMemory memory;
  CtxtHandle made{};
  SECURITY_STATUS inside = SEC_E_OK;
  InCallback callback([&inside] { inside = KtlsimStart(nullptr); });
  callback.may_return.Set();
  ASSERT_EQ(callback.Submit(async, credential, memory, &made), SEC_E_OK);
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_TRUE(inside == SEC_E_INVALID_PARAMETER || inside == SEC_E_SHUTDOWN_IN_PROGRESS) << inside;
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

TEST_F(RestartTest, TwoStopsAtOnceBothEndBehindTheLastCallback) {
  ScriptedCredential credential(RepeatedScript());
  SspiAsyncContext* async = SspiCreateAsyncContext();
  LegMemory memory;
  CtxtHandle made{};
  std::atomic<bool> returned{false};
  InCallback callback([&returned] { returned = true; });
  ASSERT_EQ(callback.Submit(async, credential, memory, &made), SEC_E_OK);
  callback.entered.Wait();
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 3; ++i) {
    stoppers.emplace_back([&] {
      EXPECT_EQ(KtlsimStop(), SEC_E_OK);
      EXPECT_TRUE(returned);
    });
  }
  WaitUntilItStops();
  callback.may_return.Set();
  for (std::thread& stopper : stoppers) stopper.join();
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
}

// ---- Visits

struct Visit {
  Event entered;
  Event may_return;
  SECURITY_STATUS stop = SEC_E_OK;
  SECURITY_STATUS start = SEC_E_OK;
};

TEST_F(RestartTest, AVisitKeepsTheProcessorsAndMayNotStop) {
  Visit visit;
  std::thread visitor([&] {
    EXPECT_EQ(KtlsimForEachProcessor(
                  [](void* context, const KtlsimProcessor* processor) {
                    auto& self = *static_cast<Visit*>(context);
                    if (processor->index != 0) return;
                    self.entered.Set();
                    self.may_return.Wait();
                    self.stop = KtlsimStop();
                    self.start = KtlsimStart(nullptr);
                    // The loop is still there.
                    struct Seen : WorkItem {
                      Seen()
                          : WorkItem([](WorkItem& item) { static_cast<Seen&>(item).ran.Set(); }) {}
                      Event ran;
                    } seen;
                    processor->loop->Post(seen);
                    seen.ran.Wait();
                  },
                  &visit),
              SEC_E_OK);
  });
  visit.entered.Wait();
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    stopped = true;
  });
  WaitUntilItStops();
  EXPECT_FALSE(stopped);
  visit.may_return.Set();
  visitor.join();
  stopper.join();
  EXPECT_EQ(visit.stop, SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(visit.start, SEC_E_SHUTDOWN_IN_PROGRESS);
}

}  // namespace
}  // namespace ktlsim::test
