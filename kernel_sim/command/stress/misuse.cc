#include "kernel_sim/command/stress/misuse.h"

#include <array>
#include <string>

#include <fmt/format.h>

#include "kernel_sim/command/stress/calls.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

class Misuse {
 public:
  Misuse(StressRound& round, io::SeededRandom& random) : round_(round), random_(random) {}

  void Run() {
    using Mistake = void (*)(Misuse&);
    static constexpr std::array<Mistake, 5> kMistakes = {
        [](Misuse& self) { self.NullOrStale(); }, [](Misuse& self) { self.WithoutCallback(); },
        [](Misuse& self) { self.SecondSubmission(); }, [](Misuse& self) { self.NeverSubmitted(); },
        [](Misuse& self) { self.DeadHandles(); }};
    kMistakes[random_.Below(kMistakes.size())](*this);
  }

 private:
  void Expect(const char* what, SECURITY_STATUS answer, SECURITY_STATUS documented) {
    if (answer == documented || round_.ShutOut(answer)) {
      return round_.tally.Add(StressActivity::kMisuse, StressOutcome::kRefused);
    }
    round_.evidence.Add(fmt::format("misuse: {} returned {}", what, transport::StatusName(answer)));
  }

  static void NeverCalled(void* /*owner*/, SspiAsyncContext* /*async*/) {}

  // The ledger knows that it may not complete.
  SECURITY_STATUS RefusedLeg(const char* what, SspiAsyncContext* async, bool with_callback) {
    CallMemory* const memory = round_.yard.Take();
    CallRecord& record = round_.ledger.Open(what, &NeverCalled, nullptr);
    if (with_callback) {
      static_cast<void>(SspiSetAsyncNotifyCallback(async, &CallLedger::Notify, &record));
    }
    const SECURITY_STATUS status = SubmitFirstLeg(round_, async, *memory, FirstLeg::kClient);
    round_.ledger.Answered(record, status);
    round_.yard.GiveBack(memory);
    return status;
  }

  void NullOrStale() {
    Expect("a leg without async context", RefusedLeg("null", nullptr, true), SEC_E_INVALID_HANDLE);
    SspiAsyncContext* const async = SspiCreateAsyncContext();
    SspiFreeAsyncContext(async);
    Expect("a leg on a freed async context", RefusedLeg("stale", async, true),
           SEC_E_INVALID_HANDLE);
    Expect("reinit of a freed async context", SspiReinitAsyncContext(async), STATUS_INVALID_HANDLE);
    Expect("cancelling a freed async context", round_.ledger.Cancel(async), SEC_E_INVALID_HANDLE);
    SspiFreeAsyncContext(async);
    SspiFreeAsyncContext(nullptr);
  }

  void WithoutCallback() {
    SspiAsyncContext* const async = SspiCreateAsyncContext();
    Expect("a leg without callback", RefusedLeg("silent", async, false), SEC_E_INVALID_PARAMETER);
    Expect("an unknown notify mode", KtlsimSetNotifyMode(async, 77), SEC_E_INVALID_PARAMETER);
    SspiFreeAsyncContext(async);
  }

  // In flight or done, without reinit it is refused, and the first call is not affected.
  void SecondSubmission() {
    HeldLeg first(round_, "first of two", random_);
    if (!first.accepted()) return;
    Expect("a second leg without reinit", RefusedLeg("second", first.async(), false),
           SEC_E_INVALID_PARAMETER);
    static_cast<void>(first.Wait());
    Expect("cancelling what has ended", first.Cancel(), KTLSIM_E_TOO_LATE);
  }

  void NeverSubmitted() {
    SspiAsyncContext* const async = SspiCreateAsyncContext();
    Expect("the status of nothing", SspiGetAsyncCallStatus(async), SEC_E_INVALID_PARAMETER);
    Expect("cancelling nothing", round_.ledger.Cancel(async), SEC_E_INVALID_PARAMETER);
    SspiFreeAsyncContext(async);
  }

  void DeadHandles() {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    CtxtHandle context = NoHandle();
    Expect("deleting an invalid context", SspiDeleteSecurityContextAsync(async, &context),
           SEC_E_INVALID_HANDLE);
    SspiFreeAsyncContext(async);
    CallRecord& record = round_.ledger.Open("dead credential", &NeverCalled, nullptr);
    async = CreateFor(record, KTLSIM_NOTIFY_POOL);
    CredHandle credential = NoHandle();
    const SECURITY_STATUS status = SspiFreeCredentialsHandleAsync(async, &credential);
    round_.ledger.Answered(record, status);
    Expect("freeing an invalid credential", status, SEC_E_INVALID_HANDLE);
    SspiFreeAsyncContext(async);
  }

  StressRound& round_;
  io::SeededRandom& random_;
};

}  // namespace

void RunMisuse(StressRound& round, io::SeededRandom& random) {
  Misuse misuse(round, random);
  misuse.Run();
}

}  // namespace ktlsim::command
