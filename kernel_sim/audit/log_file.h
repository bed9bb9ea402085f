// LogFile: the file that an audit trail is appended to, and how one is continued and rotated.
//
// The file that is written has the trail's name; when it is full it becomes NAME.1, NAME.2 and so
// on, and a new one is made. Writes go to offsets that this class keeps, so that a part of an
// earlier attempt is overwritten.
//
// Private to audit/. Passive level, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/audit/audit_head.h"
#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/audit/file_calls.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::audit {

// How many lines, and bytes of lines, a crash can leave that no head covers.
inline constexpr std::size_t kUnsealedLinesMax = 1024;
inline constexpr std::size_t kUnsealedBytesMax = 2 << 20;

// A file's name is only sure when its folder has reached the disk.
Status SyncFolderOf(const std::string& path, FileCalls& calls);

// What a crash left, after it was put in order.
struct Leftover {
  std::uint64_t lines = 0;    // whole lines that no head covered; they are part of the trail
  std::uint64_t dropped = 0;  // bytes behind them, cut off
};

class LogFile {
 public:
  LogFile(std::string path, FileCalls& calls);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Makes the file where none is open, and sees to it that its name is on the disk. kIo: there is a
  // file already, or the system refuses; to be called again before anything is appended.
  Status MakeReady();
  // Continues where `*head` ends; lines behind that are taken into `*head` if they are genuine.
  // kContract: the log is shorter than its head says, does not end as it says, or has more behind
  // that than a crash leaves.
  Status Continue(MacEngine& engine, AuditHead* head, Leftover* leftover);

  // Appends all of `text` at `offset`. kIo: the file is as long as it was, as far as the system
  // allows.
  Status Append(std::string_view text, std::uint64_t offset, bool sync);
  // Gives the file its number; then none is open until MakeReady. kIo: all is as it was. Needs no
  // memory.
  Status Rotate(std::uint64_t number);

 private:
  // Valid until the next call.
  const char* NumberedPath(std::uint64_t number);
  Status TakeRotation(AuditHead* head);
  Status TakeLeftover(MacEngine& engine, std::string_view text, AuditHead* head,
                      Leftover* leftover);

  const std::string path_;
  const std::string folder_;
  FileCalls& calls_;
  std::string numbered_;  // has room for any number
  int file_ = -1;
  bool folder_synced_ = false;  // names are on the disk as they are now
};

}  // namespace ktlsim::audit
