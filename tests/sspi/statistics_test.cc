// What KtlsimQueryStatistics and KtlsimQueryProcessorStatistics report: depths, refusals, outcomes
// and times, per lane and processor, while calls are in flight and afterwards.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

KtlsimProcessorStatistics OfProcessor(ULONG index) {
  KtlsimProcessorStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  EXPECT_EQ(KtlsimQueryProcessorStatistics(index, &statistics), SEC_E_OK);
  return statistics;
}

ULONGLONG Calls(const KtlsimHistogram& histogram, unsigned from = 0) {
  return std::accumulate(histogram.cCalls + from, histogram.cCalls + KTLSIM_HISTOGRAM_BUCKETS,
                         ULONGLONG{0});
}

KtlsimOptions OneShallowProcessor() {
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.cProcessors = 1;
  options.QueueDepth = 8;
  options.fFlags = KTLSIM_TIME_EVERY_CALL;
  options.pszProcessorRoles = "server";
  return options;
}

class StatisticsTest : public testing::Test {
 protected:
  RuntimeWith runtime_{OneShallowProcessor()};
};

TEST_F(StatisticsTest, QueriesNeedTheirSizeAndAnExistingProcessor) {
  KtlsimProcessorStatistics statistics{};
  EXPECT_EQ(KtlsimQueryProcessorStatistics(0, nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimQueryProcessorStatistics(0, &statistics), SEC_E_INVALID_PARAMETER);
  statistics.cbSize = sizeof(statistics);
  EXPECT_EQ(KtlsimQueryProcessorStatistics(1, &statistics), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimQueryProcessorStatistics(0, &statistics), SEC_E_OK);
  EXPECT_STREQ(statistics.szRole, "server");
}

TEST_F(StatisticsTest, DepthSuspensionsAndRefusalsAreThoseOfTheMoment) {
  constexpr ULONGLONG kDepth = 8;
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  ScriptedCredential other(RepeatedScript());
  ScriptedContext bystander(other);
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimStatistics before = Statistics();
  const KtlsimProcessorStatistics first = OfProcessor(0);
  std::vector<std::unique_ptr<AsyncCall>> calls;
  std::vector<LegMemory> memory(kDepth);
  for (LegMemory& leg : memory) {
    calls.push_back(std::make_unique<AsyncCall>());
    ASSERT_EQ(leg.Accept(calls.back()->get(), nullptr, context.get(), nullptr), SEC_E_OK);
  }
  held.WaitUntilHeld();
  WaitUntil([] { return Statistics().cSuspended == 1; });
  AsyncCall refused;
  LegMemory refused_memory;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(refused_memory.Accept(refused.get(), nullptr, bystander.get(), nullptr),
              SEC_E_INSUFFICIENT_MEMORY);
  }
  const KtlsimProcessorStatistics full = OfProcessor(0);
  EXPECT_EQ(full.Lanes[KTLSIM_LANE_HANDSHAKE].cDepth, kDepth);
  EXPECT_EQ(full.Lanes[KTLSIM_LANE_RECORD].cDepth, 0U);
  EXPECT_EQ(
      full.Lanes[KTLSIM_LANE_HANDSHAKE].cRefused - first.Lanes[KTLSIM_LANE_HANDSHAKE].cRefused, 5U);
  EXPECT_EQ(full.cSuspended, 1U);
  EXPECT_EQ(Statistics().cInFlight, kDepth);
  EXPECT_EQ(Statistics().cRefused - before.cRefused, 5U);
  held.Resume();
  for (auto& call : calls) call->Wait();
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimProcessorStatistics empty = OfProcessor(0);
  EXPECT_EQ(empty.Lanes[KTLSIM_LANE_HANDSHAKE].cDepth, 0U);
  EXPECT_EQ(
      empty.Lanes[KTLSIM_LANE_HANDSHAKE].cCompleted - first.Lanes[KTLSIM_LANE_HANDSHAKE].cCompleted,
      kDepth);
  EXPECT_EQ(empty.cSuspended, 0U);
  EXPECT_EQ(Statistics().cCompleted - before.cCompleted, kDepth);
}

