#include "kernel_sim/audit/audit_head.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include <openssl/crypto.h>

namespace ktlsim::audit {
namespace {

constexpr std::string_view kMagic = "ktlsim audit 1\n";
constexpr std::size_t kMagicBytes = 16;
constexpr std::size_t kSealedBytes = kHeadCopyBytes - std::tuple_size_v<Mac>;

// Fields one after the other, numbers in little-endian order.
class HeadWriter {
 public:
  explicit HeadWriter(std::span<char> out) : out_(out) {}
  void Put(std::span<const std::byte> bytes) {
    std::memcpy(out_.data(), bytes.data(), bytes.size());
    out_ = out_.subspan(bytes.size());
  }
  void Put(std::uint64_t number) {
    for (std::size_t i = 0; i < 8; ++i) out_[i] = static_cast<char>(number >> (8 * i));
    out_ = out_.subspan(8);
  }

 private:
  std::span<char> out_;
};

class HeadReader {
 public:
  explicit HeadReader(std::span<const char> in) : in_(in) {}
  void Take(std::span<std::byte> bytes) {
    std::memcpy(bytes.data(), in_.data(), bytes.size());
    in_ = in_.subspan(bytes.size());
  }
  std::uint64_t Take() {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      number |= std::uint64_t{static_cast<unsigned char>(in_[i])} << (8 * i);
    }
    in_ = in_.subspan(8);
    return number;
  }

 private:
  std::span<const char> in_;
};

std::span<const std::byte> SealedPart(std::span<const char> copy) {
  return std::as_bytes(copy.first(kSealedBytes));
}

}  // namespace

bool EncodeHead(MacEngine& engine, const AuditHead& head, HeadCopy* copy) {
  copy->fill(0);
  std::ranges::copy(kMagic, copy->begin());
  HeadWriter out(std::span<char>(*copy).subspan(kMagicBytes));
  out.Put(head.closed ? 1 : 0);
  out.Put(head.log);
  out.Put(head.key_id);
  out.Put(head.sequence);
  out.Put(head.file);
  out.Put(head.offset);
  out.Put(head.last_mac);
  out.Put(head.key.bytes());
  Mac mac;
  if (!head.key.MacOfHead(engine, SealedPart(*copy), &mac)) return false;
  std::memcpy(copy->data() + kSealedBytes, mac.data(), mac.size());
  return true;
}

std::optional<AuditHead> DecodeHead(std::span<const char, kHeadCopyBytes> copy) {
  if (!std::string_view(copy.data(), copy.size()).starts_with(kMagic)) return std::nullopt;
  HeadReader in(std::span<const char>(copy).subspan(kMagicBytes));
  AuditHead head;
  head.closed = in.Take() != 0;
  in.Take(head.log);
  in.Take(head.key_id);
  head.sequence = in.Take();
  head.file = in.Take();
  head.offset = in.Take();
  in.Take(head.last_mac);
  Mac key;
  in.Take(key);
  head.key.Load(key);
  OPENSSL_cleanse(key.data(), key.size());
  return head;
}

bool IsSealed(MacEngine& engine, std::span<const char, kHeadCopyBytes> copy, const ChainKey& key) {
  Mac mac;
  Mac stored;
  std::memcpy(stored.data(), copy.data() + kSealedBytes, stored.size());
  return key.MacOfHead(engine, SealedPart(copy), &mac) && SameMac(mac, stored);
}

Result<std::unique_ptr<HeadFile>> HeadFile::Open(const std::string& path, FileCalls& calls) {
  Descriptor file(
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0600));
  if (!file.valid()) return IoError(errno, "open the head of the audit trail");
  struct stat facts{};
  if (fstat(file.number(), &facts) != 0) return IoError(errno, "look at the head's file");
  if (!S_ISREG(facts.st_mode)) return Status(Category::kContract, 0, "the head is a regular file");
  if (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return IoError(errno, "lock the head of the audit trail");
    return Status(Category::kContract, 0, "another writer has this audit trail");
  }
  std::unique_ptr<HeadFile> head(new (std::nothrow) HeadFile(file.number(), calls));
  if (head == nullptr) return ResourceError("no memory for the audit trail");
  file.Release();
  return head;
}

Result<bool> HeadFile::IsEmpty() const {
  struct stat facts{};
  if (fstat(file_.number(), &facts) != 0) return IoError(errno, "look at the head's file");
  // The first copy of the first head was not finished.
  return static_cast<std::size_t>(facts.st_size) < kHeadCopyBytes;
}

Result<AuditHead> HeadFile::Read(MacEngine& engine) const {
  std::optional<AuditHead> newest;
  for (std::size_t offset = 0; offset < kHeadBytes; offset += kHeadCopyBytes) {
    HeadCopy copy{};
    const ssize_t got = pread(file_.number(), copy.data(), copy.size(), static_cast<off_t>(offset));
    if (got < 0) return IoError(errno, "read the head of the audit trail");
    const std::optional<AuditHead> head = DecodeHead(copy);
    const bool whole = static_cast<std::size_t>(got) == kHeadCopyBytes && head &&
                       IsSealed(engine, copy, head->key);
    OPENSSL_cleanse(copy.data(), copy.size());
    if (!whole || (newest && newest->sequence >= head->sequence)) continue;
    newest = head;
  }
  if (!newest) return Status(Category::kContract, 0, "the head of the audit trail is damaged");
  return *newest;
}

Status HeadFile::WriteCopy(const HeadCopy& copy, std::size_t offset, bool sync) {
  std::size_t done = 0;
  while (done < copy.size()) {
    const ssize_t written = calls_.Write(file_.number(), copy.data() + done, copy.size() - done,
                                         static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return IoError(written < 0 ? errno : EIO, "write the audit trail's head");
    done += static_cast<std::size_t>(written);
  }
  if (sync && calls_.Sync(file_.number()) != 0) {
    return IoError(errno, "write the audit trail's head");
  }
  return {};
}

Status HeadFile::Seal(MacEngine& engine, const AuditHead& head, bool sync) {
  HeadCopy copy;
  Status status = EncodeHead(engine, head, &copy) ? Status() : ResourceError("seal the head");
  if (status.ok()) status = WriteCopy(copy, 0, sync);
  // Only now: at every moment one of the two is whole.
  if (status.ok()) status = WriteCopy(copy, kHeadCopyBytes, sync);
  OPENSSL_cleanse(copy.data(), copy.size());
  return status;
}

}  // namespace ktlsim::audit
