// PasswordVerifier: verifies passwords on helper threads, a few at once, in a bounded queue, each
// name at its pace.
//
// What a newcomer gets wrong: a verification is meant to be slow, and takes megabytes. Whoever may
// ask for any number of them at once has the whole machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/accounts/account.h"
#include "kernel_sim/accounts/password_hash.h"
#include "kernel_sim/accounts/password_pace.h"
#include "kernel_sim/accounts/secret_text.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/member_item.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/passive_worker.h"

namespace ktlsim::accounts {

enum class PasswordVerdict : std::uint8_t {
  kRight,
  kWrong,
  kNoMemory,
  kStopped,  // the verifier was stopped before it began
};

// What a password is compared with. Every question costs the hash it has, if it has one, and one
// hash of Digest.
struct PasswordQuestion {
  std::string name;                  // what the pace goes by
  std::optional<PasswordHash> hash;  // none: no account of the directory has one
  std::optional<DigestLine> line;    // none: nobody's
  bool known = false;                // false: it is wrong, whatever comes out
  bool by_digest = false;            // the line decides, and not the hash
  SecretText password;
};

enum class Admission : std::uint8_t { kAccepted, kFull, kNoMemory, kStopped };

struct VerifierStatistics {
  std::uint64_t right = 0;
  std::uint64_t wrong = 0;
  std::uint64_t no_memory = 0;
  std::uint64_t refused = 0;  // the queue was full, or too many waited for one name
  std::uint64_t hashes = 0;   // computed: Argon2id
  unsigned at_once = 0;       // the most that ran at one time
};

class PasswordVerifier {
 public:
  static constexpr unsigned kAtOnce = 2;
  using Done = std::function<void(PasswordVerdict)>;

  // `clock` lives as long as this.
  PasswordVerifier(const Clock& clock, std::size_t queue_max, const PaceLimits& pace);
  // Ends what has not begun with kStopped, and waits for what runs.
  ~PasswordVerifier();
  PasswordVerifier(const PasswordVerifier&) = delete;
  PasswordVerifier& operator=(const PasswordVerifier&) = delete;

  // kAccepted: `done` is called once, on a helper thread or in the destructor, with no lock held.
  // Otherwise never; the password is wiped all the same. Any level.
  Admission Submit(PasswordQuestion question, Done done) KTLSIM_EXCLUDES(mutex_);
  // Waits for it. None: it was not accepted, *refusal says why. Passive level, not on a helper
  // thread.
  std::optional<PasswordVerdict> Ask(PasswordQuestion question, Admission* refusal);

  // Ends what has not begun with kStopped, waits for what runs, also where another Stop ends it,
  // and ends the helper threads. Until Resume nothing is accepted. What the pace remembers stays.
  // Passive level, not on a helper thread.
  void Stop() KTLSIM_EXCLUDES(mutex_);
  // Does not wait for a Stop: what is accepted from now on has helper threads of its own.
  void Resume() KTLSIM_EXCLUDES(mutex_);

  VerifierStatistics statistics() const KTLSIM_EXCLUDES(mutex_);

 private:
  struct Job {
    PasswordQuestion question;
    Done done;
  };
  using JobRef = std::unique_ptr<Job>;

  struct Crew;
  // One helper thread's share: jobs until there are none, or its crew has ended.
  struct Pump {
    Pump(PasswordVerifier& owner, const Crew& of) : verifier(owner), crew(of) {}
    void Run() { verifier.RunJobs(*this); }

    PasswordVerifier& verifier;
    const Crew& crew;
    MemberItem<&Pump::Run> item{*this};
    bool posted = false;  // under the verifier's lock
  };
  // The helper threads up to the next Stop. Whoever destroys it waits for what they run.
  struct Crew {
    explicit Crew(PasswordVerifier& owner) : pumps{Pump(owner, *this), Pump(owner, *this)} {}

    bool ended = false;  // it begins nothing more; under the verifier's lock
    std::array<Pump, kAtOnce> pumps;
    PassiveWorker worker{kAtOnce};  // the last member: its threads use the others
  };

  void RunJobs(Pump& pump) KTLSIM_EXCLUDES(mutex_);
  // The oldest that may begin. Null: none may; *wait_ns says how long that lasts.
  JobRef TakeDue(std::uint64_t* wait_ns) KTLSIM_REQUIRES(mutex_);
  // Null: there is nothing left to do.
  JobRef WaitForJob(Pump& pump) KTLSIM_EXCLUDES(mutex_);
  void Finish(const Job& job, PasswordVerdict verdict) KTLSIM_EXCLUDES(mutex_);
  // False: no helper thread is to be had.
  bool Wake() KTLSIM_REQUIRES(mutex_);

  const Clock& clock_;
  const std::size_t queue_max_;

  mutable Mutex mutex_;
  ConditionVariable changed_;
  // The oldest first. No more than some dozens, so that taking one out of the middle is cheap.
  std::vector<JobRef> jobs_ KTLSIM_GUARDED_BY(mutex_);
  PasswordPace pace_ KTLSIM_GUARDED_BY(mutex_);
  VerifierStatistics statistics_ KTLSIM_GUARDED_BY(mutex_);
  unsigned running_ KTLSIM_GUARDED_BY(mutex_) = 0;
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  unsigned ending_ KTLSIM_GUARDED_BY(mutex_) = 0;  // crews that are being waited for
  // Null: there are no threads, or those that there are have ended.
  std::unique_ptr<Crew> crew_ KTLSIM_GUARDED_BY(mutex_);
};

// What the question comes to, on this thread. *hashes: how many of Argon2id were computed.
PasswordVerdict JudgePassword(PasswordQuestion& question, unsigned* hashes);

}  // namespace ktlsim::accounts
