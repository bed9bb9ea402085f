#include "kernel_sim/audit/trail_writer.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::audit {
namespace {

// A batch ends when it has so many bytes; one more line fits behind.
constexpr std::size_t kBatchBytes = 1 << 20;
static_assert(kBatchBytes + kLineBytesMax + 2 <= kUnsealedBytesMax);
// Lines of the trail about itself come in front.
constexpr std::size_t kBatchLines = kUnsealedLinesMax;

Status CryptoFailure() { return {Category::kCrypto, 0, "compute the MAC of an audit record"}; }

FileCalls& CallsOf(const AuditOptions& options) {
  return options.calls != nullptr ? *options.calls : FileCalls::System();
}

AuditOptions WithoutSecret(AuditOptions options) {
  options.secret = {};
  return options;
}

std::string HeadPathOf(const AuditOptions& options) {
  return options.head_path.empty() ? options.path + ".head" : options.head_path;
}

Status CheckSecret(std::span<const std::byte> secret) {
  if (secret.size() >= kSecretBytesMin && secret.size() <= kSecretBytesMax) return {};
  return {Category::kContract, 0,
          "an audit key has 32 to 4096 random bytes: head -c 32 /dev/urandom > FILE"};
}

}  // namespace

TrailWriter::TrailWriter(const AuditOptions& options, std::unique_ptr<MacEngine> engine,
                         std::unique_ptr<HeadFile> head_file)
    : options_(WithoutSecret(options)),
      engine_(std::move(engine)),
      head_file_(std::move(head_file)),
      log_(options.path, CallsOf(options)) {
  // All that it ever needs, so that a trail goes on where memory is short.
  batch_.reserve(kBatchBytes + kLineBytesMax + 2);
}

Result<std::unique_ptr<TrailWriter>> TrailWriter::Open(const AuditOptions& options) {
  if (!options.secret.empty()) {
    const Status secret = CheckSecret(options.secret);
    if (!secret.ok()) return secret;
  }
  std::unique_ptr<MacEngine> engine = MacEngine::Create();
  if (engine == nullptr) return ResourceError("prepare the MACs of the audit trail");
  Result<std::unique_ptr<HeadFile>> head_file =
      HeadFile::Open(HeadPathOf(options), CallsOf(options));
  if (!head_file) return head_file.status();
  const Result<bool> fresh = (*head_file)->IsEmpty();
  if (!fresh) return fresh.status();
  std::unique_ptr<TrailWriter> writer(
      new TrailWriter(options, std::move(engine), std::move(*head_file)));
  const Status status =
      fresh.value() ? writer->Begin(options.secret) : writer->Resume(options.secret);
  if (!status.ok()) return status;
  return writer;
}

Status TrailWriter::Begin(std::span<const std::byte> secret) {
  if (secret.empty()) {
    return {Category::kContract, 0, "a new audit trail needs its audit key"};
  }
  if (access(options_.path.c_str(), F_OK) == 0 ||
      access((options_.path + ".1").c_str(), F_OK) == 0) {
    return {Category::kContract, 0,
            "there is an audit trail of this name, and no head of it: move it away, or bring its "
            "head back"};
  }
  if (getrandom(head_.log.data(), head_.log.size(), 0) != static_cast<ssize_t>(head_.log.size())) {
    return IoError(errno, "get random bytes");
  }
  if (!IdOfSecret(*engine_, secret, &head_.key_id) ||
      !head_.key.Derive(*engine_, secret, head_.log)) {
    return CryptoFailure();
  }
  // The head first: a log without one cannot be continued.
  Status status = head_file_->Seal(*engine_, head_, options_.sync == SyncPolicy::kEveryBatch);
  if (status.ok()) status = SyncFolderOf(HeadPathOf(options_), CallsOf(options_));
  if (status.ok()) status = log_.MakeReady();
  if (!status.ok()) return status;
  return WriteLine({.event = AuditEvent::kStart, .unix_ns = options_.unix_time_ns()});
}

Status TrailWriter::Resume(std::span<const std::byte> secret) {
  Result<AuditHead> head = head_file_->Read(*engine_);
  if (!head) return head.status();
  head_ = *head;
  if (!secret.empty()) {
    KeyId id;
    if (!IdOfSecret(*engine_, secret, &id)) return CryptoFailure();
    if (id != head_.key_id) {
      return {Category::kContract, 0, "the audit trail was begun with another audit key"};
    }
  }
  Leftover leftover;
  const Status status = log_.Continue(*engine_, &head_, &leftover);
  if (!status.ok()) return status;
  head_.closed = false;
  if (head_.sequence == 0) {
    return WriteLine({.event = AuditEvent::kStart, .unix_ns = options_.unix_time_ns()});
  }
  return WriteLine({.event = AuditEvent::kResume,
                    .unix_ns = options_.unix_time_ns(),
                    .count = leftover.lines,
                    .dropped = leftover.dropped});
}

