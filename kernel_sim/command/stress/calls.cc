#include "kernel_sim/command/stress/calls.h"

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

constexpr unsigned kEagerLooks = 64;
constexpr std::chrono::microseconds kLookGap(200);

// Most calls end within a few polls. Polling without a pause takes away the very processor time
// that the call needs on a small machine.
template <typename Condition>
void LookUntil(Condition condition) {
  for (unsigned looks = 0; !condition(); ++looks) {
    if (looks < kEagerLooks) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kLookGap);
    }
  }
}

SECURITY_STATUS PollUntilFinal(SspiAsyncContext* async) {
  SECURITY_STATUS status = SEC_I_ASYNC_CALL_PENDING;
  LookUntil([&] {
    status = SspiGetAsyncCallStatus(async);
    return status != SEC_I_ASYNC_CALL_PENDING;
  });
  return status;
}

constexpr ULONG kClientRequest = ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS;

using LongName = std::array<WCHAR, KTLSIM_NAME_UNITS_MAX + 1>;

LongName MakeLongName() {
  LongName name;
  name.fill(u'x');
  name.back() = 0;
  return name;
}

// Everything is unwritten. Returns the credential for it.
CredHandle PrepareFirstLeg(const StressRound& round, CallMemory& m, FirstLeg leg) {
  m.context = NoHandle();
  m.attributes = kUnwritten;
  m.output[0] = 0;
  m.buffers[0] = {static_cast<ULONG>(m.output.size()), SECBUFFER_TOKEN, m.output.data()};
  m.out = {SECBUFFER_VERSION, 1, m.buffers.data()};
  if (leg != FirstLeg::kGarbage) return round.pairs[kBoth].client.handle();
  std::memset(m.input.data(), 'g', 64);
  m.buffers[1] = {64, SECBUFFER_TOKEN, m.input.data()};
  m.buffers[2] = {0, SECBUFFER_EMPTY, nullptr};
  m.in = {SECBUFFER_VERSION, 2, &m.buffers[1]};
  return round.pairs[kBoth].server.handle();
}

void FreeInCallback(void* round, SspiAsyncContext* async) {
  SspiFreeAsyncContext(async);
  static_cast<StressRound*>(round)->live.fetch_sub(1, std::memory_order_release);
}

// A call of `submit(async)` whose callback frees the async context; it may not be refused.
template <typename Submit>
void CallAndFree(StressRound& round, const char* what, ULONG notify_mode, Submit submit) {
  CallRecord& record = round.ledger.Open(what, &FreeInCallback, &round);
  round.live.fetch_add(1, std::memory_order_relaxed);
  SspiAsyncContext* const async = CreateFor(record, notify_mode);
  const SECURITY_STATUS status = submit(async);
  // A holder keeps the round: a conversation, a worker, or the thread that ends it.
  round.ledger.Answered(record, status);
  if (status == SEC_E_OK) return;
  // A teardown has freed its object, whatever the library was doing.
  if (!round.ShutOut(status)) {
    round.evidence.Add(fmt::format("{}: refused with {}", what, transport::StatusName(status)));
  }
  FreeInCallback(&round, async);
}

}  // namespace

ULONG NotifyModeFor(const StressRound& round, io::SeededRandom& random) {
  // Drawn in any case, so that a seed makes all other choices in the same way.
  const ULONG drawn =
      random.Chance(500) ? ULONG{KTLSIM_NOTIFY_POOL} : ULONG{KTLSIM_NOTIFY_ON_PROCESSOR};
  return round.notify_mode.value_or(drawn);
}

CtxtHandle NoHandle() {
  CtxtHandle handle;
  SecInvalidateHandle(&handle);
  return handle;
}

bool EndedInQueue(SECURITY_STATUS status) {
  return status == KTLSIM_E_CANCELLED || status == KTLSIM_E_QUEUE_TIMEOUT;
}

ULONG RandomWaitLimit(const StressRound& round, io::SeededRandom& random) {
  if (!Has(round.faults, StressActivity::kQueueLimit) || !random.Chance(100)) return 0;
  return random.Chance(200) ? ULONG{KTLSIM_NO_WAIT_LIMIT}
                            : static_cast<ULONG>(random.Between(1, 3));
}

