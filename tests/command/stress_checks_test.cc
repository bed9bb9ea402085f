// Tests of the checks of `ktlsim stress`: they report what must not happen, and nothing else.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/poison.h"
#include "io/seeded_random.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/calls.h"
#include "kernel_sim/command/stress/checks.h"
#include "kernel_sim/command/stress/counters.h"
#include "kernel_sim/command/stress/held_callers.h"
#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CallLedgerTest : public testing::Test {
 protected:
  CallRecord& Open() { return ledger_.Open("a call", &CallLedgerTest::Count, this); }
  // As the library does it; the call itself is not needed.
  static void Complete(CallRecord& record) { CallLedger::Notify(nullptr, &record); }
  static void Count(void* owner, SspiAsyncContext*) {
    ++static_cast<CallLedgerTest*>(owner)->completions_;
  }

  StressEvidence evidence_;
  CallLedger ledger_{evidence_};
  int completions_ = 0;
};

TEST_F(CallLedgerTest, AcceptedAndCompletedRefusedAndNotIsRight) {
  CallRecord& behind = Open();
  ledger_.Answered(behind, SEC_E_OK);
  Complete(behind);
  CallRecord& before = Open();
  Complete(before);
  ledger_.Answered(before, SEC_E_OK);
  ledger_.Answered(Open(), SEC_E_INSUFFICIENT_MEMORY);
  Open();  // never submitted
  ledger_.CheckAll();
  EXPECT_THAT(evidence_.texts(), IsEmpty());
  EXPECT_EQ(completions_, 2);
  EXPECT_EQ(ledger_.counts().accepted, 2U);
  EXPECT_EQ(ledger_.counts().completed, 2U);
  EXPECT_EQ(ledger_.counts().refused, 1U);
}

TEST_F(CallLedgerTest, ASecondCompletionIsReportedAndGoesNoFurther) {
  CallRecord& record = Open();
  ledger_.Answered(record, SEC_E_OK);
  Complete(record);
  Complete(record);
  ledger_.CheckAll();
  EXPECT_THAT(evidence_.texts(), ElementsAre(HasSubstr("a second time")));
  EXPECT_EQ(completions_, 1);
}

TEST_F(CallLedgerTest, ACompletionOfARefusedCallIsReportedOnEitherSideOfTheAnswer) {
  CallRecord& behind = Open();
  ledger_.Answered(behind, SEC_E_INVALID_PARAMETER);
  Complete(behind);
  EXPECT_EQ(completions_, 0);
  CallRecord& before = Open();
  Complete(before);
  ledger_.Answered(before, SEC_E_INVALID_PARAMETER);
  EXPECT_THAT(evidence_.texts(),
              ElementsAre(HasSubstr("although it was refused"), HasSubstr("its callback came")));
}

TEST_F(CallLedgerTest, AMissingCompletionIsReported) {
  ledger_.Answered(Open(), SEC_E_OK);
  ledger_.CheckAll();
  EXPECT_THAT(evidence_.texts(), ElementsAre(HasSubstr("never came")));
}

TEST_F(CallLedgerTest, OnlyTheFirstTextsAreKeptAndAllAreCounted) {
  for (int i = 0; i < 100; ++i) ledger_.Answered(Open(), SEC_E_OK);
  ledger_.CheckAll();
  EXPECT_EQ(evidence_.violations(), 100U);
  EXPECT_EQ(evidence_.texts().size(), 20U);
}

// AddressSanitizer would stop the program at the writes below.
class PoisonedYardTest : public testing::Test {
 protected:
  void WriteAfterTheEnd(CallMemory* memory, std::size_t at) {
    auto* const bytes = reinterpret_cast<std::byte*>(memory);
    io::Unpoison({bytes, sizeof(*memory)});
    bytes[at] ^= std::byte{1};
  }
  StressEvidence evidence_;
  std::unique_ptr<PoisonedYard> yard_ = std::make_unique<PoisonedYard>(evidence_);
};

TEST_F(PoisonedYardTest, WhatIsUsedWhileLentIsRight) {
  for (int i = 0; i < 600; ++i) {  // long enough for the first blocks to be used again
    CallMemory* const memory = yard_->Take();
    EXPECT_EQ(memory->attributes, 0U);
    EXPECT_EQ(memory->buffers[3].pvBuffer, nullptr);
    memory->input.fill(1);
    memory->output.fill(2);
    memory->attributes = 3;
    yard_->GiveBack(memory);
  }
  yard_.reset();
  EXPECT_EQ(evidence_.violations(), 0U);
}

