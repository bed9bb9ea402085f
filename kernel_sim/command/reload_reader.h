// ReloadReader: reads what a reload needs, on a thread of its own, so that signals are handled
// while a file system is slow.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "kernel_sim/command/terminator.h"

namespace ktlsim::command {

// Passive level, one thread: the one that waits for signals.
class ReloadReader {
 public:
  // Makes a plan, on the other thread; what it throws becomes the plan's error. Once `given_up` is
  // set, the plan is not needed any more.
  using Read = std::function<ServePlan(const std::atomic<bool>& given_up)>;

  explicit ReloadReader(Read read) : read_(std::move(read)), owner_(pthread_self()) {}
  // Gives up a reading that is under way, and waits until it has noticed.
  ~ReloadReader();
  ReloadReader(const ReloadReader&) = delete;
  ReloadReader& operator=(const ReloadReader&) = delete;

  // Begins to read; while it reads, once more with GoOn. The end comes as a
  // ServeSignals::Nudge. Without a thread nothing is read, and the plan says so.
  void Begin();
  bool reading() const { return thread_.joinable(); }
  // What has been read, once. Empty: nothing yet. GoOn must follow when it has been carried out.
  std::optional<ServePlan> Take();
  // Begins again if that was asked for while it read.
  void GoOn();

 private:
  void Start();
  void MakePlan();

  const Read read_;
  const pthread_t owner_;
  std::thread thread_;
  bool again_ = false;
  std::atomic<bool> given_up_{false};
  ServePlan plan_;                 // the thread's, until done_
  std::atomic<bool> done_{false};  // release after `plan_`
};

}  // namespace ktlsim::command
