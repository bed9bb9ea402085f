// When the operations of an open loop are due, and which connection makes them.
//
// What a newcomer gets wrong: an operation belongs to no connection before it begins. It goes to
// one that has nothing to do, or to the next one that has finished; a timetable for each connection
// would let an operation wait behind another one while others are idle, which is a queue of the
// generator and not of the server.
#pragma once

#include <cstdint>
#include <deque>
#include <random>

#include "io/loop.h"
#include "io/member_timer.h"
#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command {

enum class Arrivals : std::uint8_t {
  kConstant,  // the same time between any two
  kPoisson,   // independent of each other: the time between two has an exponential distribution
};

class LoadTimetable {
 public:
  // `rate`: per second, more than 0. The same seed makes the same timetable.
  LoadTimetable(double rate, Arrivals arrivals, std::uint64_t seed);

  // The first one is due `share` of the mean time between two after `now_ns`.
  void Start(std::uint64_t now_ns, double share);
  std::uint64_t next_ns() const { return static_cast<std::uint64_t>(next_); }
  void Advance();
  // How many are due from next_ns() until before `end_ns`; of Poisson arrivals what is expected.
  std::uint64_t DueBefore(std::uint64_t end_ns) const;
  // Records of each of them how long it has waited at `end_ns`.
  void RecordWaits(std::uint64_t end_ns, LatencyHistogram* waits) const;

 private:
  const double interval_;  // ns
  const Arrivals arrivals_;
  double next_ = 0;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_{1};
};

// Someone who makes operations, one at a time.
class LoadWorker {
 public:
  // It waited, and this operation should have begun at `due_ns`.
  virtual void BeginDue(std::uint64_t due_ns) = 0;

 protected:
  ~LoadWorker() = default;
};

// The timetable of the workers of one loop; on that loop's thread.
class LoadDispatcher {
 public:
  LoadDispatcher(io::Loop& loop, LoadTimetable timetable);

  LoadTimetable& timetable() { return timetable_; }
  // True: an operation is due, and the caller makes it.
  bool Take(std::uint64_t now_ns, std::uint64_t* due_ns);
  // The worker has nothing to do until its BeginDue, which is never called from here.
  void Wait(LoadWorker& worker);
  // It waits no longer. No-op if it did not.
  void Leave(LoadWorker& worker);
  // From now on it is recorded how late the loop was where somebody waited.
  void RecordLag(bool record) { record_lag_ = record; }
  // Owned by the main thread after the phase.
  const LatencyHistogram& lag() const { return lag_; }

 private:
  void OnTimer();
  void Arm();

  io::Loop& loop_;
  LoadTimetable timetable_;
  io::MemberTimer<&LoadDispatcher::OnTimer> timer_{*this};
  std::deque<LoadWorker*> waiting_;  // the one that has waited longest is the next
  LatencyHistogram lag_;
  bool record_lag_ = false;
};

}  // namespace ktlsim::command
