#include "kernel_sim/command/driver.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel_sim/command/load_handlers.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kErrorTextsMax = 5;

}  // namespace

LoadPhase::LoadPhase(transport::ClientPath& path, LoadPlan plan)
    : path_(path), plan_(std::move(plan)) {
  const std::vector<io::Loop*>& loops = path_.loops();
  for (std::size_t i = 0; i < loops.size(); ++i) tallies_.push_back(std::make_unique<LoadTally>());
  for (unsigned i = 0; i < plan_.slots; ++i) {
    const std::size_t at = i % loops.size();
    const transport::TlsProfile& profile = *plan_.profiles[i % plan_.profiles.size()];
    slots_.push_back(MakeLoadSlot(*this, *loops[at], profile, *tallies_[at]));
  }
}

LoadPhase::~LoadPhase() = default;

void LoadPhase::Start() {
  {
    MutexLock lock(mutex_);
    live_slots_ = slots_.size();
  }
  for (const auto& slot : slots_) slot->PostDial();
}

void LoadPhase::BeginMeasuring() { stage_.store(Stage::kMeasuring, std::memory_order_release); }

void LoadPhase::EndMeasuring() { stage_.store(Stage::kMeasured, std::memory_order_release); }

void LoadPhase::End(std::uint64_t limit_ns) {
  stage_.store(Stage::kEnding, std::memory_order_release);
  const auto all_retired = [this]() KTLSIM_NO_THREAD_SAFETY { return live_slots_ == 0; };
  std::size_t stuck = 0;
  {
    MutexLock lock(mutex_);
    retired_.wait_for(mutex_, std::chrono::nanoseconds(limit_ns), all_retired);
    stuck = live_slots_;
  }
  if (stuck == 0) return;
  CountError(std::to_string(stuck) + " connections did not come to their end and were aborted");
  for (const auto& slot : slots_) slot->PostAbort();
  MutexLock lock(mutex_);
  retired_.wait(mutex_, all_retired);
}

std::uint64_t LoadPhase::operations() const {
  std::uint64_t sum = 0;
  for (const auto& tally : tallies_) sum += tally->operations.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t LoadPhase::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& tally : tallies_) sum += tally->bytes.load(std::memory_order_relaxed);
  return sum;
}

LatencyHistogram LoadPhase::latency() const {
  LatencyHistogram sum;
  for (const auto& tally : tallies_) sum.Merge(tally->latency);
  return sum;
}

std::vector<std::string> LoadPhase::error_texts() const {
  MutexLock lock(mutex_);
  return error_texts_;
}

void LoadPhase::CountError(const std::string& text) {
  errors_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  const bool known =
      std::find(error_texts_.begin(), error_texts_.end(), text) != error_texts_.end();
  if (!known && error_texts_.size() < kErrorTextsMax) error_texts_.push_back(text);
}

void LoadPhase::SlotRetired() {
  MutexLock lock(mutex_);
  --live_slots_;
  if (live_slots_ == 0) retired_.notify_all();
}

}  // namespace ktlsim::command