TEST_F(StatisticsTest, RecordsAndTeardownAreCountedInTheirLane) {
  ScriptedCredential credential(RepeatedScript(SEC_E_OK));
  ScriptedContext context(credential, SEC_E_OK);
  const KtlsimProcessorStatistics before = OfProcessor(0);
  AsyncCall call;
  char text[4] = "abc";
  SecBuffer data = {3, SECBUFFER_DATA, text};
  SecBufferDesc message = {SECBUFFER_VERSION, 1, &data};
  ASSERT_EQ(SspiEncryptMessageAsync(call.get(), context.get(), 0, &message, 0), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  ASSERT_EQ(SspiDecryptMessageAsync(call.get(), context.get(), &message, 0, nullptr), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  EXPECT_STREQ(text, "abc");
  CtxtHandle handle = context.Release();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &handle), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  const KtlsimProcessorStatistics after = OfProcessor(0);
  EXPECT_EQ(
      after.Lanes[KTLSIM_LANE_RECORD].cCompleted - before.Lanes[KTLSIM_LANE_RECORD].cCompleted, 3U);
  EXPECT_EQ(after.Lanes[KTLSIM_LANE_HANDSHAKE].cCompleted,
            before.Lanes[KTLSIM_LANE_HANDSHAKE].cCompleted);
}

// Goal: each time is attributed to the right call and phase. Method: the first call takes more than
// a millisecond to run, the second waits for it.
TEST_F(StatisticsTest, TheThreeHistogramsTellWhoTookTheTime) {
  constexpr unsigned kMillisecond = 19;  // 2^19 ns: above half a millisecond
  sspi::Script script = RepeatedScript();
  script.legs.resize(3);
  script.legs[2] = script.legs[1] = script.legs[0];
  Event submitted;
  script.legs[1].on_run = [&submitted] {
    submitted.Wait();
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
    while (std::chrono::steady_clock::now() < until) {
    }
  };
  ScriptedCredential credential(script);
  ScriptedContext context(credential);
  const KtlsimLaneStatistics before = OfProcessor(0).Lanes[KTLSIM_LANE_HANDSHAKE];
  AsyncCall slow;
  AsyncCall behind;
  LegMemory memory;
  LegMemory behind_memory;
  ASSERT_EQ(memory.Accept(slow.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  ASSERT_EQ(behind_memory.Accept(behind.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  submitted.Set();
  EXPECT_EQ(slow.Wait(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(behind.Wait(), SEC_I_CONTINUE_NEEDED);
  const KtlsimLaneStatistics after = OfProcessor(0).Lanes[KTLSIM_LANE_HANDSHAKE];
  EXPECT_EQ(Calls(after.Queued) - Calls(before.Queued), 2U);
  EXPECT_EQ(Calls(after.Served) - Calls(before.Served), 2U);
  EXPECT_EQ(Calls(after.Notified) - Calls(before.Notified), 2U);
  EXPECT_GE(Calls(after.Served, kMillisecond) - Calls(before.Served, kMillisecond), 1U);
  EXPECT_GE(Calls(after.Queued, kMillisecond) - Calls(before.Queued, kMillisecond), 1U);
  // The sums are exact, not made of the classes.
  EXPECT_GE(after.Served.ullTotalNs - before.Served.ullTotalNs, kNsPerMs);
  EXPECT_GE(after.Queued.ullTotalNs - before.Queued.ullTotalNs, kNsPerMs);
}

TEST_F(StatisticsTest, ARingAndItsTimeAreCountedAndOutliveIt) {
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext context(credential);
  const KtlsimProcessorStatistics before = OfProcessor(0);
  AsyncCall call;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(call.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call.Wait(), SEC_I_CONTINUE_NEEDED);
  const KtlsimProcessorStatistics after = OfProcessor(0);
  EXPECT_GT(after.Ring.cTurns, before.Ring.cTurns);
  EXPECT_GT(after.Ring.cPosted, before.Ring.cPosted) << "the call came from another thread";
  EXPECT_GT(after.Ring.cEnters, 0U);
  EXPECT_GT(after.Ring.cSubmitted, 0U);
  EXPECT_GT(after.ullCpuNs, 0U);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  const KtlsimProcessorStatistics ended = OfProcessor(0);
  EXPECT_GE(ended.Ring.cTurns, after.Ring.cTurns);
  EXPECT_GE(ended.Ring.cCompleted, after.Ring.cCompleted);
  EXPECT_GE(ended.ullCpuNs, after.ullCpuNs);
}

}  // namespace
}  // namespace ktlsim::test
