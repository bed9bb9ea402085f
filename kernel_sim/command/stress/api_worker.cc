#include "kernel_sim/command/stress/api_worker.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "io/seeded_random.h"
#include "kernel_sim/command/stress/calls.h"
#include "kernel_sim/command/stress/conversation.h"
#include "kernel_sim/command/stress/misuse.h"
#include "kernel_sim/command/stress/sync_calls.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

using io::SeededRandom;

constexpr std::uint64_t kLiveMax = 192;
constexpr std::uint64_t kLiveMaxFullQueues = 4096;
constexpr unsigned kLastCalls = 48;
constexpr std::uint64_t kPatientPermille = 900;
constexpr std::chrono::microseconds kPatience(200);
constexpr std::uint64_t kQueuedLegsMax = 24;

// ---- Bursts: many first legs at once, each freed in its callback

struct BurstCall {
  StressRound& round;
  CallMemory* memory;
  const FirstLeg leg;

  static void OnCompleted(void* owner, SspiAsyncContext* async) {
    const std::unique_ptr<BurstCall> self(static_cast<BurstCall*>(owner));
    StressRound& round = self->round;
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
    SspiFreeAsyncContext(async);
    const std::string wrong = WrongFirstLeg(*self->memory, status, self->leg);
    if (!wrong.empty()) round.evidence.Add("burst: a first leg " + wrong);
    const CtxtHandle context = self->memory->context;
    round.yard.GiveBack(self->memory);
    if (SecIsValidHandle(&context)) DeleteAndForget(round, context);
    round.tally.Add(StressActivity::kBurst,
                    EndedInQueue(status) ? StressOutcome::kCut : StressOutcome::kRight);
    round.live.fetch_sub(1, std::memory_order_release);
  }
};

void SubmitBurstCall(StressRound& round, SeededRandom& random, FirstLeg leg,
                     StressActivity counted) {
  auto call = std::make_unique<BurstCall>(round, round.yard.Take(), leg);
  CallMemory* const memory = call->memory;
  CallRecord& record = round.ledger.Open("burst leg", &BurstCall::OnCompleted, call.get());
  SspiAsyncContext* const async = CreateFor(record, NotifyModeFor(round, random));
  round.live.fetch_add(1, std::memory_order_relaxed);
  // The callback's, should it be accepted.
  BurstCall* const owned = call.release();
  const SECURITY_STATUS status = SubmitFirstLeg(round, async, *memory, leg);
  round.ledger.Answered(record, status);
  if (status == SEC_E_OK) return;
  // Refused: everything may be freed at once.
  call.reset(owned);
  SspiFreeAsyncContext(async);
  round.yard.GiveBack(memory);
  if (status != SEC_E_INSUFFICIENT_MEMORY && !round.ShutOut(status)) {
    round.evidence.Add(fmt::format("burst: refused with {}", transport::StatusName(status)));
  }
  round.tally.Add(counted, StressOutcome::kRefused);
  round.live.fetch_sub(1, std::memory_order_release);
}

void SubmitBurst(StressRound& round, SeededRandom& random, std::uint64_t calls_max,
                 StressActivity counted) {
  for (std::uint64_t i = random.Between(1, calls_max); i > 0; --i) {
    SubmitBurstCall(round, random, RandomFirstLeg(random), counted);
  }
}

// ---- Calls that their owner waits for

void RunPolledCall(StressRound& round, SeededRandom& random) {
  HeldLeg leg(round, "polled leg", random);
  if (leg.accepted()) static_cast<void>(leg.Wait());
  round.tally.Add(StressActivity::kPolledCall,
                  leg.accepted() ? StressOutcome::kRight : StressOutcome::kRefused);
}

// Some legs at once, so that there is a queue, each with a short limit on waiting in it.
void RunQueueLimit(StressRound& round, SeededRandom& random) {
  std::deque<HeldLeg> legs;
  for (std::uint64_t i = random.Between(2, kQueuedLegsMax); i > 0; --i) {
    legs.emplace_back(round, "limited leg", FirstLeg::kClient, NotifyModeFor(round, random),
                      static_cast<ULONG>(random.Between(1, 20)));
  }
  for (HeldLeg& leg : legs) {
    const bool expired = leg.accepted() && leg.Wait() == KTLSIM_E_QUEUE_TIMEOUT;
    round.tally.Add(StressActivity::kQueueLimit, !leg.accepted() ? StressOutcome::kRefused
                                                 : expired       ? StressOutcome::kCut
                                                                 : StressOutcome::kRight);
  }
}

