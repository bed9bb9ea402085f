// FileTree: opens files below one folder and never outside it, whatever the path or a symbolic link
// in it says.
//
// With openat2 (RESOLVE_BENEATH), links that stay below the root are followed. Where the kernel
// does not have it, or a filter forbids it, the path is walked name by name and no link is
// followed.
//
// Private to serve/. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::serve {

class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  OpenFile(OpenFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OpenFile() { Close(); }

  void Close();
  int descriptor() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

struct FileFacts {
  std::uint64_t bytes = 0;
  std::uint64_t inode = 0;
  std::time_t modified_s = 0;
  std::uint32_t modified_ns = 0;
  bool regular = false;
  bool directory = false;
  bool operator==(const FileFacts&) const = default;
};

class FileTree {
 public:
  // kIo: not a folder that can be read. Passive level.
  static Result<FileTree> Open(const std::string& root);

  // kNever: EAGAIN where the disk would be needed; good at dispatch level.
  enum class Wait : std::uint8_t { kNever, kMayBlock };

  // `path` as ResolveTarget makes it. 0, or the errno value; EXDEV and ELOOP for what would leave
  // the root.
  int OpenBelow(const std::string& path, Wait wait, OpenFile* file, FileFacts* facts) const;

  // What a ring is to open instead, with the rights of a Unix user, which decide for themselves;
  // none: this tree is walked. `path` stays alive and unchanged until it has. Any level.
  std::optional<io::OpenRequest> RequestBelow(const std::string& path) const;
  // What the ring has opened. 0, or the errno value.
  static int Take(int descriptor, OpenFile* file, FileFacts* facts);

  // The names in the root itself, in no order, without those that begin with a dot. 0, or the errno
  // value. Passive level.
  int List(std::vector<std::string>* names) const;

  // Tests: as on a kernel without openat2.
  void WalkAlways() { walk_ = true; }

 private:
  explicit FileTree(OpenFile root) : root_(std::move(root)) {}

  int Walk(const std::string& path, OpenFile* file) const;
  int WalkTo(const std::string& path, OpenFile* file, FileFacts* facts) const;

  OpenFile root_;
  bool walk_ = false;
};

// Reads at `offset` what is there, at most `out`. The number of bytes, 0 at the end of the file, or
// -EAGAIN where it would need the disk or cannot be told: ReadBlocking knows.
int ReadCached(const OpenFile& file, std::uint64_t offset, std::span<std::byte> out);
// The same, and waits for the disk. A negative errno value on failure.
int ReadBlocking(const OpenFile& file, std::uint64_t offset, std::span<std::byte> out);

}  // namespace ktlsim::serve
