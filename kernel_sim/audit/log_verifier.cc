#include "kernel_sim/audit/log_verifier.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <tuple>

#include <openssl/crypto.h>

#include "kernel_sim/audit/log_file.h"

namespace ktlsim::audit {
namespace {

constexpr std::uint64_t kStride = 1024;
constexpr std::size_t kHeadPlace = std::numeric_limits<std::size_t>::max();

std::optional<HeadCopy> CopyAt(std::string_view head, std::size_t index) {
  if (head.size() < (index + 1) * kHeadCopyBytes) return std::nullopt;
  HeadCopy copy;
  std::memcpy(copy.data(), head.data() + index * kHeadCopyBytes, copy.size());
  return copy;
}

}  // namespace

std::string_view NameOf(FindingKind kind) {
  switch (kind) {
    case FindingKind::kAltered:
      return "altered";
    case FindingKind::kInserted:
      return "inserted";
    case FindingKind::kRemoved:
      return "removed";
    case FindingKind::kReordered:
      return "reordered";
    case FindingKind::kDuplicated:
      return "duplicated";
    case FindingKind::kCutTail:
      return "cut-tail";
    case FindingKind::kUnlinked:
      return "unlinked";
    case FindingKind::kWrongKey:
      return "wrong-key";
    case FindingKind::kNoTrail:
      return "no-trail";
    case FindingKind::kForeignHead:
      return "foreign-head";
    case FindingKind::kHeadAltered:
      return "head-altered";
    case FindingKind::kHeadBehind:
      return "head-behind";
  }
  return "?";
}

std::unique_ptr<LogVerifier> LogVerifier::Create(std::span<const std::byte> secret,
                                                 std::string_view head,
                                                 const VerifyOptions& options) {
  std::unique_ptr<MacEngine> engine = MacEngine::Create();
  if (engine == nullptr) return nullptr;
  return std::unique_ptr<LogVerifier>(new LogVerifier(std::move(engine), secret, head, options));
}

LogVerifier::LogVerifier(std::unique_ptr<MacEngine> engine, std::span<const std::byte> secret,
                         std::string_view head, const VerifyOptions& options)
    : engine_(std::move(engine)),
      options_(options),
      head_(head),
      secret_(secret.begin(), secret.end()),
      steps_left_(options.steps_max) {
  NoteHeadEnds();
}

LogVerifier::~LogVerifier() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(head_.data(), head_.size());
}

void LogVerifier::Report(FindingKind kind, const Place& place, std::uint64_t first,
                         std::uint64_t last) {
  ++report_.found;
  if (report_.findings.size() == kFindingsMax) return;
  report_.findings.push_back(
      {.kind = kind, .file = place.file, .line = place.line, .first = first, .last = last});
}

// ---- Which trail

std::optional<AuditHead> LogVerifier::FirstHead() const {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    const std::optional<HeadCopy> copy = CopyAt(head_, index);
    if (!copy) continue;
    if (std::optional<AuditHead> head = DecodeHead(*copy)) return head;
  }
  return std::nullopt;
}

void LogVerifier::NoteHeadEnds() {
  for (std::size_t index = 0; index < head_ends_.size(); ++index) {
    const std::optional<HeadCopy> copy = CopyAt(head_, index);
    const std::optional<AuditHead> head = copy ? DecodeHead(*copy) : std::nullopt;
    if (head) head_ends_[index].sequence = head->sequence;
  }
}

bool LogVerifier::Choose(const LogId& log) {
  log_ = log;
  strides_.clear();
  next_ = 0;
  if (!next_key_.Derive(*engine_, secret_, log)) return false;
  strides_.push_back(next_key_);
  return true;
}

bool LogVerifier::Identify(std::string_view line) {
  const std::optional<AuditHead> head = FirstHead();
  const std::optional<ParsedLine> parsed = ParseLine(line);
  const std::optional<LineIds> ids = parsed ? IdsOfLine(parsed->body) : std::nullopt;
  // What the line says counts if it is genuine by that; then the head may be another trail's.
  if (ids && Choose(ids->log) && IsGenuine(*parsed)) return true;
  if (!head && !ids) {
    Report(FindingKind::kNoTrail, here_, 0, 0);
    return false;
  }
  KeyId ours;
  if (!IdOfSecret(*engine_, secret_, &ours)) return false;
  if ((!head || head->key_id != ours) && (!ids || ids->key != ours)) {
    Report(FindingKind::kWrongKey, here_, 0, 0);
    return false;
  }
  return Choose(head ? head->log : ids->log);
}

