#include "kernel_sim/base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <climits>

#include "kernel_sim/base/descriptor.h"

namespace ktlsim {
namespace {

// How much is read of a file whose size is 0: the kernel's own files (/proc, /sys) are regular
// files and have that size.
constexpr std::size_t kSizelessBytes = 65536;

Status Refused(const char* why) { return {Category::kContract, 0, why}; }

// For everything but a regular file.
Status RefuseKind(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return Refused("it is a directory; a regular file is needed");
    case S_IFIFO:
      return Refused("it is a FIFO or a pipe; a regular file is needed");
    case S_IFSOCK:
      return Refused("it is a socket; a regular file is needed");
    case S_IFCHR:
    case S_IFBLK:
      return Refused("it is a device; a regular file is needed");
    default:
      return Refused("it is no regular file");
  }
}

Status OpenFailure(int error_number) {
  // With O_NONBLOCK this means that another program, such as a file server, holds a lease on it.
  if (error_number == EAGAIN) return Refused("another program is changing the file; try again");
  return IoError(error_number, "open the file");
}

bool SameContent(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// A pipe has no name of its own, so its path leads to a descriptor that is open already. A FIFO
// would wait for its partner.
bool IsPipe(const char* path) {
  struct statfs facts{};
  return statfs(path, &facts) == 0 && facts.f_type == PIPEFS_MAGIC;
}

Status RefuseForWriting(const char* path, mode_t mode) {
  if (S_ISREG(mode) || S_ISCHR(mode)) return {};
  if (S_ISFIFO(mode) && IsPipe(path)) return {};
  return RefuseKind(mode);
}

Status WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return IoError(errno, "write the file");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// Gives the new file the owner and the mode of the one that it will replace.
Status TakeOver(int file, const struct stat& old) {
  struct stat now{};
  if (fstat(file, &now) != 0) return IoError(errno, "look at the new file");
  const bool same_owner = now.st_uid == old.st_uid && now.st_gid == old.st_gid;
  if (!same_owner && fchown(file, old.st_uid, old.st_gid) != 0) {
    return IoError(errno, "give the new file its owner");
  }
  if (fchmod(file, old.st_mode & 07777) != 0) return IoError(errno, "give the new file its mode");
  return {};
}

// Writes and closes the file that will replace one like `old`.
Status FillDraft(Descriptor& file, std::string_view text, const struct stat& old) {
  Status status = WriteAll(file.number(), text);
  if (status.ok()) status = TakeOver(file.number(), old);
  if (status.ok() && fsync(file.number()) != 0) status = IoError(errno, "write the file");
  if (status.ok() && close(file.Release()) != 0) status = IoError(errno, "write the file");
  return status;
}

// A rename is only sure when the folder has reached the disk.
Status SyncFolder(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor folder(open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return IoError(errno, "open the folder");
  // Some file systems do not offer it for folders.
  if (fsync(folder.number()) != 0 && errno != EINVAL) return IoError(errno, "write the folder");
  return {};
}

}  // namespace

FileText::FileText(FileText&& other) noexcept
    : bytes_(std::move(other.bytes_)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

FileText& FileText::operator=(FileText&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

FileText::~FileText() {
  if (bytes_ != nullptr) explicit_bzero(bytes_.get(), capacity_);
}

// Reads one file. The content has one block from the beginning, so that no unwiped copy remains.
class FileReader {
 public:
  FileReader(const char* path, std::size_t bytes_max, ReadFileObserver* observer)
      : path_(path), bytes_max_(bytes_max), observer_(observer) {}

  Result<FileText> Read() {
    struct stat before{};
    if (stat(path_, &before) != 0) return OpenFailure(errno);
    // Before it is opened: opening has effects on some devices, and wakes the other end of a FIFO.
    if (!S_ISREG(before.st_mode)) return RefuseKind(before.st_mode);
    Pass(ReadFileStep::kLooked);
    const Descriptor file(open(path_, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (file.number() < 0) return OpenFailure(errno);
    if (fstat(file.number(), &before) != 0) return OpenFailure(errno);
    if (!S_ISREG(before.st_mode)) return RefuseKind(before.st_mode);
    Status status = MakeRoom(static_cast<std::size_t>(before.st_size));
    if (!status.ok()) return status;
    Pass(ReadFileStep::kOpened);
    status = ReadAll(file.number());
    if (!status.ok()) return status;
    Pass(ReadFileStep::kRead);
    struct stat after{};
    if (fstat(file.number(), &after) != 0) return IoError(errno, "look at the file again");
    const bool whole = before.st_size == 0 || content_.size_ == expected_;
    if (!whole || !SameContent(before, after)) {
      return Refused("it changed while it was read; try again");
    }
    return std::move(content_);
  }

 private:
  void Pass(ReadFileStep step) {
    if (observer_ != nullptr) observer_->OnStep(step);
  }

  Status MakeRoom(std::size_t file_bytes) {
    if (file_bytes > bytes_max_) return Refused("the file is too large");
    expected_ = file_bytes;
    // One byte more, to notice that there is more.
    content_.capacity_ = (file_bytes != 0 ? file_bytes : std::min(kSizelessBytes, bytes_max_)) + 1;
    content_.bytes_.reset(new (std::nothrow) char[content_.capacity_]);
    if (content_.bytes_ == nullptr) return ResourceError("no memory for the file's content");
    return {};
  }

  Status ReadAll(int file) {
    while (content_.size_ < content_.capacity_) {
      const ssize_t got =
          read(file, content_.bytes_.get() + content_.size_, content_.capacity_ - content_.size_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return IoError(errno, "read the file");
      if (got == 0) return {};
      content_.size_ += static_cast<std::size_t>(got);
    }
    return expected_ == 0 ? Refused("the file is too large")
                          : Refused("it changed while it was read; try again");
  }

  const char* const path_;
  const std::size_t bytes_max_;
  ReadFileObserver* const observer_;
  std::size_t expected_ = 0;
  FileText content_;
};

Result<FileText> ReadFile(const char* path, std::size_t bytes_max, ReadFileObserver* observer) {
  return FileReader(path, bytes_max, observer).Read();
}

Result<int> OpenForWriting(const char* path, int flags, mode_t mode) {
  struct stat facts{};
  if (stat(path, &facts) == 0) {
    const Status refused = RefuseForWriting(path, facts.st_mode);
    if (!refused.ok()) return refused;
  }
  Descriptor file(open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags, mode));
  if (file.number() < 0) return OpenFailure(errno);
  if (fstat(file.number(), &facts) != 0) return OpenFailure(errno);
  const Status refused = RefuseForWriting(path, facts.st_mode);
  if (!refused.ok()) return refused;
  return file.Release();
}

namespace {

Status WriteInPlace(const char* path, std::string_view text) {
  const Result<int> opened = OpenForWriting(path, O_TRUNC, 0666);
  if (!opened.ok()) return opened.status();
  Descriptor file(opened.value());
  const Status status = WriteAll(file.number(), text);
  if (!status.ok()) return status;
  // Some file systems report only here that there was no room.
  if (close(file.Release()) != 0) return IoError(errno, "write the file");
  return {};
}

// Whether `path` names an open descriptor (/dev/stdout), whose file has a name of its own. A chain
// of links that does not end counts as one.
bool NamesDescriptor(std::string path) {
  constexpr int kLinksMax = 40;  // as many as the kernel follows
  for (int links = 0; links < kLinksMax; ++links) {
    const std::size_t slash = path.rfind('/');
    std::string folder = slash == std::string::npos ? "./" : path.substr(0, slash + 1);
    struct statfs system{};
    if (statfs(folder.c_str(), &system) != 0 || system.f_type == PROC_SUPER_MAGIC) return true;
    char target[PATH_MAX];
    const ssize_t bytes = readlink(path.c_str(), target, sizeof(target));
    if (bytes < 0) return errno != EINVAL;  // EINVAL: it is no link
    const std::string next(target, static_cast<std::size_t>(bytes));
    path = next.starts_with('/') ? next : folder.append(next);
  }
  return true;
}

// Whether a new file can have the place of `path`. With several names, all of them show the new
// content only if it is written in place.
bool CanBeReplaced(const char* path) {
  struct stat old{};
  return stat(path, &old) == 0 && S_ISREG(old.st_mode) && old.st_nlink == 1 &&
         faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 && !NamesDescriptor(path);
}

// The folder or the owner is not ours, or a file system is mounted on the file's name. A lack of
// room is none of these: the old content is better than a part of the new one.
bool MayBeWrittenInPlace(const Status& refusal) {
  return refusal.code() == EACCES || refusal.code() == EPERM || refusal.code() == EBUSY ||
         refusal.code() == ENAMETOOLONG;
}

}  // namespace

Status WriteFile(const char* path, std::string_view text) {
  if (!CanBeReplaced(path)) return WriteInPlace(path, text);
  const Status replaced = ReplaceFile(path, text, 0666);
  if (replaced.ok() || !MayBeWrittenInPlace(replaced)) return replaced;
  return WriteInPlace(path, text);
}

Status ReplaceFile(const char* path, std::string_view text, mode_t mode) {
  struct stat old{};
  const bool exists = stat(path, &old) == 0;
  if (!exists && errno != ENOENT) return OpenFailure(errno);
  if (exists && !S_ISREG(old.st_mode)) return RefuseKind(old.st_mode);
  if (!exists) {
    old.st_mode = mode;
    old.st_uid = geteuid();
    old.st_gid = getegid();
  }
  const std::unique_ptr<char, decltype(&free)> resolved(realpath(path, nullptr), &free);
  if (exists && resolved == nullptr) return IoError(errno, "follow the file's name");
  const std::string target = exists ? resolved.get() : path;
  std::string draft = target + ".XXXXXX";
  Descriptor file(mkostemp(draft.data(), O_CLOEXEC));
  if (!file.valid()) return IoError(errno, "create a file in the folder");
  Status status = FillDraft(file, text, old);
  if (status.ok() && rename(draft.c_str(), target.c_str()) != 0) {
    status = IoError(errno, "put the new file in the place of the old one");
  }
  if (status.ok()) return SyncFolder(target);
  unlink(draft.c_str());
  return status;
}

Result<int> LockFolderOf(const char* path) {
  const std::string name = path;
  const std::size_t slash = name.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : name.substr(0, slash + 1);
  Descriptor lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return IoError(errno, "open the folder of the file");
  if (flock(lock.number(), LOCK_EX | LOCK_NB) == 0) return lock.Release();
  if (errno != EWOULDBLOCK) return IoError(errno, "lock the folder of the file");
  return Status(Category::kContract, 0, "another program is changing a file there; try again");
}

}  // namespace ktlsim