TEST_F(PoisonedYardTest, AWriteAfterTheEndIsReportedWhereverItGoes) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, offsetof(CallMemory, attributes),
                               offsetof(CallMemory, output), sizeof(CallMemory) - 1}) {
    CallMemory* const memory = yard_->Take();
    yard_->GiveBack(memory);
    WriteAfterTheEnd(memory, at);
  }
  yard_.reset();
  EXPECT_EQ(evidence_.violations(), 5U);
  EXPECT_THAT(evidence_.texts().front(), HasSubstr("written to after the call was over"));
}

TEST_F(PoisonedYardTest, AWriteAfterTheEndIsReportedWhenTheMemoryIsLentAgain) {
  CallMemory* const memory = yard_->Take();
  yard_->GiveBack(memory);
  WriteAfterTheEnd(memory, 100);
  for (int i = 0; i < 600; ++i) yard_->GiveBack(yard_->Take());
  EXPECT_EQ(evidence_.violations(), 1U);
}

// A client's first leg, as it is after it has ended with SEC_I_CONTINUE_NEEDED.
std::unique_ptr<CallMemory> EndedLeg() {
  auto memory = std::make_unique<CallMemory>();
  memory->context = {1, 2};
  memory->attributes = ISC_RET_STREAM;
  memory->buffers[0] = {300, SECBUFFER_TOKEN, memory->output.data()};
  memory->output[0] = 0x16;
  return memory;
}

TEST(FirstLegTest, OutputsThatAreNotThereAreReported) {
  const auto wrong = [](const CallMemory& memory) {
    return WrongFirstLeg(memory, SEC_I_CONTINUE_NEEDED, FirstLeg::kClient);
  };
  EXPECT_EQ(wrong(*EndedLeg()), "");
  auto memory = EndedLeg();
  memory->attributes = kUnwritten;
  EXPECT_THAT(wrong(*memory), HasSubstr("before its outputs"));
  memory = EndedLeg();
  memory->context = NoHandle();
  EXPECT_THAT(wrong(*memory), HasSubstr("before its outputs"));
  memory = EndedLeg();
  memory->output[0] = 0;
  EXPECT_THAT(wrong(*memory), HasSubstr("before its outputs"));
  EXPECT_THAT(WrongFirstLeg(*EndedLeg(), SEC_E_INTERNAL_ERROR, FirstLeg::kClient),
              HasSubstr("ended with SEC_E_INTERNAL_ERROR"));
  EXPECT_THAT(WrongFirstLeg(*EndedLeg(), SEC_I_CONTINUE_NEEDED, FirstLeg::kGarbage),
              HasSubstr("took garbage"));
}

TEST(FirstLegTest, OutputsOfACallThatHasNotRunAreReported) {
  EXPECT_THAT(WrongFirstLeg(*EndedLeg(), KTLSIM_E_CANCELLED, FirstLeg::kClient),
              HasSubstr("has not run"));
  auto memory = EndedLeg();
  memory->context = NoHandle();
  memory->attributes = kUnwritten;
  memory->buffers[0].cbBuffer = static_cast<ULONG>(memory->output.size());
  memory->output[0] = 0;
  EXPECT_EQ(WrongFirstLeg(*memory, KTLSIM_E_QUEUE_TIMEOUT, FirstLeg::kClient), "");
}

// The statistics of one start with seven calls, of which one was cancelled and two waited too long.
CallCounters SevenCalls() {
  constexpr CallCounters::Counts kCounts{.completed = 7, .cancelled = 1, .timed_out = 2};
  return {.accepted = 7, .total = kCounts, .lanes = kCounts, .depth = 0};
}
CallLedger::Counts Seen(std::uint64_t cancelled, std::uint64_t timed_out) {
  return {.cancelled = cancelled, .timed_out = timed_out};
}