// The same, and some of them are no longer wanted. One is cancelled again: that is too late.
void RunCancel(StressRound& round, SeededRandom& random) {
  std::deque<HeldLeg> legs;
  for (std::uint64_t i = random.Between(2, kQueuedLegsMax); i > 0; --i) {
    legs.emplace_back(round, "cancelled leg", random);
  }
  for (HeldLeg& leg : legs) {
    if (!leg.accepted() || random.Chance(400)) continue;
    const bool granted = leg.Cancel() == SEC_E_OK;
    if (leg.Cancel() != KTLSIM_E_TOO_LATE) round.evidence.Add("cancel: granted a second time");
    if ((leg.Wait() == KTLSIM_E_CANCELLED) != granted) {
      round.evidence.Add("cancel: the call's outcome is not what cancelling returned");
    }
    round.tally.Add(StressActivity::kCancel, granted ? StressOutcome::kCut : StressOutcome::kRight);
  }
}

// ---- Credentials: acquired, and freed from the callback with the same async context

struct CredentialChain {
  StressRound& round;
  CallMemory* memory;

  void End(SspiAsyncContext* async, StressOutcome outcome) {
    SspiFreeAsyncContext(async);
    round.yard.GiveBack(memory);
    round.tally.Add(StressActivity::kCredentialChain, outcome);
    StressRound& shared = round;
    delete this;
    shared.live.fetch_sub(1, std::memory_order_release);
  }

  static void OnAcquired(void* owner, SspiAsyncContext* async) {
    auto* const self = static_cast<CredentialChain*>(owner);
    StressRound& round = self->round;
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
    const bool acquired = SecIsValidHandle(&self->memory->credential);
    if (EndedInQueue(status) && !acquired) return self->End(async, StressOutcome::kCut);
    if (status != SEC_E_OK || !acquired) {
      round.evidence.Add(
          fmt::format("credential chain: acquiring ended with {}", transport::StatusName(status)));
      return self->End(async, StressOutcome::kCut);
    }
    CallRecord& record = round.ledger.Open("chained free credential", &OnFreed, owner);
    if (SspiReinitAsyncContext(async) != STATUS_SUCCESS ||
        SspiSetAsyncNotifyCallback(async, &CallLedger::Notify, &record) != SEC_E_OK) {
      round.evidence.Add("credential chain: a done async context cannot be used again");
    }
    CredHandle credential = self->memory->credential;
    const SECURITY_STATUS submitted = SspiFreeCredentialsHandleAsync(async, &credential);
    round.ledger.Answered(record, submitted);
    if (submitted == SEC_E_OK) return;
    if (!round.ShutOut(submitted)) round.evidence.Add("credential chain: freeing was refused");
    self->End(async, StressOutcome::kCut);
  }

  static void OnFreed(void* owner, SspiAsyncContext* async) {
    auto* const self = static_cast<CredentialChain*>(owner);
    if (SspiGetAsyncCallStatus(async) != SEC_E_OK) {
      self->round.evidence.Add("credential chain: freeing failed");
    }
    self->End(async, StressOutcome::kRight);
  }
};

void BeginCredentialChain(StressRound& round, SeededRandom& random) {
  auto chain = std::make_unique<CredentialChain>(round, round.yard.Take());
  CallRecord& record =
      round.ledger.Open("acquire credential", &CredentialChain::OnAcquired, chain.get());
  SspiAsyncContext* const async = CreateFor(record, NotifyModeFor(round, random));
  round.live.fetch_add(1, std::memory_order_relaxed);
  char package[] = UNISP_NAME_A;
  CredentialChain* const owned = chain.release();
  SecInvalidateHandle(&owned->memory->credential);
  const SECURITY_STATUS status = SspiAcquireCredentialsHandleAsyncA(
      async, nullptr, package, SECPKG_CRED_OUTBOUND, nullptr, &round.client_auth, nullptr, nullptr,
      &owned->memory->credential, &owned->memory->expiry);
  round.ledger.Answered(record, status);
  if (status == SEC_E_OK) return;
  if (status != SEC_E_INSUFFICIENT_MEMORY && !round.ShutOut(status)) {
    round.evidence.Add("credential chain: acquiring was refused");
  }
  owned->End(async, StressOutcome::kRefused);
}

// ---- All of them

void Converse(StressRound& round, SeededRandom& random) {
  BeginStressConversation(round, random.Next());
}

void SmallBurst(StressRound& round, SeededRandom& random) {
  SubmitBurst(round, random, 16, StressActivity::kBurst);
}

void LargeBurst(StressRound& round, SeededRandom& random) {
  SubmitBurst(round, random, 64, StressActivity::kFullQueue);
}