// ---- Keys

bool LogVerifier::StepOnce(ChainKey* key) {
  if (steps_left_ == 0) return false;
  --steps_left_;
  return key->Step(*engine_);
}

bool LogVerifier::KeyOf(std::uint64_t sequence, ChainKey* key) {
  std::uint64_t at = next_;
  *key = next_key_;
  if (sequence < next_) {
    const std::uint64_t stride = sequence / kStride;
    at = stride * kStride;
    *key = strides_[stride];
  }
  if (sequence - at > steps_left_) return false;
  for (; at < sequence; ++at) {
    if (!StepOnce(key)) return false;
  }
  return true;
}

void LogVerifier::Advance(std::uint64_t sequence) {
  while (next_ <= sequence) {
    // Their number was found to be within the limit when the line was found genuine.
    if (!next_key_.Step(*engine_)) {
      stopped_ = true;
      return;
    }
    ++next_;
    if (next_ % kStride == 0) strides_.push_back(next_key_);
  }
}

bool LogVerifier::IsGenuine(const ParsedLine& line) {
  ChainKey key;
  Mac mac;
  return KeyOf(line.sequence, &key) && key.MacOfLine(*engine_, line.body, &mac) &&
         SameMac(mac, line.mac);
}

// ---- Lines

void LogVerifier::BeginFile() {
  TakeTorn();
  here_ = {.file = files_++, .line = 0};
}

void LogVerifier::TakeLine(std::string_view line, bool whole) {
  TakeTorn();
  ++here_.line;
  if (!log_ && !stopped_) stopped_ = !Identify(line);
  if (stopped_) return;
  if (!whole) {
    torn_bytes_ = line.size();
    return;
  }
  const std::optional<ParsedLine> parsed = ParseLine(line);
  if (!parsed || !IsGenuine(*parsed)) {
    TakeUnknown();
  } else if (parsed->sequence >= next_) {
    TakeGenuine(*parsed);
  } else {
    TakeLate(parsed->sequence);
  }
}

void LogVerifier::TakeTorn() {
  if (torn_bytes_ == 0) return;
  torn_bytes_ = 0;
  TakeUnknown();
}

void LogVerifier::TakeUnknown() {
  ++unknown_count_;
  if (unknown_.size() < kFindingsMax) unknown_.push_back(here_);
}

std::uint64_t LogVerifier::SettleUnknown(std::uint64_t sequence) {
  std::uint64_t at = next_;
  for (std::uint64_t i = 0; i < unknown_count_; ++i) {
    const Place place = i < unknown_.size() ? unknown_[i] : here_;
    if (at < sequence) {
      Report(FindingKind::kAltered, place, at, at);
      ++at;
    } else {
      Report(FindingKind::kInserted, place, at, at);
    }
  }
  unknown_.clear();
  unknown_count_ = 0;
  return at;
}

void LogVerifier::TakeGenuine(const ParsedLine& line) {
  const std::uint64_t sequence = line.sequence;
  const bool first = report_.genuine == 0;
  if (!first && sequence == next_ && !IsOf(line.previous, last_mac_)) {
    Report(FindingKind::kUnlinked, here_, sequence - 1, sequence);
  }
  last_mac_ = line.mac;
  for (HeadEnd& end : head_ends_) {
    if (end.sequence == sequence + 1) end.mac = line.mac;
  }
  const std::uint64_t at = SettleUnknown(sequence);
  if (at < sequence && !(first && options_.partial)) {
    missing_[at] = {.last = sequence - 1, .place = here_};
  }
  if (first) report_.first = sequence;
  report_.last = sequence;
  ++report_.genuine;
  Advance(sequence);
}

void LogVerifier::TakeLate(std::uint64_t sequence) {
  auto gap = missing_.upper_bound(sequence);
  const bool has_gap = gap != missing_.begin();
  if (has_gap) --gap;
  if (!has_gap || gap->second.last < sequence) {
    Report(FindingKind::kDuplicated, here_, sequence, sequence);
    return;
  }
  Report(FindingKind::kReordered, here_, sequence, sequence);
  ++report_.genuine;
  const std::uint64_t first = gap->first;
  const Gap whole = gap->second;
  missing_.erase(gap);
  if (first < sequence) missing_[first] = {.last = sequence - 1, .place = whole.place};
  if (sequence < whole.last) missing_[sequence + 1] = whole;
}

