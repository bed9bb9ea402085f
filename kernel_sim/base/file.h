// Files that an operator named: read whole or not at all, written without ever waiting.
//
// What a newcomer gets wrong: a name may lead to anything. A FIFO without a partner, a terminal or
// a device can hold a thread for ever, a directory opens and then cannot be read, and a file may
// change under the reader. Each of these is a Status here, in words.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/base/result.h"

namespace ktlsim {

// What was in a file. Wiped when it goes: it may have been a key.
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

// Where ReadFile is: tests change the file there.
enum class ReadFileStep : std::uint8_t { kLooked, kOpened, kRead };
struct ReadFileObserver {
  virtual void OnStep(ReadFileStep step) = 0;

 protected:
  ~ReadFileObserver() = default;
};

// The whole content of the regular file `path`, at most `bytes_max` bytes of it. Symbolic links
// are followed.
//
// kContract: it is no regular file, it is larger, or it changed while it was read (as far as its
// size and times tell: who replaces a file renames the new one over it); nothing else was touched,
// above all no device was opened. kIo: the system says no. kResource: no memory.
// Passive level, any thread. Does not throw, except for what `observer` does.
Result<FileText> ReadFile(const char* path, std::size_t bytes_max,
                          ReadFileObserver* observer = nullptr);

// Opens `path` for writing, with O_APPEND or O_TRUNC in `flags`; it is made when it is not there.
// Regular files, character devices such as /dev/null, and pipes that this process has already
// (/dev/stdout); of those that can keep a writer waiting the descriptor does not block. Files are
// never executable.
//
// The descriptor is the caller's. kContract: it is something else, such as a FIFO or a directory.
// kIo: the system says no. Passive level, any thread.
Result<int> OpenForWriting(const char* path, int flags, mode_t mode);

// Replaces the content of `path` with `text`. What cannot be written at once is a failure; the file
// may then hold a part. As OpenForWriting.
Status WriteFile(const char* path, std::string_view text);

}  // namespace ktlsim
