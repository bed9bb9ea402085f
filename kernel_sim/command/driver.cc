#include "kernel_sim/command/driver.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/load_handlers.h"

namespace ktlsim::command {
namespace {

constexpr std::size_t kErrorTextsMax = 5;

}  // namespace

std::uint64_t LoadPlan::interval_ns() const {
  if (rate <= 0) return 0;
  return static_cast<std::uint64_t>(static_cast<double>(slots) / rate *
                                    static_cast<double>(kNsPerSecond));
}

LoadPhase::LoadPhase(transport::ClientPath& path, LoadPlan plan)
    : path_(path), plan_(std::move(plan)) {
  const std::vector<io::Loop*>& loops = path_.loops();
  for (std::size_t i = 0; i < loops.size(); ++i) tallies_.push_back(std::make_unique<LoadTally>());
  for (unsigned i = 0; i < plan_.slots; ++i) {
    const std::size_t at = i % loops.size();
    const transport::TlsProfile& profile = *plan_.profiles[i % plan_.profiles.size()];
    slots_.push_back(MakeLoadSlot(*this, {*loops[at], profile, *tallies_[at], i}));
  }
}

LoadPhase::~LoadPhase() = default;

void LoadPhase::Start() {
  started_ns_ = MonotonicClock::Now();
  live_.store(slots_.size(), std::memory_order_relaxed);
  AddHolds();
  for (const auto& slot : slots_) slot->PostStart();
}

void LoadPhase::BeginMeasuring() { stage_.store(Stage::kMeasuring, std::memory_order_release); }

void LoadPhase::EndMeasuring() {
  ended_ns_ = MonotonicClock::Now();
  stage_.store(Stage::kMeasured, std::memory_order_release);
}

void LoadPhase::End(std::uint64_t limit_ns) {
  stage_.store(Stage::kEnding, std::memory_order_release);
  AddHolds();
  for (const auto& slot : slots_) slot->PostEnd();
  const auto all_released = [this]() KTLSIM_NO_THREAD_SAFETY { return holds_ == 0; };
  {
    MutexLock lock(mutex_);
    if (released_.wait_for(mutex_, std::chrono::nanoseconds(limit_ns), all_released)) return;
  }
  CountError(std::to_string(live_slots()) +
             " connections did not come to their end and were aborted");
  AddHolds();
  for (const auto& slot : slots_) slot->PostAbort();
  MutexLock lock(mutex_);
  released_.wait(mutex_, all_released);
}

void LoadPhase::AddHolds() {
  MutexLock lock(mutex_);
  holds_ += slots_.size();
}

void LoadPhase::DropHold() {
  MutexLock lock(mutex_);
  if (--holds_ == 0) released_.notify_all();
}

void LoadPhase::Negotiated(transport::ConnectionInfo info) {
  MutexLock lock(mutex_);
  if (negotiated_known_.exchange(true, std::memory_order_relaxed)) return;
  negotiated_ = std::move(info);
}

transport::ConnectionInfo LoadPhase::negotiated() const {
  MutexLock lock(mutex_);
  return negotiated_;
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

}  // namespace ktlsim::command