// The threads that submit them are on their way in most of the time.
void LongNames(StressRound& round, SeededRandom& random) {
  for (std::uint64_t i = random.Between(1, 16); i > 0; --i) {
    SubmitBurstCall(round, random, FirstLeg::kLongName, StressActivity::kBurst);
  }
}

struct Habit {
  StressActivity activity;
  void (*act)(StressRound& round, SeededRandom& random);
  std::array<std::uint64_t, kApiMixes> weights;  // by ApiMix; full queues: mostly bursts
};
constexpr std::array kHabits = {
    Habit{StressActivity::kConversation, &Converse, {35, 15, 15}},
    Habit{StressActivity::kPolledCall, &RunPolledCall, {15, 15, 10}},
    Habit{StressActivity::kCredentialChain, &BeginCredentialChain, {10, 10, 10}},
    Habit{StressActivity::kBurst, &SmallBurst, {20, 0, 10}},
    Habit{StressActivity::kBurst, &LongNames, {0, 0, 30}},
    Habit{StressActivity::kPolledCall, &RunSyncCalls, {0, 0, 10}},
    Habit{StressActivity::kStatistics, &RunQuestions, {0, 0, 10}},
    Habit{StressActivity::kFullQueue, &LargeBurst, {0, 40, 0}},
    Habit{StressActivity::kMisuse, &RunMisuse, {10, 10, 10}},
    Habit{StressActivity::kCancel, &RunCancel, {5, 5, 5}},
    Habit{StressActivity::kQueueLimit, &RunQueueLimit, {5, 5, 5}},
};

}  // namespace

void RunApiWorker(StressRound& round, std::uint64_t seed, ApiMix mix) {
  SeededRandom random(seed);
  const std::uint64_t live_max = mix == ApiMix::kFullQueues ? kLiveMaxFullQueues : kLiveMax;
  const HeldCallers::Member member(round.callers);
  std::vector<const Habit*> choices;  // each as often as its weight says
  for (const Habit& habit : kHabits) {
    if (IsFault(habit.activity) && !Has(round.faults, habit.activity)) continue;
    choices.insert(choices.end(), habit.weights[static_cast<std::size_t>(mix)], &habit);
  }
  // First each of them once, however short the round is.
  const Habit* last = nullptr;
  for (const Habit* each : choices) {
    if (each != last) each->act(round, random);
    last = each;
  }
  while (!round.ending.load(std::memory_order_relaxed)) {
    if (round.live.load(std::memory_order_relaxed) > live_max) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    // Some come while it is stopped. If all did, a small machine would refuse calls all the time.
    if (round.stopped.load(std::memory_order_relaxed) && random.Chance(kPatientPermille)) {
      std::this_thread::sleep_for(kPatience);
      continue;
    }
    choices[random.Below(choices.size())]->act(round, random);
  }
}

LastCalls::LastCalls(StressRound& round) : round_(round) {
  for (unsigned i = 0; i < kLastCalls; ++i) {
    CallMemory* const memory = round.yard.Take();
    memory->buffers[0] = {static_cast<ULONG>(memory->output.size()), SECBUFFER_TOKEN,
                          memory->output.data()};
    memory->out = {SECBUFFER_VERSION, 1, memory->buffers.data()};
    SecInvalidateHandle(&memory->context);
    CredHandle credential = round.pairs[kBoth].client.handle();
    char target[] = "localhost";
    static_cast<void>(InitializeSecurityContextA(
        &credential, nullptr, target, ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS, 0,
        SECURITY_NATIVE_DREP, nullptr, 0, &memory->context, &memory->out, &memory->attributes,
        &memory->expiry));
    if (SecIsValidHandle(&memory->context)) contexts_.push_back(memory->context);
    round.yard.GiveBack(memory);
  }
  for (CredentialPair& pair : round.pairs) {
    credentials_.push_back(pair.client.Release());
    credentials_.push_back(pair.server.Release());
  }
}

void LastCalls::Submit() {
  ULONG mode = KTLSIM_NOTIFY_POOL;
  for (const CtxtHandle& context : contexts_) {
    DeleteWithCallback(round_, context, mode);
    mode = mode == KTLSIM_NOTIFY_POOL ? KTLSIM_NOTIFY_ON_PROCESSOR : KTLSIM_NOTIFY_POOL;
  }
  for (const CredHandle& credential : credentials_) {
    FreeCredentialWithCallback(round_, credential, mode);
  }
  round_.tally.Add(StressActivity::kStopInFlight, StressOutcome::kRight,
                   contexts_.size() + credentials_.size());
}

}  // namespace ktlsim::command
