#include "kernel_sim/audit/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <limits>
#include <new>
#include <optional>

#include "kernel_sim/audit/audit_line.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/descriptor.h"

namespace ktlsim::audit {
namespace {

constexpr int kOpenFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;

Status ContractError(const char* why) { return {Category::kContract, 0, why}; }

constexpr std::size_t kNumberDigitsMax = std::numeric_limits<std::uint64_t>::digits10 + 1;

// None: the file is not there.
using FileSize = std::optional<std::uint64_t>;

Result<FileSize> SizeOf(const char* path) {
  struct stat facts{};
  if (lstat(path, &facts) != 0) {
    if (errno == ENOENT) return FileSize();
    return IoError(errno, "look at the audit trail's file");
  }
  if (!S_ISREG(facts.st_mode)) return ContractError("the audit trail is a regular file");
  return FileSize(static_cast<std::uint64_t>(facts.st_size));
}

// Reads `bytes` at `offset`, or as many as there are.
Result<std::string> ReadAt(int file, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        pread(file, text.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return IoError(errno, "read the audit trail");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

// Whether the covered part, which ends at `offset`, ends with the line that the head names.
Status CheckLastLine(int file, std::uint64_t offset, const AuditHead& head) {
  if (head.sequence == 0) return {};
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(offset, kLineBytesMax + 2));
  Result<std::string> read = ReadAt(file, offset - bytes, bytes);
  if (!read) return read.status();
  std::string_view text = *read;
  if (text.size() == bytes && text.ends_with('\n')) {
    text.remove_suffix(1);
    const std::size_t before = text.rfind('\n');
    if (before != std::string_view::npos) text.remove_prefix(before + 1);
    const std::optional<ParsedLine> line = ParseLine(text);
    if (line && line->sequence + 1 == head.sequence && SameMac(line->mac, head.last_mac)) return {};
  }
  return ContractError("the audit trail does not end as its head says: lines were cut or changed");
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

Status SyncFolder(const std::string& name, FileCalls& calls) {
  const Descriptor folder(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return IoError(errno, "open the audit trail's folder");
  // Some file systems do not offer it for folders.
  if (calls.SyncFolder(folder.number()) != 0 && errno != EINVAL) {
    return IoError(errno, "write the audit trail's folder");
  }
  return {};
}

}  // namespace

Status SyncFolderOf(const std::string& path, FileCalls& calls) {
  return SyncFolder(FolderOf(path), calls);
}

LogFile::LogFile(std::string path, FileCalls& calls)
    : path_(std::move(path)), folder_(FolderOf(path_)), calls_(calls) {
  numbered_.reserve(path_.size() + 1 + kNumberDigitsMax);
}

LogFile::~LogFile() {
  if (file_ >= 0) close(file_);
}

const char* LogFile::NumberedPath(std::uint64_t number) {
  char digits[kNumberDigitsMax];
  const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), number);
  KTLSIM_ASSERT(error == std::errc());
  numbered_.assign(path_).append(".").append(digits, end);
  return numbered_.c_str();
}

Status LogFile::MakeReady() {
  if (file_ < 0) {
    folder_synced_ = false;
    file_ = calls_.Make(path_.c_str(), kOpenFlags | O_CREAT | O_EXCL, 0600);
    if (file_ < 0) return IoError(errno, "make the audit trail's file");
  }
  if (folder_synced_) return {};
  const Status synced = SyncFolder(folder_, calls_);
  folder_synced_ = synced.ok();
  return synced;
}

Status LogFile::TakeRotation(AuditHead* head) {
  const Descriptor old(open(NumberedPath(head->file), kOpenFlags));
  if (!old.valid()) return IoError(errno, "open the rotated audit trail");
  struct stat facts{};
  if (fstat(old.number(), &facts) != 0) return IoError(errno, "look at the rotated audit trail");
  if (static_cast<std::uint64_t>(facts.st_size) != head->offset) {
    return ContractError("the rotated audit trail is not as long as its head says");
  }
  const Status checked = CheckLastLine(old.number(), head->offset, *head);
  if (!checked.ok()) return checked;
  ++head->file;
  head->offset = 0;
  return {};
}

Status LogFile::Continue(MacEngine& engine, AuditHead* head, Leftover* leftover) {
  const Result<FileSize> rotated = SizeOf(NumberedPath(head->file));
  const Result<FileSize> present = SizeOf(path_.c_str());
  if (!rotated) return rotated.status();
  if (!present) return present.status();
  // It was renamed, and the head was not written since.
  const bool was_rotated = rotated.value().has_value();
  if (was_rotated) {
    const Status taken = TakeRotation(head);
    if (!taken.ok()) return taken;
  }
  const FileSize& bytes = present.value();
  if (!bytes) {
    if (was_rotated || head->sequence == 0) return MakeReady();
    return ContractError("the audit trail's file is missing, and its head says there is one");
  }
  const std::uint64_t size = *bytes;
  if (size < head->offset) {
    return ContractError("the audit trail is shorter than its head says: lines were cut");
  }
  if (size - head->offset > kUnsealedBytesMax) {
    return ContractError("the audit trail has more lines than its head says: the head is older");
  }
  file_ = open(path_.c_str(), kOpenFlags);
  if (file_ < 0) return IoError(errno, "open the audit trail");
  if (head->offset != 0) {
    const Status checked = CheckLastLine(file_, head->offset, *head);
    if (!checked.ok()) return checked;
  }
  Result<std::string> behind =
      ReadAt(file_, head->offset, static_cast<std::size_t>(size - head->offset));
  if (!behind) return behind.status();
  return TakeLeftover(engine, *behind, head, leftover);
}

Status LogFile::TakeLeftover(MacEngine& engine, std::string_view text, AuditHead* head,
                             Leftover* leftover) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::optional<ParsedLine> line = ParseLine(text.substr(0, end));
    Mac mac;
    if (!line || line->sequence != head->sequence || !IsOf(line->previous, head->last_mac) ||
        !head->key.MacOfLine(engine, line->body, &mac) || !SameMac(mac, line->mac)) {
      break;
    }
    if (!head->key.Step(engine)) return ResourceError("make the next key");
    head->last_mac = mac;
    ++head->sequence;
    ++leftover->lines;
    head->offset += end + 1;
    text.remove_prefix(end + 1);
  }
  leftover->dropped = text.size();
  if (text.empty()) return {};
  if (calls_.Truncate(file_, static_cast<off_t>(head->offset)) != 0) {
    return IoError(errno, "cut off the line that is not whole");
  }
  return {};
}

Status LogFile::Append(std::string_view text, std::uint64_t offset, bool sync) {
  std::uint64_t at = offset;
  int error_number = 0;
  while (!text.empty() && error_number == 0) {
    const ssize_t written = calls_.Write(file_, text.data(), text.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      error_number = written < 0 ? errno : EIO;
      break;
    }
    at += static_cast<std::uint64_t>(written);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  // After a failed fdatasync nobody knows what is on the disk: all of it is written again.
  if (error_number == 0 && sync && calls_.Sync(file_) != 0) error_number = errno;
  if (error_number == 0) return {};
  // A part that stays is overwritten by the next attempt.
  if (calls_.Truncate(file_, static_cast<off_t>(offset)) != 0 && errno == EIO) error_number = EIO;
  return IoError(error_number, "write the audit trail");
}

Status LogFile::Rotate(std::uint64_t number) {
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, NumberedPath(number), RENAME_NOREPLACE) != 0) {
    return IoError(errno, "rotate the audit trail");
  }
  close(file_);
  file_ = -1;
  return {};
}

}  // namespace ktlsim::audit
