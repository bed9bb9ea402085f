// Files that an operator names: read whole or not at all, written without ever waiting.
//
// What a newcomer gets wrong: a name may lead to anything. A FIFO without a partner, a terminal or
// a device can block a thread without end; a directory can be opened but not read; a file may
// change while it is read. Each of these is a Status here, in words.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/result.h"

namespace ktlsim {

// The content of a file. It may be a private key, so its memory is wiped when it is destroyed.
class FileText {
 public:
  FileText() = default;
  FileText(FileText&& other) noexcept;
  FileText& operator=(FileText&& other) noexcept;
  ~FileText();

  std::string_view text() const { return {bytes_.get(), size_}; }

 private:
  friend class FileReader;

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Tests change the file at these points of ReadFile.
enum class ReadFileStep : std::uint8_t { kLooked, kOpened, kRead };
struct ReadFileObserver {
  virtual void OnStep(ReadFileStep step) = 0;

 protected:
  ~ReadFileObserver() = default;
};

// Returns the whole content of the regular file `path`, which may have `bytes_max` bytes. Symbolic
// links are followed.
//
// kContract: it is not a regular file, it is larger, or its size or times changed while it was read
// (to replace a file safely, rename the new one over it). A file of another kind is not even
// opened, since opening some devices has effects. kIo: the system refuses. kResource: no memory.
// Passive level, any thread. Throws only what `observer` throws.
Result<FileText> ReadFile(const char* path, std::size_t bytes_max,
                          ReadFileObserver* observer = nullptr);

// Opens `path` for writing, with O_APPEND or O_TRUNC in `flags`, and creates it if it does not
// exist. It may be a regular file, a character device such as /dev/null, or a pipe that this
// process has open already (/dev/stdout). The descriptor never blocks.
//
// The descriptor belongs to the caller. kContract: `path` is of another kind, such as a FIFO or a
// directory. kIo: the system refuses. Passive level, any thread.
Result<int> OpenForWriting(const char* path, int flags, mode_t mode);

// Replaces the content of `path` with `text`. Symbolic links are followed.
//
// A regular file is replaced as by ReplaceFile: a reader meets the old content or the new one, and
// the old one stays if there is no room for the new one. Written in place, and so perhaps in part,
// is what is no regular file, has several names, is named as a descriptor (/dev/stdout,
// /proc/self/fd/1), or cannot be replaced because its folder or owner is not ours. Otherwise as
// OpenForWriting. Throws bad_alloc.
Status WriteFile(const char* path, std::string_view text);

// Replaces the file `path` with one that has `text`, in one step: whoever opens it, also after a
// crash, finds the old content or the new one, whole. Owner and mode stay as they are; a file that
// does not exist yet gets `mode`. Where `path` is a symbolic link, the file that it leads to is
// replaced.
//
// kContract: it is not a regular file. kIo: the system refuses; the old file is as it was. Passive
// level, any thread.
Status ReplaceFile(const char* path, std::string_view text, mode_t mode);

// For whoever changes the file `path` in several steps: nobody else who asks has this while the
// descriptor is open. The file's folder is locked, and not the file, which will be another one
// after the change. The descriptor belongs to the caller.
//
// kContract: somebody else is changing a file there. kIo: the system refuses. Passive level.
Result<int> LockFolderOf(const char* path);

}  // namespace ktlsim