TEST(CallCountersTest, TheStartsOfARoundAddUpToWhatWasSeen) {
  CallCounters both = SevenCalls();
  EXPECT_EQ(Disagreement(both, Seen(1, 2)), "");
  both += SevenCalls();
  EXPECT_EQ(both.accepted, 14U);
  EXPECT_EQ(Disagreement(both, Seen(2, 4)), "");
  EXPECT_THAT(Disagreement(both, Seen(1, 4)), HasSubstr("cancelled: 2, lanes 2, seen 1"));
  EXPECT_THAT(Disagreement(both, Seen(2, 2)), HasSubstr("over their limit: 4, lanes 4, seen 2"));
}

TEST(CallCountersTest, ACallThatAStopHasLostIsReported) {
  CallCounters lost = SevenCalls();
  ++lost.accepted;
  EXPECT_THAT(Disagreement(lost, Seen(1, 2)), HasSubstr("8 accepted, 7 completed"));
  CallCounters queued = SevenCalls();
  ++queued.depth;
  EXPECT_THAT(Disagreement(queued, Seen(1, 2)), HasSubstr("depth 1"));
  CallCounters uneven = SevenCalls();
  --uneven.lanes.completed;
  EXPECT_THAT(Disagreement(uneven, Seen(1, 2)), HasSubstr("lanes: 6 completed"));
}

TEST(StressRoundTest, OnlyARoundWithRestartsShutsCallsOut) {
  const FaultSet faults;
  StressTally tally;
  StressEvidence evidence;
  StressRound round(faults, tally, evidence);
  EXPECT_FALSE(round.ShutOut(SEC_E_SHUTDOWN_IN_PROGRESS)) << "nothing stops the library";
  round.restarts = true;
  EXPECT_TRUE(round.ShutOut(SEC_E_SHUTDOWN_IN_PROGRESS));
  EXPECT_FALSE(round.ShutOut(SEC_E_OK));
  EXPECT_FALSE(round.ShutOut(SEC_E_INVALID_HANDLE)) << "a stop does not end the object of a handle";
}

TEST(HeldCallersTest, AMemberIsHeldUpWhereItIsAndGoesOn) {
  HeldCallers callers;
  io::SeededRandom random(1);
  {
    const HeldCallers::Hold nobody(callers, random);
  }
  const std::uint64_t before = HeldCallers::Count();
  std::atomic<std::uint64_t> steps{0};
  std::atomic<bool> ending{false};
  std::thread member([&] {
    const HeldCallers::Member scope(callers);
    while (!ending.load()) steps.fetch_add(1);
  });
  const auto wait_for_steps = [&steps] {
    const std::uint64_t seen = steps.load();
    while (steps.load() == seen) std::this_thread::yield();
  };
  wait_for_steps();
  {
    const HeldCallers::Hold hold(callers, random);
    while (HeldCallers::Count() == before) std::this_thread::yield();
  }
  wait_for_steps();
  ending.store(true);
  member.join();
  {
    const HeldCallers::Hold nobody(callers, random);
  }
  EXPECT_EQ(HeldCallers::Count(), before + 1) << "a thread that has left is not held up";
}

TEST(FaultsTest, ListsAreNamesOrAllOrNone) {
  std::string error;
  EXPECT_EQ(ParseFaults("all", &error), AllFaults());
  EXPECT_EQ(ParseFaults("none", &error), FaultSet());
  const std::optional<FaultSet> two = ParseFaults("garbage,cancel", &error);
  ASSERT_TRUE(two.has_value());
  EXPECT_EQ(two->count(), 2U);
  EXPECT_TRUE(Has(*two, StressActivity::kGarbage));
  EXPECT_TRUE(Has(*two, StressActivity::kCancel));
  const std::optional<FaultSet> whole = ParseFaults("restart-under-load,fork", &error);
  ASSERT_TRUE(whole.has_value());
  EXPECT_TRUE(Has(*whole, StressActivity::kRestartUnderLoad));
  EXPECT_TRUE(Has(*whole, StressActivity::kFork));
  EXPECT_FALSE(Has(*whole, StressActivity::kRestart))
      << "restart is for a server in this process only";
  EXPECT_FALSE(ParseFaults("garbage,canary", &error).has_value())
      << "honest activities are no faults";
  EXPECT_THAT(error, HasSubstr("'canary'"));
  EXPECT_THAT(error, HasSubstr("slow-reader"));
}

}  // namespace
}  // namespace ktlsim::command
