#include "kernel_sim/command/stress/sync_calls.h"

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <string>

#include <fmt/format.h>

#include "kernel_sim/command/stress/calls.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

void Expect(StressRound& round, const char* what, SECURITY_STATUS status) {
  if (status == SEC_E_OK || round.ShutOut(status)) return;
  round.evidence.Add(fmt::format("{} ended with {}", what, transport::StatusName(status)));
}

void AcquireAndFree(StressRound& round) {
  char package[] = UNISP_NAME_A;
  CredHandle credential;
  SecInvalidateHandle(&credential);
  const SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr, &round.client_auth,
                                nullptr, nullptr, &credential, nullptr);
  Expect(round, "a synchronous acquire", status);
  if (status == SEC_E_OK) Expect(round, "a synchronous free", FreeCredentialsHandle(&credential));
}

void LegAndDelete(StressRound& round, FirstLeg leg) {
  CallMemory* const memory = round.yard.Take();
  const SECURITY_STATUS status = RunFirstLeg(round, *memory, leg);
  if (!round.ShutOut(status)) {
    const std::string wrong = WrongFirstLeg(*memory, status, leg);
    if (!wrong.empty()) round.evidence.Add("a synchronous first leg " + wrong);
  }
  CtxtHandle context = memory->context;
  round.yard.GiveBack(memory);
  if (SecIsValidHandle(&context)) {
    Expect(round, "a synchronous delete", DeleteSecurityContext(&context));
  }
}

}  // namespace

void RunSyncCalls(StressRound& round, io::SeededRandom& random) {
  AcquireAndFree(round);
  LegAndDelete(round, random.Chance(500) ? FirstLeg::kLongName : FirstLeg::kClient);
  round.tally.Add(StressActivity::kPolledCall, StressOutcome::kRight);
}

void RunQuestions(StressRound& round, io::SeededRandom& random) {
  std::string roles;
  const SECURITY_STATUS visited = KtlsimForEachProcessor(
      [](void* context, const KtlsimProcessor* processor) {
        *static_cast<std::string*>(context) += processor->role;
      },
      &roles);
  Expect(round, "a visit of the processors", visited);
  if (visited == SEC_E_OK && roles.empty()) round.evidence.Add("a visit found no processors");
  KtlsimStatistics all{};
  all.cbSize = sizeof(all);
  Expect(round, "reading the statistics", KtlsimQueryStatistics(&all));
  KtlsimProcessorStatistics one{};
  one.cbSize = sizeof(one);
  // There may be fewer processors.
  static_cast<void>(KtlsimQueryProcessorStatistics(static_cast<ULONG>(random.Below(4)), &one));
  static_cast<void>(KtlsimProcessorCpuNs("crypto"));
  round.tally.Add(StressActivity::kStatistics, StressOutcome::kRight);
}

}  // namespace ktlsim::command