SspiAsyncContext* CreateFor(CallRecord& record, ULONG notify_mode) {
  SspiAsyncContext* const async = SspiCreateAsyncContext();
  static_cast<void>(KtlsimSetNotifyMode(async, notify_mode));
  static_cast<void>(SspiSetAsyncNotifyCallback(async, &CallLedger::Notify, &record));
  return async;
}

FirstLeg RandomFirstLeg(io::SeededRandom& random) {
  return random.Chance(250) ? FirstLeg::kGarbage : FirstLeg::kClient;
}

SECURITY_STATUS SubmitFirstLeg(StressRound& round, SspiAsyncContext* async, CallMemory& m,
                               FirstLeg leg) {
  CredHandle credential = PrepareFirstLeg(round, m, leg);
  switch (leg) {
    case FirstLeg::kClient: {
      std::string target = kStressServerName;
      return SspiInitializeSecurityContextAsyncA(async, &credential, nullptr, target.data(),
                                                 kClientRequest, 0, SECURITY_NATIVE_DREP, nullptr,
                                                 0, &m.context, &m.out, &m.attributes, &m.expiry);
    }
    case FirstLeg::kLongName: {
      LongName target = MakeLongName();
      return SspiInitializeSecurityContextAsyncW(async, &credential, nullptr, target.data(),
                                                 kClientRequest, 0, SECURITY_NATIVE_DREP, nullptr,
                                                 0, &m.context, &m.out, &m.attributes, &m.expiry);
    }
    case FirstLeg::kGarbage:
      break;
  }
  return SspiAcceptSecurityContextAsync(async, &credential, nullptr, &m.in, ASC_REQ_STREAM, 0,
                                        &m.context, &m.out, &m.attributes, &m.expiry);
}

SECURITY_STATUS RunFirstLeg(StressRound& round, CallMemory& m, FirstLeg leg) {
  CredHandle credential = PrepareFirstLeg(round, m, leg);
  switch (leg) {
    case FirstLeg::kClient: {
      std::string target = kStressServerName;
      return InitializeSecurityContextA(&credential, nullptr, target.data(), kClientRequest, 0,
                                        SECURITY_NATIVE_DREP, nullptr, 0, &m.context, &m.out,
                                        &m.attributes, &m.expiry);
    }
    case FirstLeg::kLongName: {
      LongName target = MakeLongName();
      return InitializeSecurityContextW(&credential, nullptr, target.data(), kClientRequest, 0,
                                        SECURITY_NATIVE_DREP, nullptr, 0, &m.context, &m.out,
                                        &m.attributes, &m.expiry);
    }
    case FirstLeg::kGarbage:
      break;
  }
  return AcceptSecurityContext(&credential, nullptr, &m.in, ASC_REQ_STREAM, 0, &m.context, &m.out,
                               &m.attributes, &m.expiry);
}

std::string WrongFirstLeg(const CallMemory& m, SECURITY_STATUS status, FirstLeg leg) {
  constexpr unsigned char kHandshakeRecord = 0x16;
  const bool token = m.buffers[0].cbBuffer != m.output.size();
  if (EndedInQueue(status)) {
    const bool untouched =
        m.attributes == kUnwritten && !SecIsValidHandle(&m.context) && !token && m.output[0] == 0;
    return untouched ? "" : "has not run and has written something";
  }
  if (leg == FirstLeg::kGarbage) {
    return status < 0 ? "" : fmt::format("took garbage: {}", transport::StatusName(status));
  }
  if (leg == FirstLeg::kLongName) {
    return status < 0 ? "" : fmt::format("took no host name: {}", transport::StatusName(status));
  }
  if (status != SEC_I_CONTINUE_NEEDED) {
    return fmt::format("ended with {}", transport::StatusName(status));
  }
  const bool whole = m.attributes != kUnwritten && SecIsValidHandle(&m.context) && token &&
                     m.output[0] == kHandshakeRecord;
  return whole ? "" : "was final before its outputs were";
}

HeldLeg::HeldLeg(StressRound& round, const char* what, io::SeededRandom& random)
    : HeldLeg(round, what, RandomFirstLeg(random), NotifyModeFor(round, random),
              RandomWaitLimit(round, random)) {}

