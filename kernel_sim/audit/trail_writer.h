// TrailWriter: what is written of an audit trail, and in which order: lines, then the head.
//
// Lines are made in a batch, which is written and then covered by a new head. A batch that cannot
// be written stays as it is, with the key of its first line, and is tried again: no line is made
// twice with one key, and no key is gone before its lines are in the file.
//
// Private to audit/. Passive level, one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernel_sim/audit/audit_head.h"
#include "kernel_sim/audit/audit_line.h"
#include "kernel_sim/audit/audit_options.h"
#include "kernel_sim/audit/log_file.h"
#include "kernel_sim/audit/record_queue.h"

namespace ktlsim::audit {

// Accesses of which there is no record. Each becomes part of a record's count.
struct TrailLosses {
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> logons{0};  // failed log-ons, whatever the policy is

  bool any() const { return lost.load() != 0 || refused.load() != 0 || logons.load() != 0; }
};

class TrailWriter {
 public:
  // As AuditTrail::Open. The first line, or the one that says that the trail is continued, is
  // written and sealed when this returns.
  static Result<std::unique_ptr<TrailWriter>> Open(const AuditOptions& options);

  // Writes what an earlier attempt has left; else a batch of what is lost and queued. kIo,
  // kResource: it is to be tried again.
  Status Write(RecordQueue& queue, TrailLosses& losses);
  // Whether an earlier attempt has left something.
  bool pending() const { return !batch_.empty() || !sealed_; }

  // Gives the file that is written its number, and begins the next; does nothing if nothing was
  // written since the last time. Only without anything pending. kIo: the trail goes on, in the same
  // file, or in the next one as soon as the system makes it. Needs no memory.
  Status Rotate();
  bool is_full() const {
    return options_.rotate_bytes != 0 && head_.offset >= options_.rotate_bytes;
  }
  // Writes the last line, behind which nothing may come. Only without anything pending.
  Status Stop();

  // How many lines are written and covered by the head.
  std::uint64_t lines() const {
    return sealed_ ? head_.sequence : head_.sequence - unsealed_lines_;
  }

 private:
  TrailWriter(const AuditOptions& options, std::unique_ptr<MacEngine> engine,
              std::unique_ptr<HeadFile> head_file);

  Status Begin(std::span<const std::byte> secret);
  Status Resume(std::span<const std::byte> secret);
  bool AddLine(const TrailRecord& record);
  bool AddLine(const QueuedRecord& record);
  bool FinishLine(std::size_t begin, std::size_t body);
  bool AddLosses(TrailLosses& losses);
  void BeginBatch();
  Status WriteBatch();
  Status Seal();
  Status WriteLine(const TrailRecord& record);

  // Fixed after construction. The secret is not among the options.
  const AuditOptions options_;
  const std::unique_ptr<MacEngine> engine_;
  const std::unique_ptr<HeadFile> head_file_;

  LogFile log_;
  AuditHead head_;      // after what is written
  AuditHead next_;      // after the batch
  std::string batch_;   // lines that are to be written
  bool sealed_ = true;  // the head's file has head_
  std::uint64_t unsealed_lines_ = 0;
};

}  // namespace ktlsim::audit