void TrailWriter::BeginBatch() {
  KTLSIM_ASSERT(batch_.empty());
  next_ = head_;
}

bool TrailWriter::FinishLine(std::size_t begin, std::size_t body) {
  AppendPrevious(next_.last_mac, &batch_);
  Mac mac;
  ChainKey key = next_.key;
  if (!key.MacOfLine(*engine_, std::string_view(batch_).substr(body), &mac) ||
      !key.Step(*engine_)) {
    batch_.resize(begin);
    return false;
  }
  AppendMac(mac, &batch_);
  next_.key = key;
  next_.last_mac = mac;
  ++next_.sequence;
  next_.offset += batch_.size() - begin;
  return true;
}

bool TrailWriter::AddLine(const TrailRecord& record) {
  const std::size_t begin = batch_.size();
  TrailRecord whole = record;
  whole.ids = {.log = head_.log, .key = head_.key_id};
  whole.file = next_.file;
  AppendTrailBody(whole, next_.sequence, &batch_);
  return FinishLine(begin, begin);
}

bool TrailWriter::AddLine(const QueuedRecord& record) {
  const std::size_t begin = batch_.size();
  AppendRecordBody(record, next_.sequence, &batch_);
  return FinishLine(begin, begin);
}

bool TrailWriter::AddLosses(TrailLosses& losses) {
  for (const auto& [event, counter] : {std::pair(AuditEvent::kLost, &losses.lost),
                                       std::pair(AuditEvent::kRefused, &losses.refused),
                                       std::pair(AuditEvent::kLogonsLost, &losses.logons)}) {
    const std::uint64_t count = counter->load();
    if (count == 0) continue;
    if (!AddLine({.event = event, .unix_ns = options_.unix_time_ns(), .count = count}))
      return false;
    counter->fetch_sub(count);
  }
  return true;
}

Status TrailWriter::Write(RecordQueue& queue, TrailLosses& losses) {
  if (batch_.empty() && sealed_) {
    BeginBatch();
    bool made = true;
    if (head_.offset == 0) {
      made = AddLine({.event = AuditEvent::kContinue, .unix_ns = options_.unix_time_ns()});
    }
    made = made && AddLosses(losses);
    while (made && batch_.size() < kBatchBytes && next_.sequence - head_.sequence < kBatchLines) {
      const QueuedRecord* const record = queue.Front();
      if (record == nullptr) break;
      made = AddLine(*record);
      if (made) queue.Pop();
    }
    if (!made && batch_.empty()) return CryptoFailure();
  }
  if (!batch_.empty()) {
    const Status written = WriteBatch();
    if (!written.ok()) return written;
  }
  return sealed_ ? Status() : Seal();
}

Status TrailWriter::WriteBatch() {
  const Status ready = log_.MakeReady();
  if (!ready.ok()) return ready;
  const Status appended =
      log_.Append(batch_, head_.offset, options_.sync == SyncPolicy::kEveryBatch);
  if (!appended.ok()) return appended;
  unsealed_lines_ = next_.sequence - head_.sequence;
  head_ = next_;
  next_ = {};
  batch_.clear();
  sealed_ = false;
  return {};
}

Status TrailWriter::Seal() {
  const Status status = head_file_->Seal(*engine_, head_, options_.sync == SyncPolicy::kEveryBatch);
  sealed_ = status.ok();
  return status;
}

Status TrailWriter::WriteLine(const TrailRecord& record) {
  BeginBatch();
  if (head_.offset == 0 && record.event != AuditEvent::kStart &&
      !AddLine({.event = AuditEvent::kContinue, .unix_ns = record.unix_ns})) {
    return CryptoFailure();
  }
  if (!AddLine(record)) return CryptoFailure();
  next_.closed = record.event == AuditEvent::kStop;
  const Status written = WriteBatch();
  return written.ok() ? Seal() : written;
}

Status TrailWriter::Rotate() {
  KTLSIM_ASSERT(!pending());
  // The head on the disk does not know the file that is written now, and may not be two behind.
  if (head_.offset == 0) return {};
  const Status renamed = log_.Rotate(head_.file);
  if (!renamed.ok()) return renamed;
  ++head_.file;
  head_.offset = 0;
  // If this fails, the next batch tries it again.
  return log_.MakeReady();
}

Status TrailWriter::Stop() {
  KTLSIM_ASSERT(!pending());
  return WriteLine({.event = AuditEvent::kStop, .unix_ns = options_.unix_time_ns()});
}

}  // namespace ktlsim::audit