HeldLeg::HeldLeg(StressRound& round, const char* what, FirstLeg leg, ULONG notify_mode,
                 ULONG wait_limit_ms)
    : round_(round), what_(what), leg_(leg), memory_(round.yard.Take()) {
  CallRecord& record = round.ledger.Open(what, &HeldLeg::OnCompleted, this);
  async_ = CreateFor(record, notify_mode);
  static_cast<void>(KtlsimSetQueueWaitLimit(async_, wait_limit_ms));
  submitted_ = SubmitFirstLeg(round, async_, *memory_, leg);
  round.ledger.Answered(record, submitted_);
  if (submitted_ != SEC_E_OK && submitted_ != SEC_E_INSUFFICIENT_MEMORY &&
      !round.ShutOut(submitted_)) {
    Broken(fmt::format("was refused with {}", transport::StatusName(submitted_)));
  }
}

HeldLeg::~HeldLeg() {
  if (accepted() && !waited_) static_cast<void>(Wait());
  SspiFreeAsyncContext(async_);
  const CtxtHandle context = memory_->context;
  round_.yard.GiveBack(memory_);
  if (SecIsValidHandle(&context)) DeleteAndPoll(round_, context);
}

SECURITY_STATUS HeldLeg::Wait() {
  waited_ = true;
  const SECURITY_STATUS status = PollUntilFinal(async_);
  const std::string wrong = WrongFirstLeg(*memory_, status, leg_);
  if (!wrong.empty()) Broken(wrong);
  LookUntil([this] { return called_.load(std::memory_order_acquire); });
  if (SspiGetAsyncCallStatus(async_) != status) Broken("changed its final status");
  return status;
}

void HeldLeg::OnCompleted(void* owner, SspiAsyncContext* /*async*/) {
  // The last thing that is touched: its owner goes on.
  static_cast<HeldLeg*>(owner)->called_.store(true, std::memory_order_release);
}

void HeldLeg::Broken(const std::string& how) {
  round_.evidence.Add(fmt::format("{}: a first leg {}", what_, how));
}

bool BehindSubmission::Accepted(SECURITY_STATUS submitted) const {
  round.ledger.Answered(record, submitted);
  if (submitted == SEC_E_OK && cancels) {
    // The context may be free by now, or idle, or in flight with the call after this one.
    const SECURITY_STATUS status = round.ledger.Cancel(async);
    if (status != SEC_E_OK && status != KTLSIM_E_TOO_LATE && status != SEC_E_INVALID_HANDLE &&
        status != SEC_E_INVALID_PARAMETER) {
      round.evidence.Add(fmt::format("cancelling returned {}", transport::StatusName(status)));
    }
  }
  if (deletes) {
    DeleteAndForget(round, context);
    round.tally.Add(StressActivity::kEarlyDelete, StressOutcome::kRight);
    round.live.fetch_sub(1, std::memory_order_release);
  }
  return submitted == SEC_E_OK;
}

void DeleteAndForget(StressRound& round, CtxtHandle context) {
  SspiAsyncContext* const async = SspiCreateAsyncContext();
  const SECURITY_STATUS status = SspiDeleteSecurityContextAsync(async, &context);
  SspiFreeAsyncContext(async);
  if (status != SEC_E_OK && !round.ShutOut(status)) {
    round.evidence.Add(fmt::format("a delete without callback was refused with {}",
                                   transport::StatusName(status)));
  }
}

// Without a callback a final status is permission to free.
void DeleteAndPoll(StressRound& round, CtxtHandle context) {
  SspiAsyncContext* const async = SspiCreateAsyncContext();
  const SECURITY_STATUS submitted = SspiDeleteSecurityContextAsync(async, &context);
  const SECURITY_STATUS status = submitted == SEC_E_OK ? PollUntilFinal(async) : submitted;
  if (status != SEC_E_OK && !round.ShutOut(status)) {
    round.evidence.Add(fmt::format("a polled delete ended with {}", transport::StatusName(status)));
  }
  SspiFreeAsyncContext(async);
}

void DeleteWithCallback(StressRound& round, CtxtHandle context, ULONG notify_mode) {
  CallAndFree(round, "delete", notify_mode, [&](SspiAsyncContext* async) {
    return SspiDeleteSecurityContextAsync(async, &context);
  });
}

void FreeCredentialWithCallback(StressRound& round, CredHandle credential, ULONG notify_mode) {
  CallAndFree(round, "free credential", notify_mode, [&](SspiAsyncContext* async) {
    return SspiFreeCredentialsHandleAsync(async, &credential);
  });
}

}  // namespace ktlsim::command
