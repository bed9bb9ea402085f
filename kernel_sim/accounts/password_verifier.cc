#include "kernel_sim/accounts/password_verifier.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::accounts {
namespace {

// The clock may be another one than that of the system, so a sleeper looks at it now and then.
constexpr std::uint64_t kLookNs = 50 * kNsPerMs;

// As much work for somebody without a line. None: no memory.
std::optional<bool> CompareLine(const std::optional<DigestLine>& line, std::string_view password) {
  const ForkGate::Scope inside;
  static const DigestLine kNobody;
  const DigestLine& compared = line ? *line : kNobody;
  digest::Hasher hasher(compared.hash_id);
  digest::HashValue hash;
  if (!digest::ComputeAccountHash(hasher, compared.user, compared.realm, password, &hash)) {
    return std::nullopt;
  }
  return digest::ConstantTimeEqual(hash.raw(), compared.hash.raw());
}

AttemptEnd EndOf(PasswordVerdict verdict) {
  if (verdict == PasswordVerdict::kRight) return AttemptEnd::kRight;
  return verdict == PasswordVerdict::kWrong ? AttemptEnd::kWrong : AttemptEnd::kUnjudged;
}

}  // namespace

PasswordVerdict JudgePassword(PasswordQuestion& question, unsigned* hashes) {
  *hashes = 0;
  const std::optional<bool> by_line = CompareLine(question.line, question.password.view());
  if (!by_line) return PasswordVerdict::kNoMemory;
  PasswordMatch by_hash = PasswordMatch::kWrong;
  if (question.hash) {
    ++*hashes;
    by_hash = question.hash->Verify(std::move(question.password));
  }
  question.password.Wipe();
  if (by_hash == PasswordMatch::kNoMemory) return PasswordVerdict::kNoMemory;
  const bool right = question.by_digest ? *by_line : by_hash == PasswordMatch::kRight;
  return right && question.known ? PasswordVerdict::kRight : PasswordVerdict::kWrong;
}

PasswordVerifier::PasswordVerifier(const Clock& clock, std::size_t queue_max,
                                   const PaceLimits& pace)
    : clock_(clock), queue_max_(queue_max), pace_(pace) {}

PasswordVerifier::~PasswordVerifier() { Stop(); }

void PasswordVerifier::Stop() {
  std::vector<JobRef> left;
  std::unique_ptr<Crew> ended;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    left.swap(jobs_);
    ended = std::move(crew_);
    if (ended != nullptr) {
      ended->ended = true;
      ++ending_;
    }
    for (const JobRef& job : left) pace_.Withdraw(job->question.name);
    changed_.notify_all();
  }
  for (const JobRef& job : left) job->done(PasswordVerdict::kStopped);
  const bool ours = ended != nullptr;
  ended.reset();
  const MutexLock lock(mutex_);
  if (ours) --ending_;
  changed_.notify_all();
  while (ending_ != 0) changed_.wait(mutex_);
}

void PasswordVerifier::Resume() {
  const MutexLock lock(mutex_);
  stopping_ = false;
}

Admission PasswordVerifier::Submit(PasswordQuestion question, Done done) {
  const MutexLock lock(mutex_);
  bool admitted = false;
  std::string name;
  try {
    auto job = std::make_unique<Job>(Job{std::move(question), std::move(done)});
    name = job->question.name;
    if (stopping_) return Admission::kStopped;
    if (jobs_.size() + running_ >= queue_max_ || !pace_.Admit(name)) {
      ++statistics_.refused;
      return Admission::kFull;
    }
    admitted = true;
    jobs_.push_back(std::move(job));
  } catch (const std::bad_alloc&) {
    if (admitted) pace_.Withdraw(name);
    return Admission::kNoMemory;
  }
  if (Wake()) return Admission::kAccepted;
  jobs_.pop_back();
  pace_.Withdraw(name);
  return Admission::kNoMemory;
}

bool PasswordVerifier::Wake() {
  changed_.notify_all();
  // A helper thread serves whoever comes, so it acts as the process and keeps no asker's token.
  const ThreadIdentity::Scope as_process;
  try {
    if (crew_ == nullptr) crew_ = std::make_unique<Crew>(*this);
  } catch (const std::bad_alloc&) {
    return false;  // the asker takes its job back
  }
  bool one_works = false;
  for (Pump& pump : crew_->pumps) {
    if (!pump.posted) {
      pump.posted = crew_->worker.Run(pump.item);
      return one_works || pump.posted;
    }
    one_works = true;
  }
  return true;
}

std::optional<PasswordVerdict> PasswordVerifier::Ask(PasswordQuestion question,
                                                     Admission* refusal) {
  Mutex mutex;
  ConditionVariable there;
  std::optional<PasswordVerdict> verdict;
  *refusal = Submit(std::move(question), [&](PasswordVerdict given) {
    const MutexLock lock(mutex);
    verdict = given;
    there.notify_all();
  });
  if (*refusal != Admission::kAccepted) return std::nullopt;
  const MutexLock lock(mutex);
  while (!verdict) there.wait(mutex);
  return verdict;
}

void PasswordVerifier::RunJobs(Pump& pump) {
  while (const JobRef job = WaitForJob(pump)) {
    unsigned hashes = 0;
    const PasswordVerdict verdict = JudgePassword(job->question, &hashes);
    {
      const MutexLock lock(mutex_);
      statistics_.hashes += hashes;
    }
    Finish(*job, verdict);
  }
}

PasswordVerifier::JobRef PasswordVerifier::WaitForJob(Pump& pump) {
  const MutexLock lock(mutex_);
  while (!pump.crew.ended && !jobs_.empty()) {
    std::uint64_t wait_ns = 0;
    if (JobRef job = TakeDue(&wait_ns)) {
      statistics_.at_once = std::max(statistics_.at_once, ++running_);
      return job;
    }
    changed_.wait_for(mutex_, std::chrono::nanoseconds(std::min(wait_ns, kLookNs)));
  }
  pump.posted = false;
  return nullptr;
}

PasswordVerifier::JobRef PasswordVerifier::TakeDue(std::uint64_t* wait_ns) {
  const std::uint64_t now = clock_.NowNs();
  *wait_ns = std::numeric_limits<std::uint64_t>::max();
  if (running_ == kAtOnce) return nullptr;  // some of them of a crew that has ended
  for (auto at = jobs_.begin(); at != jobs_.end(); ++at) {
    std::uint64_t due = 0;
    const std::string& name = (*at)->question.name;
    if (!pace_.MayBegin(name, now, &due)) {
      if (due > now) *wait_ns = std::min(*wait_ns, due - now);
      continue;
    }
    pace_.Begin(name);
    JobRef job = std::move(*at);
    jobs_.erase(at);
    return job;
  }
  return nullptr;
}

void PasswordVerifier::Finish(const Job& job, PasswordVerdict verdict) {
  {
    const MutexLock lock(mutex_);
    --running_;
    pace_.Finish(job.question.name, EndOf(verdict), clock_.NowNs());
    if (verdict == PasswordVerdict::kRight) ++statistics_.right;
    if (verdict == PasswordVerdict::kWrong) ++statistics_.wrong;
    if (verdict == PasswordVerdict::kNoMemory) ++statistics_.no_memory;
    changed_.notify_all();
  }
  job.done(verdict);
}

VerifierStatistics PasswordVerifier::statistics() const {
  const MutexLock lock(mutex_);
  return statistics_;
}

}  // namespace ktlsim::accounts
