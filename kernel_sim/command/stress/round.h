// StressRound: what everything between one KtlsimStart and its KtlsimStop shares.
#pragma once

#include <schannel.h>
#include <sspi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "io/address.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/checks.h"
#include "kernel_sim/command/stress/held_callers.h"

namespace ktlsim::command {

inline constexpr const char* kStressServerName = "localhost";

// Which of a round's pairs.
inline constexpr std::size_t kOnly12 = 0;
inline constexpr std::size_t kOnly13 = 1;
inline constexpr std::size_t kBoth = 2;

// The client's and the server's credential for one choice of versions.
struct CredentialPair {
  Credential client;
  Credential server;
};

// Where raw clients dial. A shifting server is stopped and started all the time, and has short time
// limits; no response is no violation, a wrong one is.
struct StressTargets {
  io::Address steady;
  bool foreign = false;  // the steady one is another process's
  bool has_shifting = false;
  io::Address shifting() const {
    const ScopedLock lock(mutex);
    return shifting_address;
  }
  void SetShifting(const io::Address& address) {
    const ScopedLock lock(mutex);
    shifting_address = address;
  }

  mutable Mutex mutex;
  io::Address shifting_address KTLSIM_GUARDED_BY(mutex);
};

struct StressRound {
  StressRound(const FaultSet& enabled, StressTally& counts, StressEvidence& violations)
      : faults(enabled),
        tally(counts),
        evidence(violations),
        ledger(violations),
        yard(violations) {}

  // Passive level, library started. Empty, or why not.
  std::string MakeCredentials(const Certificate& certificate);
  std::string MakePair(TlsVersions versions, CredentialPair* pair) const;
  std::string MakeClient(TlsVersions versions, bool resumption, Credential* client) const;

  // Fixed once the round has begun.
  const FaultSet& faults;
  StressTally& tally;
  StressEvidence& evidence;
  // The library stops and starts while calls are made: each of them may find it stopped.
  bool restarts = false;
  std::optional<ULONG> notify_mode;     // of every call; none: drawn for each
  std::array<CredentialPair, 3> pairs;  // kOnly12, kOnly13, kBoth
  StressTargets targets;
  SCH_CREDENTIALS client_auth{};  // for asynchronous acquiring

  // The status of a call that came while the library was stopped, as any may where it `restarts`.
  bool ShutOut(SECURITY_STATUS status) const {
    return restarts && status == SEC_E_SHUTDOWN_IN_PROGRESS;
  }

  // Shared, with locks of their own.
  CallLedger ledger;
  PoisonedYard yard;
  HeldCallers callers;  // of the asynchronous functions, held up while the library restarts
  std::atomic<bool> ending{false};
  std::atomic<bool> stopped{false};  // the library, where the round `restarts`
  // Conversations and calls that have not ended. It is the last member of a round that any of them
  // touches; release, so that the round can be destroyed when this is seen to be zero.
  std::atomic<std::uint64_t> live{0};

 private:
  const Certificate* certificate_ = nullptr;
  std::string trust_pem_;
};

}  // namespace ktlsim::command
