#include "kernel_sim/serve/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

namespace ktlsim::serve {
namespace {

// O_NONBLOCK: a FIFO or a device must not make us wait; only regular files are served.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
// With RESOLVE_BENEATH a rename at the same time makes the resolution start again.
constexpr int kRaces = 16;

// Errors of openat2 by which an old kernel or a filter refuses the call itself. If the file is the
// reason, the walk gets the same error.
bool MayBeUnknown(int error_number) {
  switch (error_number) {
    case ENOSYS:
    case EPERM:
    case EACCES:
    case EINVAL:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

int OpenBeneath(int root, const char* path, std::uint64_t more) {
  open_how how{};
  how.flags = kOpenFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | more;
  return static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof(how)));
}

// The C library uses newfstatat. Where a filter refuses that, statx may be allowed.
int Ask(const OpenFile& file, struct stat* status) {
  if (fstat(file.descriptor(), status) == 0) return 0;
  const int error_number = errno;
  struct statx twin{};
  if (!MayBeUnknown(error_number) ||
      statx(file.descriptor(), "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE | STATX_MTIME | STATX_INO,
            &twin) != 0) {
    return error_number;
  }
  status->st_mode = twin.stx_mode;
  status->st_size = static_cast<off_t>(twin.stx_size);
  status->st_ino = twin.stx_ino;
  status->st_mtim = {.tv_sec = twin.stx_mtime.tv_sec, .tv_nsec = twin.stx_mtime.tv_nsec};
  return 0;
}

int Facts(const OpenFile& file, FileFacts* facts) {
  struct stat status{};
  if (const int error_number = Ask(file, &status); error_number != 0) {
    // The file is open already: this is not the client's lack of a right.
    return MayBeUnknown(error_number) ? ENOSYS : error_number;
  }
  facts->bytes = status.st_size > 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  facts->inode = status.st_ino;
  facts->modified_s = status.st_mtim.tv_sec;
  facts->modified_ns = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
  facts->regular = S_ISREG(status.st_mode);
  facts->directory = S_ISDIR(status.st_mode);
  return 0;
}

}  // namespace

void OpenFile::Close() {
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
}

Result<FileTree> FileTree::Open(const std::string& root) {
  OpenFile folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return IoError(errno, "open the folder");
  FileTree tree(std::move(folder));
  const int probe = OpenBeneath(tree.root_.descriptor(), ".", 0);
  if (probe >= 0) close(probe);
  tree.walk_ = probe < 0 && MayBeUnknown(errno);
  return tree;
}

int FileTree::OpenBelow(const std::string& path, Wait wait, OpenFile* file,
                        FileFacts* facts) const {
  if (walk_) return wait == Wait::kNever ? EAGAIN : WalkTo(path, file, facts);
  const char* const name = path.empty() ? "." : path.c_str();
  int descriptor = -1;
  for (int i = 0; i < (wait == Wait::kNever ? 1 : kRaces); ++i) {
    descriptor = OpenBeneath(root_.descriptor(), name, wait == Wait::kNever ? RESOLVE_CACHED : 0);
    if (descriptor >= 0 || errno != EAGAIN) break;
  }
  if (descriptor < 0) {
    const int error_number = errno;
    if (!MayBeUnknown(error_number)) return error_number;
    // Linux before 5.12 does not know RESOLVE_CACHED, and a filter may have come since the start.
    return wait == Wait::kNever ? EAGAIN : WalkTo(path, file, facts);
  }
  *file = OpenFile(descriptor);
  return Facts(*file, facts);
}

std::optional<io::OpenRequest> FileTree::RequestBelow(const std::string& path) const {
  if (walk_) return std::nullopt;
  return io::OpenRequest{.folder = root_.descriptor(),
                         .path = path.empty() ? "." : path.c_str(),
                         .flags = kOpenFlags,
                         .mode = 0,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
}

int FileTree::Take(int descriptor, OpenFile* file, FileFacts* facts) {
  *file = OpenFile(descriptor);
  return Facts(*file, facts);
}

int FileTree::List(std::vector<std::string>* names) const {
  const int descriptor = openat(root_.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(descriptor), &closedir);
  if (folder == nullptr) {
    const int error_number = errno;
    close(descriptor);
    return error_number;
  }
  for (;;) {
    errno = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the directory stream is this thread's own
    const dirent* const entry = readdir(folder.get());
    if (entry == nullptr) return errno;
    if (entry->d_name[0] != '.') names->emplace_back(entry->d_name);
  }
}

int FileTree::WalkTo(const std::string& path, OpenFile* file, FileFacts* facts) const {
  const int error_number = Walk(path, file);
  return error_number != 0 ? error_number : Facts(*file, facts);
}

int FileTree::Walk(const std::string& path, OpenFile* file) const {
  OpenFile folder(openat(root_.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return errno;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    rest = last ? "" : rest.substr(slash + 1);
    const int flags = last ? kOpenFlags : O_PATH | O_DIRECTORY | O_CLOEXEC;
    OpenFile next(openat(folder.descriptor(), name.c_str(), flags | O_NOFOLLOW));
    // With O_DIRECTORY a link is ENOTDIR; either way it is not followed.
    if (!next) return errno;
    folder = std::move(next);
  }
  *file = std::move(folder);
  return 0;
}

int ReadCached(const OpenFile& file, std::uint64_t offset, std::span<std::byte> out) {
  iovec piece{out.data(), out.size()};
  const ssize_t bytes =
      preadv2(file.descriptor(), &piece, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  // Some file systems do not support the flag, and old kernels and filters do not know the call.
  // The plain read reports any other error.
  return bytes >= 0 ? static_cast<int>(bytes) : -EAGAIN;
}

// Not preadv2: a filter that does not know it may allow the older call.
int ReadBlocking(const OpenFile& file, std::uint64_t offset, std::span<std::byte> out) {
  for (;;) {
    const ssize_t bytes =
        pread(file.descriptor(), out.data(), out.size(), static_cast<off_t>(offset));
    if (bytes >= 0) return static_cast<int>(bytes);
    if (errno != EINTR) return -errno;
  }
}

}  // namespace ktlsim::serve
