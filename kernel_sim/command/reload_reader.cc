#include "kernel_sim/command/reload_reader.h"

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "kernel_sim/command/serve_signals.h"

namespace ktlsim::command {
namespace {

constexpr const char* kOutOfMemory = "out of memory";
// Short enough that it takes no memory.
constexpr const char* kNoThread = "out of threads";

// Throws nothing: there may be no memory for the text.
std::string WordsOf(const std::exception& failure) {
  try {
    return failure.what();
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  }
}

}  // namespace

ReloadReader::~ReloadReader() {
  given_up_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void ReloadReader::Begin() {
  if (reading()) {
    again_ = true;
    return;
  }
  Start();
}

void ReloadReader::Start() {
  done_.store(false, std::memory_order_relaxed);
  try {
    thread_ = std::thread([this] {
      MakePlan();
      done_.store(true, std::memory_order_release);
      pthread_kill(owner_, ServeSignals::Nudge());
    });
  } catch (const std::exception&) {
    // Not here: signals would wait for the files, and a watchdog would not be fed.
    plan_.error = kNoThread;
    done_.store(true, std::memory_order_relaxed);
    pthread_kill(owner_, ServeSignals::Nudge());
  }
}

void ReloadReader::MakePlan() {
  try {
    plan_ = read_(given_up_);
  } catch (const std::bad_alloc&) {
    plan_ = {};
    plan_.error = kOutOfMemory;
  } catch (const std::exception& failure) {
    plan_ = {};
    plan_.error = WordsOf(failure);
  }
}

std::optional<ServePlan> ReloadReader::Take() {
  if (!done_.exchange(false, std::memory_order_acquire)) return {};
  if (thread_.joinable()) thread_.join();
  return std::exchange(plan_, ServePlan());
}

void ReloadReader::GoOn() {
  if (std::exchange(again_, false)) Start();
}

}  // namespace ktlsim::command
