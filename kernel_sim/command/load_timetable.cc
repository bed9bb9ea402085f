#include "kernel_sim/command/load_timetable.h"

#include <algorithm>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {

LoadTimetable::LoadTimetable(double rate, Arrivals arrivals, std::uint64_t seed)
    : interval_(static_cast<double>(kNsPerSecond) / rate), arrivals_(arrivals), random_(seed) {}

void LoadTimetable::Start(std::uint64_t now_ns, double share) {
  next_ = static_cast<double>(now_ns) + interval_ * share;
}

void LoadTimetable::Advance() {
  next_ += arrivals_ == Arrivals::kPoisson ? interval_ * gap_(random_) : interval_;
}

std::uint64_t LoadTimetable::DueBefore(std::uint64_t end_ns) const {
  const double left = static_cast<double>(end_ns) - next_;
  return left > 0 ? static_cast<std::uint64_t>(left / interval_) + 1 : 0;
}

void LoadTimetable::RecordWaits(std::uint64_t end_ns, LatencyHistogram* waits) const {
  // Of more of them, neighbours are recorded together.
  constexpr std::uint64_t kStepsMax = 100'000;
  const std::uint64_t count = DueBefore(end_ns);
  const std::uint64_t each = count / kStepsMax + 1;
  for (std::uint64_t i = 0; i < count; i += each) {
    const double due = next_ + interval_ * static_cast<double>(i);
    const double wait = std::max(static_cast<double>(end_ns) - due, 0.0);
    waits->Record(static_cast<std::uint64_t>(wait), std::min(each, count - i));
  }
}

LoadDispatcher::LoadDispatcher(io::Loop& loop, LoadTimetable timetable)
    : loop_(loop), timetable_(timetable) {
  lag_.Prepare();
}

bool LoadDispatcher::Take(std::uint64_t now_ns, std::uint64_t* due_ns) {
  if (timetable_.next_ns() > now_ns) return false;
  *due_ns = timetable_.next_ns();
  timetable_.Advance();
  // Whoever takes it, another one could have had it when it was due.
  if (record_lag_ && !waiting_.empty()) lag_.Record(now_ns - *due_ns);
  return true;
}

void LoadDispatcher::Wait(LoadWorker& worker) {
  waiting_.push_back(&worker);
  Arm();
}

void LoadDispatcher::Leave(LoadWorker& worker) {
  const auto found = std::find(waiting_.begin(), waiting_.end(), &worker);
  if (found != waiting_.end()) waiting_.erase(found);
  if (waiting_.empty() && timer_.armed()) loop_.StopTimer(timer_);
}

void LoadDispatcher::Arm() {
  if (!waiting_.empty() && !timer_.armed()) loop_.StartTimer(timer_, timetable_.next_ns());
}

void LoadDispatcher::OnTimer() {
  std::uint64_t due = 0;
  // Whoever comes back meanwhile has its turn with the next timer, so that others have theirs.
  for (std::size_t left = waiting_.size(); left != 0 && !waiting_.empty(); --left) {
    // What one of them begins makes the next one late.
    if (!Take(MonotonicClock::Now(), &due)) break;
    LoadWorker* const worker = waiting_.front();
    waiting_.pop_front();
    worker->BeginDue(due);
  }
  Arm();
}

}  // namespace ktlsim::command
