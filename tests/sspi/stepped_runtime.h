// The library without threads: its processors, notification threads and rings take turns on the
// test's thread, in the order that a SeededScheduler chooses. Time is virtual.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/seeded_scheduler.h"
#include "kernel_sim/sspi/packages/scripted_package.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::test {

class SteppedRuntime {
 public:
  explicit SteppedRuntime(std::uint64_t seed)
      : network_(NetworkOptions(seed)),
        scheduler_(
            seed,
            {.ready = [](io::Ring& ring) { return static_cast<io::MemoryRing&>(ring).Ready(); },
             .advance_time = [this] { return network_.AdvanceToNextEvent(); }}) {
    script_.repeats = true;
    script_.legs.resize(3);
    script_.legs[0].status = SEC_I_CONTINUE_NEEDED;
    script_.legs[0].output = "token";
    script_.legs[0].attributes = 7;
    script_.legs[1] = script_.legs[0];
    script_.legs[1].on_suspend = [this](executive::ResumeToken token) {
      suspended_.push_back(token);
    };
    script_.legs[2].status = SEC_E_OK;
    script_.legs[2].output = "last";
    script_.legs[2].attributes = 9;
  }
  SteppedRuntime(const SteppedRuntime&) = delete;
  SteppedRuntime& operator=(const SteppedRuntime&) = delete;
  ~SteppedRuntime() { SetTraceObserver(nullptr, nullptr); }

  // The other members of `options` are set here.
  void Start(executive::ExecutiveOptions options) {
    options.clock = &network_;
    options.ring_factory = [this]() -> Result<std::unique_ptr<io::Ring>> {
      Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, {});
      if (!ring.ok()) return ring.status();
      return std::unique_ptr<io::Ring>(std::move(*ring));
    };
    // A synchronous call waits for suspended legs, too.
    options.step = [this] {
      if (scheduler_.Step()) return true;
      if (suspended_.empty()) return false;
      Resume();
      return true;
    };
    options_ = options;
    sspi::Runtime& runtime = sspi::Runtime::Instance();
    runtime.RegisterPackage(sspi::ScriptedPackage::Instance());
    StartAgain();
    char package[] = "ktlsim scripted";
    ASSERT_EQ(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &script_,
                                        nullptr, nullptr, &credential_, nullptr),
              SEC_E_OK);
  }
  SECURITY_STATUS TryToStart() {
    sspi::Runtime& runtime = sspi::Runtime::Instance();
    const SECURITY_STATUS status = runtime.Start(options_);
    // The executive that runs now: the schedules do not rely on its being the same as before.
    if (status == SEC_E_OK) scheduler_.Attach(*runtime.ExecutiveIfRunning());
    return status;
  }
  void StartAgain() { ASSERT_EQ(TryToStart(), SEC_E_OK); }
  // False: the one thread there is holds a call in flight, or is in a callback. A stop waits for
  // both, and would wait for itself.
  bool MayStop() const {
    return holding_ == 0 && CurrentLevel() == Level::kPassive &&
           !executive::NotificationPool::InCallback();
  }
  // `observer(event, id)` is called for the library's events in the middle of its steps. It sees
  // what another thread could see at that moment, and can let others run with Preempt.
  void Observe(std::function<void(std::string_view, std::uint64_t)> observer) {
    observer_ = std::move(observer);
    SetTraceObserver(&SteppedRuntime::OnTrace, this);
  }
  // Lets another actor take a step, as though this thread had been interrupted. Above passive level
  // nothing happens: a processor's step is not interrupted.
  void Preempt() {
    if (CurrentLevel() != Level::kPassive || preempted_ == kPreemptedMax) return;
    ++preempted_;
    // The actors that run meanwhile are observed, too.
    const bool in_observer = std::exchange(in_observer_, false);
    static_cast<void>(scheduler_.Step());
    in_observer_ = in_observer;
    --preempted_;
  }
  // Nothing is in flight.
  void Stop() {
    EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    KtlsimStatistics left{};
    left.cbSize = sizeof(left);
    EXPECT_EQ(KtlsimQueryStatistics(&left), SEC_E_OK);
    EXPECT_EQ(left.cSecurityContexts, 0U);
    EXPECT_EQ(left.cCredentials, 0U);
    EXPECT_EQ(left.cAsyncContexts, 0U);
  }
  // Advances virtual time by `us` microseconds.
  void PassTime(std::uint64_t us) { network_.AdvanceTo(network_.NowNs() + us * kNsPerUs); }
  // Resumes the oldest suspended leg.
  void Resume() {
    if (suspended_.empty()) return;
    executive::ResumeToken token = suspended_.front();
    suspended_.pop_front();
    token.Resume();
    token.Resume();  // the second one has no effect
  }
  // Runs until nothing is left to do, suspended legs included. `waiting` is called when only those
  // are left. False: something runs without end.
  bool RunToTheEnd(const std::function<void()>& waiting) {
    constexpr std::uint64_t kStepsMax = 100000;
    if (!scheduler_.Run(kStepsMax)) return false;
    while (!suspended_.empty()) {
      waiting();
      Resume();
      if (!scheduler_.Run(kStepsMax)) return false;
    }
    return true;
  }

  executive::SeededScheduler& scheduler() { return scheduler_; }
  io::MemoryNetwork& network() { return network_; }
  io::SeededRandom& random() { return scheduler_.random(); }
  sspi::Script& script() { return script_; }
  PCredHandle credential() { return &credential_; }

 private:
  static constexpr int kPreemptedMax = 4;

  static void OnTrace(void* self, const char* event, std::uint64_t id) {
    auto& runtime = *static_cast<SteppedRuntime*>(self);
    // Events that the observer itself causes are not reported to it.
    if (std::exchange(runtime.in_observer_, true)) return;
    // A call accepted and not yet queued; recalled and not yet ended; its callback not yet called.
    const std::string_view seen = event;
    const bool holds = seen == "async_accept" || seen == "async_recall" || seen == "async_notify";
    if (holds) ++runtime.holding_;
    runtime.observer_(event, id);
    if (holds) --runtime.holding_;
    runtime.in_observer_ = false;
  }

  static io::MemoryNetworkOptions NetworkOptions(std::uint64_t seed) {
    io::MemoryNetworkOptions options;
    options.seed = seed;
    return options;
  }

  io::MemoryNetwork network_;
  executive::SeededScheduler scheduler_;
  sspi::Script script_;
  CredHandle credential_{};
  std::deque<executive::ResumeToken> suspended_;
  std::function<void(std::string_view, std::uint64_t)> observer_;
  executive::ExecutiveOptions options_;
  bool in_observer_ = false;
  int holding_ = 0;
  int preempted_ = 0;
};

}  // namespace ktlsim::test
