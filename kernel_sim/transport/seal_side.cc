#include "kernel_sim/transport/seal_side.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <array>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::transport {

bool SealSide::Due(bool close_due) const {
  if (in_flight() || held_ || key_check_due_) return false;
  return retry_due() || queue_.HasUnsealed() || close_due;
}

bool SealSide::Describe() {
  if (retry_due()) return true;
  const SendQueue::Sizes& sizes = queue_.sizes();
  SendQueue::Record record;
  is_close_ = !queue_.HasUnsealed();
  if (is_close_) {
    record = queue_.BeginAlert();
    if (record.start == nullptr) return false;
    // warning, close_notify (RFC 8446 6.1): how a caller without ApplyControlToken closes.
    record.start[sizes.header] = std::byte{1};
    record.start[sizes.header + 1] = std::byte{0};
  } else {
    static_cast<void>(queue_.BeginSeal({&record, 1}));
  }
  std::byte* const data = record.start + sizes.header;
  pieces_[0] = {sizes.header, SECBUFFER_STREAM_HEADER, record.start};
  pieces_[1] = {record.data_bytes, SECBUFFER_DATA, data};
  pieces_[2] = {sizes.trailer, SECBUFFER_STREAM_TRAILER, data + record.data_bytes};
  pieces_[3] = {0, SECBUFFER_EMPTY, nullptr};
  record_ = {SECBUFFER_VERSION, 4, pieces_};
  return true;
}

SECURITY_STATUS SealSide::Submit(CtxtHandle& context) {
  KTLSIM_CHECK(SspiReinitAsyncContext(async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted =
      SspiEncryptMessageAsync(async_, &context, is_close_ ? SECQOP_WRAP_OOB_DATA : 0, &record_, 0);
  sealing_ = kSealingTable.After(
      sealing_, submitted == SEC_E_OK ? SealingEvent::kSubmit : SealingEvent::kRefuse);
  holds_at_submit_ = holds_;
  return submitted;
}

SealSide::Outcome SealSide::Finish(SECURITY_STATUS status, bool keys_may_change) {
  Outcome outcome = Outcome::kFailed;
  if (status == SEC_E_OK) {
    outcome = is_close_ ? Outcome::kSealedClose : Outcome::kSealed;
  } else if (status == SEC_E_CONTEXT_EXPIRED && (held_ || holds_ != holds_at_submit_)) {
    // A post-handshake message was just being read. The same record again, after it.
    outcome = Outcome::kLater;
  } else if (status == SEC_E_CONTEXT_EXPIRED && keys_may_change &&
             !std::exchange(key_limit_met_, true)) {
    // Perhaps the key may seal no more: the same record again, under the next one.
    key_check_due_ = true;
    outcome = Outcome::kLater;
  } else if (status == SEC_E_INSUFFICIENT_MEMORY) {
    outcome = Outcome::kShortOfMemory;
  }
  const bool again = outcome == Outcome::kLater || outcome == Outcome::kShortOfMemory;
  sealing_ = kSealingTable.After(sealing_, again ? SealingEvent::kRefuse : SealingEvent::kFinish);
  if (status == SEC_E_OK) Count();
  return outcome;
}

void SealSide::Count() {
  queue_.EndSeal(pieces_[0].cbBuffer, pieces_[1].cbBuffer, pieces_[2].cbBuffer);
  if (!is_close_) plaintext_queued_ = true;
  key_limit_met_ = false;
  ++records_since_key_check_;
  // EncryptMessage has no room for a KeyUpdate: a leg without input returns it.
  if (records_since_key_check_ >= profile_.records_between_key_checks()) key_check_due_ = true;
}

void SealSide::Hold() {
  held_ = true;
  ++holds_;
}

void SealSide::BeginKeyCheck() {
  key_check_due_ = false;
  records_since_key_check_ = 0;
}

std::span<const std::byte> SealSide::BeginSend() {
  const std::span<const std::byte> sealed = queue_.Sealed();
  sending_bytes_ = static_cast<std::uint32_t>(sealed.size());
  return sealed;
}

bool SealSide::Sent(std::uint64_t now_ns) {
  queue_.Sent(std::exchange(sending_bytes_, 0), now_ns);
  const bool plaintext = plaintext_queued_;
  if (queue_.idle()) plaintext_queued_ = false;
  return plaintext;
}

}  // namespace ktlsim::transport
