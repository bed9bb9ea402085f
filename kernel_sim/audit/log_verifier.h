// LogVerifier: reads a trail with the secret that it was begun with, and tells what was done to it.
//
// It knows the key of every line, so a line that is genuine shows it, wherever it stands. From
// where the genuine lines stand follows what happened to the others. After a crash there may have
// been two genuine lines of one number; which of them counts is told by the line after it, or by
// the head.
//
// Any level that may allocate, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/audit/audit_head.h"
#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/audit/audit_line.h"

namespace ktlsim::audit {

enum class FindingKind : std::uint8_t {
  kAltered,      // a line was changed, or replaced
  kInserted,     // a line that is none of this trail's
  kRemoved,      // lines are not there
  kReordered,    // a line stands behind one that came later
  kDuplicated,   // a line is there once more
  kCutTail,      // the last lines are not there
  kUnlinked,     // genuine lines do not follow one another: one is of before a crash
  kWrongKey,     // the trail was begun with another secret
  kNoTrail,      // nothing says which trail this is
  kForeignHead,  // the head is another trail's
  kHeadAltered,  // the head was changed, or is damaged
  kHeadBehind,   // the log has more lines than the head, and than a crash can leave
};

// Such as "altered".
std::string_view NameOf(FindingKind kind);

// Where something is wrong.
struct Finding {
  FindingKind kind = FindingKind::kAltered;
  std::size_t file = 0;     // an index of the files
  std::uint64_t line = 0;   // from 1, of a cut tail the last one that is there; 0: the head
  std::uint64_t first = 0;  // the sequence numbers of the lines that are meant
  std::uint64_t last = 0;
};

struct VerifyReport {
  std::vector<Finding> findings;  // at most kFindingsMax, in the order of the trail
  std::uint64_t found = 0;        // how many there were
  std::uint64_t genuine = 0;      // lines
  std::uint64_t first = 0;        // sequence numbers of the first and last genuine line
  std::uint64_t last = 0;
  std::uint64_t unsealed =
      0;  // genuine lines that the head does not cover: a crash, or the writer is at work
  std::uint64_t torn_bytes = 0;  // of a last line that is not whole, and that no head covers
  bool closed = false;           // the writer ended in order
  std::optional<std::uint64_t>
      head;  // how many lines the head says there are; none: there is no good one

  bool ok() const { return found == 0; }
};

inline constexpr std::size_t kFindingsMax = 1000;

struct VerifyOptions {
  // The first files are not there, and need not be.
  bool partial = false;
  // How many keys are made for lines that claim to be far away; some minutes' worth.
  std::uint64_t steps_max = std::uint64_t{1} << 28;
};

class LogVerifier {
 public:
  // Null: no memory. `head` is the content of the head's file, empty for none.
  static std::unique_ptr<LogVerifier> Create(std::span<const std::byte> secret,
                                             std::string_view head, const VerifyOptions& options);
  ~LogVerifier();
  LogVerifier(const LogVerifier&) = delete;
  LogVerifier& operator=(const LogVerifier&) = delete;

  // The next file begins.
  void BeginFile();
  // The next line, without its line feed. `whole`: it had one.
  void TakeLine(std::string_view line, bool whole);
  // The head's file as it is after the lines were read, where a writer may be at work: only to see
  // whether the lines are far behind it.
  void TakeNewerHead(std::string_view head);
  VerifyReport Finish();

 private:
  // The line before that which a copy of the head names.
  struct HeadEnd {
    std::uint64_t sequence = 0;  // the head's
    std::optional<Mac> mac;
  };
  struct Place {
    std::size_t file = 0;
    std::uint64_t line = 0;
  };
  // Lines that are not there, up to `last`, and where that was found out.
  struct Gap {
    std::uint64_t last = 0;
    Place place;
  };

  LogVerifier(std::unique_ptr<MacEngine> engine, std::span<const std::byte> secret,
              std::string_view head, const VerifyOptions& options);

  // Finds out which trail this is, at its first line. False: nothing can be verified.
  bool Identify(std::string_view line);
  bool Choose(const LogId& log);
  std::optional<AuditHead> FirstHead() const;
  void NoteHeadEnds();

  bool IsGenuine(const ParsedLine& line);
  // The key of any line. False: it is too far away, or OpenSSL refuses.
  bool KeyOf(std::uint64_t sequence, ChainKey* key);
  void Advance(std::uint64_t sequence);
  bool StepOnce(ChainKey* key);

  void TakeGenuine(const ParsedLine& line);
  void TakeLate(std::uint64_t sequence);
  void TakeUnknown();
  void TakeTorn();
  // Which lines before `sequence` the ones are that are not genuine. Returns the first of those
  // that are not there at all.
  std::uint64_t SettleUnknown(std::uint64_t sequence);

  void CheckHead();
  // None: it is not sealed by a key of this trail.
  std::optional<AuditHead> SealedHead(const HeadCopy& copy);
  bool TakeHeadCopy(const HeadCopy& copy);
  void CheckTail();
  void ReportGaps();
  void Report(FindingKind kind, const Place& place, std::uint64_t first, std::uint64_t last);

  // Fixed after construction.
  const std::unique_ptr<MacEngine> engine_;
  const VerifyOptions options_;

  std::string head_;
  std::vector<std::byte> secret_;
  std::optional<LogId> log_;
  bool stopped_ = false;  // nothing can be verified
  std::uint64_t steps_left_;
  // The keys of line 0 and of every kStride-th after it, and that of the next line.
  std::vector<ChainKey> strides_;
  ChainKey next_key_;
  std::uint64_t next_ = 0;
  Mac last_mac_{};  // of the line before
  std::array<HeadEnd, 2> head_ends_;
  std::uint64_t newer_head_ = 0;

  std::size_t files_ = 0;
  Place here_;
  std::vector<Place> unknown_;  // lines that are not genuine, since the last one that is
  std::uint64_t unknown_count_ = 0;
  std::map<std::uint64_t, Gap> missing_;
  std::size_t torn_bytes_ = 0;  // of a line without a line feed, at the end of what was read
  VerifyReport report_;
};

}  // namespace ktlsim::audit