// ---- The end

std::optional<AuditHead> LogVerifier::SealedHead(const HeadCopy& copy) {
  std::optional<AuditHead> head = DecodeHead(copy);
  ChainKey key;
  if (!head || head->log != log_ || !KeyOf(head->sequence, &key) ||
      !IsSealed(*engine_, copy, key)) {
    return std::nullopt;
  }
  return head;
}

bool LogVerifier::TakeHeadCopy(const HeadCopy& copy) {
  const std::optional<AuditHead> head = SealedHead(copy);
  if (!head) return false;
  if (report_.head && *report_.head >= head->sequence) return true;
  report_.head = head->sequence;
  report_.closed = head->closed;
  for (const HeadEnd& end : head_ends_) {
    if (end.sequence != head->sequence || !end.mac || SameMac(*end.mac, head->last_mac)) continue;
    Report(FindingKind::kUnlinked, {.file = kHeadPlace, .line = 0}, end.sequence - 1,
           end.sequence - 1);
    break;
  }
  return true;
}

void LogVerifier::TakeNewerHead(std::string_view head) {
  if (!log_ || stopped_) return;
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    const std::optional<HeadCopy> copy = CopyAt(head, index);
    const std::optional<AuditHead> sealed = copy ? SealedHead(*copy) : std::nullopt;
    if (sealed) newer_head_ = std::max(newer_head_, sealed->sequence);
  }
}

void LogVerifier::CheckHead() {
  if (head_.empty()) return;
  const Place place{.file = kHeadPlace, .line = 0};
  const std::optional<AuditHead> any = FirstHead();
  if (any && any->log != log_) {
    Report(FindingKind::kForeignHead, place, 0, 0);
    return;
  }
  std::size_t good = 0;
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    const std::optional<HeadCopy> copy = CopyAt(head_, index);
    if (copy && TakeHeadCopy(*copy)) ++good;
  }
  // A crash can leave one that is not whole, but not after the writer has ended in order.
  const bool equal =
      head_.substr(0, kHeadCopyBytes) == head_.substr(std::min(head_.size(), kHeadCopyBytes));
  if (good == 0 || (report_.closed && !equal)) Report(FindingKind::kHeadAltered, place, 0, 0);
}

void LogVerifier::CheckTail() {
  const std::uint64_t sealed = report_.head.value_or(next_);
  const bool may_be_torn = !report_.closed && unknown_count_ == 0 && next_ >= sealed;
  if (torn_bytes_ != 0 && may_be_torn) {
    report_.torn_bytes = torn_bytes_;
    torn_bytes_ = 0;
  }
  TakeTorn();
  // Without a head, a line that is not genuine may well be one that was changed.
  const std::uint64_t at = SettleUnknown(report_.head ? sealed : next_ + unknown_count_);
  if (report_.head && at < sealed) Report(FindingKind::kCutTail, here_, at, sealed - 1);
  if (next_ <= sealed) return;
  // What the writer has sealed while the lines were read is not cut off if it is not there.
  report_.unsealed = next_ - std::max(sealed, std::min(newer_head_, next_));
  if (report_.closed || report_.unsealed > kUnsealedLinesMax) {
    Report(FindingKind::kHeadBehind, {.file = kHeadPlace, .line = 0}, sealed, next_ - 1);
  }
}

void LogVerifier::ReportGaps() {
  for (const auto& [first, gap] : missing_) {
    Report(FindingKind::kRemoved, gap.place, first, gap.last);
  }
}

VerifyReport LogVerifier::Finish() {
  // Not one line: the head may still say which trail it was.
  if (!log_ && !stopped_) stopped_ = !Identify({});
  if (!stopped_) {
    CheckHead();
    CheckTail();
    ReportGaps();
  }
  std::ranges::sort(report_.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.file, a.line, a.first, a.kind) < std::tie(b.file, b.line, b.first, b.kind);
  });
  return std::move(report_);
}

}  // namespace ktlsim::audit
