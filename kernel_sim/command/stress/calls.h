// Single asynchronous calls, as the activities make them.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "io/seeded_random.h"
#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// What an output holds before its call has written it.
inline constexpr ULONG kUnwritten = 0xdeadbeef;

// KTLSIM_NOTIFY_*.
ULONG NotifyModeFor(const StressRound& round, io::SeededRandom& random);
CtxtHandle NoHandle();

// The call ended in its queue, by cancellation or by its limit: it has not run.
bool EndedInQueue(SECURITY_STATUS status);
// A limit, KTLSIM_NO_WAIT_LIMIT, or mostly 0: that of the library.
ULONG RandomWaitLimit(const StressRound& round, io::SeededRandom& random);

// An idle async context whose callback is the record's.
SspiAsyncContext* CreateFor(CallRecord& record, ULONG notify_mode);

enum class FirstLeg : std::uint8_t {
  kClient,
  kGarbage,   // a server's, with bytes that are no ClientHello
  kLongName,  // a client's, for a target with a name of the greatest length: it is slow to submit
};
FirstLeg RandomFirstLeg(io::SeededRandom& random);
SECURITY_STATUS SubmitFirstLeg(StressRound& round, SspiAsyncContext* async, CallMemory& memory,
                               FirstLeg leg);
// The synchronous function. Passive level.
SECURITY_STATUS RunFirstLeg(StressRound& round, CallMemory& memory, FirstLeg leg);
// Judges the outputs of a first leg whose status was just seen to be final. Empty, or what is
// wrong.
std::string WrongFirstLeg(const CallMemory& memory, SECURITY_STATUS status, FirstLeg leg);

// A first leg whose owner waits for its end. One thread, passive level.
class HeldLeg {
 public:
  // Submits. `what` is a literal.
  HeldLeg(StressRound& round, const char* what, io::SeededRandom& random);
  HeldLeg(StressRound& round, const char* what, FirstLeg leg, ULONG notify_mode,
          ULONG wait_limit_ms);
  // Waits; then everything is freed.
  ~HeldLeg();
  HeldLeg(const HeldLeg&) = delete;
  HeldLeg& operator=(const HeldLeg&) = delete;

  bool accepted() const { return submitted_ == SEC_E_OK; }
  SspiAsyncContext* async() const { return async_; }
  SECURITY_STATUS Cancel() { return round_.ledger.Cancel(async_); }
  // Accepted only: until the status is final, which judges the outputs, and the callback has come.
  SECURITY_STATUS Wait();

 private:
  static void OnCompleted(void* owner, SspiAsyncContext* async);
  void Broken(const std::string& how);

  StressRound& round_;
  const char* const what_;
  const FirstLeg leg_;
  CallMemory* const memory_;
  SspiAsyncContext* async_ = nullptr;
  SECURITY_STATUS submitted_ = SEC_E_INTERNAL_ERROR;
  bool waited_ = false;
  std::atomic<bool> called_{false};
};

// What is done after a submission. It is drawn before, because the callback may by then have ended
// the objects that the choice depends on.
struct BehindSubmission {
  StressRound& round;
  CallRecord& record;
  SspiAsyncContext* async;
  CtxtHandle context;
  bool cancels = false;
  // Then it counts in `round.live` already: a delete may not be refused because of a stop.
  bool deletes = false;

  // Reports to the ledger, and does it. True: the callback has come, or will. Any level up to
  // dispatch.
  bool Accepted(SECURITY_STATUS submitted) const;
};

// Without a callback: the async context goes at once. Any level up to dispatch.
void DeleteAndForget(StressRound& round, CtxtHandle context);
// Polls until it is deleted. Passive level.
void DeleteAndPoll(StressRound& round, CtxtHandle context);
// With a callback, which frees the async context. Any level up to dispatch.
void DeleteWithCallback(StressRound& round, CtxtHandle context, ULONG notify_mode);
void FreeCredentialWithCallback(StressRound& round, CredHandle credential, ULONG notify_mode);

}  // namespace ktlsim::command
