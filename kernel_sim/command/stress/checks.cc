#include "kernel_sim/command/stress/checks.h"

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "io/poison.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kTextsMax = 20;
constexpr unsigned char kPoison = 0xa5;
// This many are at rest before the first of them is lent again.
constexpr std::size_t kRestingMin = 256;

std::span<std::byte> BytesOf(CallMemory& memory) {
  static_assert(std::is_trivially_copyable_v<CallMemory>);
  return {reinterpret_cast<std::byte*>(&memory), sizeof(memory)};
}

}  // namespace

void StressEvidence::Add(std::string what) {
  violations_.fetch_add(1, std::memory_order_relaxed);
  const ScopedLock lock(mutex_);
  if (texts_.size() < kTextsMax) texts_.push_back(std::move(what));
}

std::vector<std::string> StressEvidence::texts() const {
  const ScopedLock lock(mutex_);
  return texts_;
}

CallRecord& CallLedger::Open(const char* what, CallRecord::Routine routine, void* owner) {
  const ScopedLock lock(lock_);
  CallRecord& record = records_.emplace_back(what, routine, owner);
  record.ledger_ = this;
  return record;
}

void CallLedger::Answered(CallRecord& record, SECURITY_STATUS submitted) {
  const bool accepted = submitted == SEC_E_OK;
  (accepted ? accepted_ : refused_).fetch_add(1, std::memory_order_relaxed);
  record.answer_.store(accepted ? CallRecord::Answer::kAccepted : CallRecord::Answer::kRefused);
  if (!accepted && record.completions_.load() != 0) {
    evidence_.Add(fmt::format("{}: refused with {:#010x}, and its callback came", record.what_,
                              static_cast<std::uint32_t>(submitted)));
  }
}

SECURITY_STATUS CallLedger::Cancel(SspiAsyncContext* async) {
  const SECURITY_STATUS status = KtlsimCancelAsyncCall(async);
  if (status == SEC_E_OK) cancels_granted_.fetch_add(1, std::memory_order_relaxed);
  return status;
}

bool CallLedger::Completed(CallRecord& record, SECURITY_STATUS status) {
  completed_.fetch_add(1, std::memory_order_relaxed);
  if (status == KTLSIM_E_CANCELLED) cancelled_.fetch_add(1, std::memory_order_relaxed);
  if (status == KTLSIM_E_QUEUE_TIMEOUT) timed_out_.fetch_add(1, std::memory_order_relaxed);
  if (status == SEC_I_ASYNC_CALL_PENDING) {
    evidence_.Add(fmt::format("{}: pending inside its callback", record.what_));
  }
  if (record.completions_.fetch_add(1) != 0) {
    evidence_.Add(fmt::format("{}: its callback came a second time", record.what_));
    return false;
  }
  if (record.answer_.load() == CallRecord::Answer::kRefused) {
    evidence_.Add(fmt::format("{}: its callback came although it was refused", record.what_));
    return false;
  }
  return true;
}

void CallLedger::Notify(SspiAsyncContext* async, PVOID record) {
  auto& call = *static_cast<CallRecord*>(record);
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
  if (call.ledger_->Completed(call, status)) call.routine_(call.owner_, async);
}

CallLedger::Counts& CallLedger::Counts::operator+=(const Counts& other) {
  accepted += other.accepted;
  refused += other.refused;
  completed += other.completed;
  cancelled += other.cancelled;
  timed_out += other.timed_out;
  return *this;
}

CallLedger::Counts CallLedger::counts() const {
  return {.accepted = accepted_.load(std::memory_order_relaxed),
          .refused = refused_.load(std::memory_order_relaxed),
          .completed = completed_.load(std::memory_order_relaxed),
          .cancelled = cancelled_.load(std::memory_order_relaxed),
          .timed_out = timed_out_.load(std::memory_order_relaxed)};
}

void CallLedger::CheckAll() {
  const std::uint64_t granted = cancels_granted_.load(std::memory_order_relaxed);
  const std::uint64_t cancelled = cancelled_.load(std::memory_order_relaxed);
  if (granted != cancelled) {
    evidence_.Add(fmt::format("{} cancellations were granted, {} calls ended as cancelled", granted,
                              cancelled));
  }
  const ScopedLock lock(lock_);
  for (const CallRecord& record : records_) {
    const bool accepted = record.answer_.load() == CallRecord::Answer::kAccepted;
    if (accepted && record.completions_.load() == 0) {
      evidence_.Add(fmt::format("{}: accepted, and its callback never came", record.what_));
    }
  }
}

PoisonedYard::~PoisonedYard() {
  const ScopedLock lock(lock_);
  for (const auto& memory : resting_) CheckPoison(*memory);
}

CallMemory* PoisonedYard::Take() {
  std::unique_ptr<CallMemory> memory;
  {
    const ScopedLock lock(lock_);
    if (resting_.size() > kRestingMin) {
      memory = std::move(resting_.front());
      resting_.pop_front();
    }
  }
  if (memory == nullptr) {
    memory = std::make_unique_for_overwrite<CallMemory>();
  } else {
    CheckPoison(*memory);
  }
  std::memset(static_cast<void*>(memory.get()), 0, offsetof(CallMemory, input));
  return memory.release();
}

void PoisonedYard::GiveBack(CallMemory* memory) {
  const std::span<std::byte> bytes = BytesOf(*memory);
  std::memset(bytes.data(), kPoison, bytes.size());
  io::Poison(bytes);
  const ScopedLock lock(lock_);
  resting_.emplace_back(memory);
}

void PoisonedYard::CheckPoison(CallMemory& memory) {
  const std::span<std::byte> bytes = BytesOf(memory);
  io::Unpoison(bytes);
  // Each byte is the one before it, and the first is right: fast without an optimiser, too.
  const bool whole = bytes[0] == std::byte{kPoison} &&
                     std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
  if (!whole) evidence_.Add("a call's memory was written to after the call was over");
}

}  // namespace ktlsim::command
