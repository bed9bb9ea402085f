// The head of a trail: how many lines it has, in a file beside the log. A log alone cannot show
// that its last lines were cut off; with the head it can.
//
// The head is sealed by a MAC under the key of the line that comes next. Who takes the machine gets
// that key, and can make no head of fewer lines. The file has that key, too, since a writer that
// starts again needs it: it is as secret as the machine.
//
// The file has two equal copies. They are written one after the other, so that one is whole
// whenever the machine stops, and both are overwritten in place, so that older keys are gone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "kernel_sim/audit/audit_key.h"
#include "kernel_sim/audit/file_calls.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::audit {

struct AuditHead {
  LogId log{};
  KeyId key_id{};
  std::uint64_t sequence = 0;  // of the next line: so many there are
  std::uint64_t file = 1;      // the number of the file that is written
  std::uint64_t offset = 0;    // its bytes that are covered
  Mac last_mac{};              // of the last line
  ChainKey key;                // of the next line
  bool closed = false;         // the writer ended in order: nothing may follow
};

inline constexpr std::size_t kHeadCopyBytes = 4096;
inline constexpr std::size_t kHeadBytes = 2 * kHeadCopyBytes;
using HeadCopy = std::array<char, kHeadCopyBytes>;

// False: OpenSSL refuses.
[[nodiscard]] bool EncodeHead(MacEngine& engine, const AuditHead& head, HeadCopy* copy);
// None: it is no head at all. Its MAC is not looked at.
std::optional<AuditHead> DecodeHead(std::span<const char, kHeadCopyBytes> copy);
// Whether the copy is sealed with `key`, the one of line `sequence`.
bool IsSealed(MacEngine& engine, std::span<const char, kHeadCopyBytes> copy, const ChainKey& key);

// The file of a writer, which it alone may have.
class HeadFile {
 public:
  // Opens the file, and makes one that is empty where there is none. kContract: another writer has
  // it, or it is no regular file. kIo: the system refuses. Passive level.
  static Result<std::unique_ptr<HeadFile>> Open(const std::string& path, FileCalls& calls);

  // Whether no head has ever been written to it.
  Result<bool> IsEmpty() const;
  // kContract: neither copy is whole.
  Result<AuditHead> Read(MacEngine& engine) const;
  // Replaces the head; with `sync` it is on the disk when this returns. kIo; the older head, or
  // this one, can be read then.
  Status Seal(MacEngine& engine, const AuditHead& head, bool sync);

 private:
  HeadFile(int file, FileCalls& calls) : file_(file), calls_(calls) {}
  Status WriteCopy(const HeadCopy& copy, std::size_t offset, bool sync);

  Descriptor file_;
  FileCalls& calls_;
};

}  // namespace ktlsim::audit
