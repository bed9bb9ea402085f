// AuditTrail: writes records of accesses to a file of JSON lines in which nothing can be changed
// unnoticed: each line has a MAC under a key of its own, and the head, in a file beside it, says
// how many lines there are. README.md has the format, and what an attacker can and cannot do.
//
// Callers hand records to a queue; one thread writes them. What a newcomer gets wrong: a record
// that is taken is not on the disk yet. When the machine stops, what is queued is gone (Flush waits
// for it).
//
// After fork, the child has the trail's memory and not its thread. There, every function returns at
// once: Write refuses, whatever the policy is, Flush and Close return kContract, and the destructor
// leaves alone what the parent's threads were in the middle of. A child that writes records opens a
// trail of its own, under another name: it holds the lock of the parent's until it ends or executes
// another program.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "kernel_sim/audit/audit_options.h"
#include "kernel_sim/audit/audit_record.h"
#include "kernel_sim/audit/record_queue.h"
#include "kernel_sim/audit/trail_state.h"
#include "kernel_sim/audit/trail_writer.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::audit {

// What became of a record.
enum class [[nodiscard]] Taken : std::uint8_t {
  kQueued,   // it will be written
  kCounted,  // there is no room; it is counted, and the access may go on
  kRefused,  // there is no room, or no writer after fork, and the access has to be refused
};

struct TrailFigures {
  TrailState state = TrailState::kWriting;
  std::uint64_t lines = 0;    // written and covered by the head
  std::uint64_t lost = 0;     // by kCounted, since the start
  std::uint64_t refused = 0;  // by kRefused, since the start
  // Failed log-ons without a record, since the start; they are not among the two above.
  std::uint64_t logons_lost = 0;
  std::uint64_t failures = 0;  // attempts to write or to rotate that failed
};

class AuditTrail {
 public:
  // Begins a trail, or continues one. kContract: another writer has it; the secret is too short,
  // missing for a new trail, or another one; the log and its head do not belong together, which a
  // person has to look at. kIo: the system refuses. kResource: no memory or no thread. Passive
  // level. The secret is not kept.
  static Result<std::unique_ptr<AuditTrail>> Open(const AuditOptions& options);
  // Closes it.
  ~AuditTrail();
  AuditTrail(const AuditTrail&) = delete;
  AuditTrail& operator=(const AuditTrail&) = delete;

  // Copies the record into the queue. Never waits; one that finds the writer asleep wakes it.
  // Texts of more than 320 bytes together take memory. Failed log-ons have half of the queue, and
  // none of the rest: anybody can make them. Any thread, any level.
  Taken Write(const AuditRecord& record);

  // Waits until all that was taken before is written and covered by the head; or returns why the
  // last attempt to write it failed. kContract: in a forked child. Passive level.
  Status Flush();
  // A new file begins soon. Any thread, passive level.
  void Rotate();
  // Writes what is queued and a last line. Not ok: so much is left unwritten. Passive level; nobody
  // may be inside Write. Further calls have no effect. kContract: in a forked child.
  Status Close();

  TrailFigures figures() const;

 private:
  AuditTrail(const AuditOptions& options, std::unique_ptr<RecordQueue> queue,
             std::unique_ptr<TrailWriter> writer);

  // In a process that was forked since Open.
  bool is_in_child() const;
  void Abandon();

  void Main();
  bool HasWork() const;
  void WriteOnce();
  void RotateIfAsked();
  void Report(const Status& status);
  void Move(TrailEvent event) KTLSIM_REQUIRES(mutex_);
  void WaitForWork();
  // True: it was woken.
  bool WaitAtMost(std::uint64_t ns);
  void Wake();

  // Fixed after construction.
  const FullPolicy when_full_;
  const std::uint64_t linger_ns_;
  const std::uint64_t retry_ns_;
  std::uint64_t (*const unix_time_ns_)();
  const std::uint64_t forks_;  // of the process that opened it
  std::unique_ptr<RecordQueue> queue_;

  // The writer thread's; after it has ended, Close's.
  std::unique_ptr<TrailWriter> writer_;
  Status last_;

  // Shared.
  std::atomic<TrailState> state_{TrailState::kWriting};  // changed under the mutex
  std::atomic<bool> asleep_{
      false};  // the writer waits, and has to be woken; seq_cst, as in the queue
  TrailLosses losses_;
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> logons_lost_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> lines_{0};

  Mutex mutex_;
  ConditionVariable changed_;   // for the writer
  ConditionVariable progress_;  // for those who flush
  bool woken_ KTLSIM_GUARDED_BY(mutex_) = false;
  bool rotate_ KTLSIM_GUARDED_BY(mutex_) = false;
  std::uint64_t written_ KTLSIM_GUARDED_BY(mutex_) = 0;  // records of the queue
  std::uint64_t write_failures_ KTLSIM_GUARDED_BY(mutex_) = 0;
  Status failure_ KTLSIM_GUARDED_BY(mutex_);  // the last one of them

  std::thread thread_;
};

}  // namespace ktlsim::audit
