#include "kernel_sim/command/stress/restarts.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "io/seeded_random.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kRunningUsMax = 3000;
constexpr std::uint64_t kStoppedUsMax = 500;

constexpr unsigned kForksMax = 3;
constexpr std::uint64_t kForkGapUsMax = 50000;
constexpr unsigned kChildSeconds = 30;

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadsInChildren = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool kThreadsInChildren = false;  // ThreadSanitizer ends a forked child that makes one
#else
constexpr bool kThreadsInChildren = true;
#endif
#else
constexpr bool kThreadsInChildren = true;
#endif

void Pause(io::SeededRandom& random, std::uint64_t us_max) {
  std::this_thread::sleep_for(std::chrono::microseconds(random.Below(us_max + 1)));
}

// Nothing is in flight any more, so the figures of the start that ended are final.
void StopAndCount(StressRound& round, CallCounters* ended, LaneReport* lanes) {
  const SECURITY_STATUS status = KtlsimStop();
  if (status != SEC_E_OK) {
    round.evidence.Add(
        fmt::format("restart-under-load: a stop ended with {}", transport::StatusName(status)));
  }
  *ended += ReadCallCounters(round.evidence);
  *lanes += ReadLanes();
}

// Empty, or why it did not start. One caller is held up meanwhile: it may be on its way in, with
// what it has looked up in the start that ends.
std::string RestartOnce(StressRound& round, io::SeededRandom& random, const StartupOptions& startup,
                        CallCounters* ended, LaneReport* lanes) {
  const HeldCallers::Hold hold(round.callers, random);
  StopAndCount(round, ended, lanes);
  round.stopped.store(true, std::memory_order_relaxed);
  // Mostly at once, so that a call on its way in finds another start.
  if (random.Chance(200)) Pause(random, kStoppedUsMax);
  std::string error = StartLibrary(startup);
  round.stopped.store(false, std::memory_order_relaxed);
  return error;
}

// ---- In a forked child: nothing of the parent's that could be locked there

enum class ChildEnd : std::uint8_t {
  kRight,
  kServed,  // without a library of its own
  kNotStarted,
  kNoCredential,
  kNoLeg,
  kNotDeleted,
  kNotFreed,
  kNotStopped,
};
constexpr std::array<const char*, 8> kChildEnds = {
    "all was right",         "a call was served",        "its library did not start",
    "it got no credential",  "its leg did not end well", "its context was not deleted",
    "its credential stayed", "its library did not stop"};

SECURITY_STATUS AcquireInChild(CredHandle* credential) {
  SecInvalidateHandle(credential);
  char package[] = UNISP_NAME_A;
  SCH_CREDENTIALS auth{};
  auth.dwVersion = SCH_CREDENTIALS_VERSION;
  auth.dwFlags = SCH_CRED_NO_DEFAULT_CREDS | SCH_CRED_MANUAL_CRED_VALIDATION;
  return AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr, &auth, nullptr,
                                   nullptr, credential, nullptr);
}

SECURITY_STATUS LegInChild(CredHandle* credential, CtxtHandle* made) {
  SecInvalidateHandle(made);
  char target[] = "localhost";
  std::array<unsigned char, 4096> token;
  SecBuffer out = {static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;
  return InitializeSecurityContextA(
      credential, nullptr, target, ISC_REQ_STREAM | ISC_REQ_USE_SUPPLIED_CREDS, 0,
      SECURITY_NATIVE_DREP, nullptr, 0, made, &out_desc, &attributes, nullptr);
}

ChildEnd LiveInChild() {
  alarm(kChildSeconds);
  CredHandle credential;
  if (AcquireInChild(&credential) != SEC_E_INTERNAL_ERROR) return ChildEnd::kServed;
  if (!kThreadsInChildren) return ChildEnd::kRight;
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 1;
  if (KtlsimStart(&options) != SEC_E_OK) return ChildEnd::kNotStarted;
  if (AcquireInChild(&credential) != SEC_E_OK) return ChildEnd::kNoCredential;
  CtxtHandle context;
  if (LegInChild(&credential, &context) != SEC_I_CONTINUE_NEEDED) return ChildEnd::kNoLeg;
  if (DeleteSecurityContext(&context) != SEC_E_OK) return ChildEnd::kNotDeleted;
  if (FreeCredentialsHandle(&credential) != SEC_E_OK) return ChildEnd::kNotFreed;
  return KtlsimStop() == SEC_E_OK ? ChildEnd::kRight : ChildEnd::kNotStopped;
}

// Empty, or what was wrong with the child.
std::string ForkOnce() {
  const pid_t child = fork();
  if (child == 0) _exit(static_cast<int>(LiveInChild()));
  if (child < 0) return fmt::format("no child: errno {}", errno);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return fmt::format("the child cannot be waited for: errno {}", errno);
  }
  if (WIFSIGNALED(status)) return fmt::format("the child ended by signal {}", WTERMSIG(status));
  const auto end = static_cast<std::size_t>(WEXITSTATUS(status));
  if (end == 0) return {};
  return end < kChildEnds.size() ? kChildEnds[end] : fmt::format("the child ended with {}", end);
}

}  // namespace

void RunRestarts(StressRound& round, std::uint64_t seed, const RestartPlan& plan,
                 CallCounters* ended, LaneReport* lanes) {
  io::SeededRandom random(seed);
  StartupOptions startup = plan.startup;
  do {
    if (plan.either_placement) startup.pool = random.Chance(500);
    const std::string error = RestartOnce(round, random, startup, ended, lanes);
    if (!error.empty()) return round.evidence.Add("restart-under-load: " + error);
    round.tally.Add(StressActivity::kRestartUnderLoad, StressOutcome::kRight);
    Pause(random, kRunningUsMax);
  } while (!round.ending.load(std::memory_order_relaxed));
}

void RunForks(StressRound& round, std::uint64_t seed) {
  io::SeededRandom random(seed);
  for (unsigned i = 0; i < kForksMax; ++i) {
    const std::string wrong = ForkOnce();
    if (!wrong.empty()) round.evidence.Add("fork: " + wrong);
    round.tally.Add(StressActivity::kFork, StressOutcome::kRight);
    if (round.ending.load(std::memory_order_relaxed)) return;
    Pause(random, kForkGapUsMax);
  }
}

}  // namespace ktlsim::command
