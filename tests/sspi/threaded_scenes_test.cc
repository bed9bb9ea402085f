// The scenes that exhaustive_schedule_test plays in every order, on real threads, rings and time:
// each actor has a thread, which yields at places drawn from a seed, also inside the library. A
// poller looks at everything all the time. Whatever one thread writes and another reads here is
// ordered by the library or not at all. So that the thread sanitizer can see that, the test itself
// shares only relaxed atomics.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/seeded_random.h"
#include "kernel_sim/base/trace.h"
#include "tests/sspi/scenes.h"
#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

class ThreadedScene;

struct ThreadedLeg {
  ThreadedScene* scene = nullptr;
  // The submitting thread writes it before `submitted` shows it.
  std::atomic<SspiAsyncContext*> async{nullptr};
  Afterwards afterwards = Afterwards::kKeep;
  ThreadedLeg* next = nullptr;
  bool limited = false;
  std::atomic<bool> ours{true};  // the async context is still to be freed by the scene
  std::atomic<bool> freed{false};
  std::atomic<bool> reinitialised{false};
  std::atomic<bool> woken{false};
  std::atomic<SECURITY_STATUS> submitted{SEC_I_ASYNC_CALL_PENDING};
  std::atomic<SECURITY_STATUS> outcome{SEC_I_ASYNC_CALL_PENDING};
  std::atomic<int> promises{0};  // KtlsimCancelAsyncCall returned SEC_E_OK
  std::atomic<int> callbacks{0};
  CtxtHandle made{};
  SecBuffer out{};
  SecBufferDesc out_desc{};
  char token[16] = {};
  ULONG attributes = 0;
};

class ThreadedScene {
 public:
  ThreadedScene(std::uint64_t seed, const KtlsimOptions& options) : seed_(seed), options_(options) {
    options_.cbSize = sizeof(options_);
    sspi::Script script;
    script.legs.resize(4);
    for (std::size_t i = 0; i < script.legs.size(); ++i) {
      script.legs[i].status = SEC_I_CONTINUE_NEEDED;
      script.legs[i].output = std::to_string(i);
      script.legs[i].attributes = 7;
    }
    script_ = KeepScript(std::move(script));
  }
  ThreadedScene(const ThreadedScene&) = delete;
  ThreadedScene& operator=(const ThreadedScene&) = delete;

  ThreadedLeg& NewLeg(ULONG notify_mode = KTLSIM_NOTIFY_POOL) {
    ThreadedLeg& leg = NewLegWithoutContext();
    GiveContext(leg, SspiCreateAsyncContext());
    EXPECT_EQ(KtlsimSetNotifyMode(leg.async, notify_mode), SEC_E_OK);
    return leg;
  }
  ThreadedLeg& NewLegWithoutContext() {
    ThreadedLeg& leg = *legs_.emplace_back(std::make_unique<ThreadedLeg>());
    leg.scene = this;
    leg.out = {sizeof(leg.token), SECBUFFER_TOKEN, leg.token};
    leg.out_desc = {SECBUFFER_VERSION, 1, &leg.out};
    return leg;
  }
  void Suspend(std::size_t run) {
    script_->legs[run].on_suspend = [this](executive::ResumeToken token) {
      const std::lock_guard<std::mutex> lock(token_mutex_);
      token_ = token;
    };
  }
  // Every event is a place to yield, and so is every call of this.
  void InterruptAt(const char*) {}
  void Limit(ThreadedLeg& leg) {
    EXPECT_EQ(KtlsimSetQueueWaitLimit(leg.async, 1), SEC_E_OK);
    leg.limited = true;
  }
  void Once(const char*, std::function<void()> act) { actors_.push_back(std::move(act)); }

  void Submit(ThreadedLeg& leg) {
    CtxtHandle handle = Context();
    const bool deleted = deletes_done_.load(kRelaxed) != 0;
    const SECURITY_STATUS status =
        SspiAcceptSecurityContextAsync(leg.async, nullptr, &handle, nullptr, 0, 0, &leg.made,
                                       &leg.out_desc, &leg.attributes, nullptr);
    SecInvalidateHandle(&handle);
    EXPECT_TRUE(status == SEC_E_INVALID_HANDLE || (status == SEC_E_OK && !deleted) ||
                (status == SEC_E_SHUTDOWN_IN_PROGRESS && stops_.load(kRelaxed) != 0))
        << status;
    leg.submitted.store(status, kRelaxed);
  }
  void SubmitAndWait() {
    LegMemory memory;
    CtxtHandle made{};
    const SECURITY_STATUS status =
        AcceptSecurityContext(credential_, nullptr, &memory.in_desc, 0, 0, &made, &memory.out_desc,
                              &memory.attributes, nullptr);
    if (status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_NE(stops_.load(kRelaxed), 0) << "no actor stops the library";
      return;
    }
    EXPECT_EQ(status, SEC_I_CONTINUE_NEEDED);
    EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  }
  void Cancel(ThreadedLeg& leg) {
    const SECURITY_STATUS status = KtlsimCancelAsyncCall(leg.async.load(kRelaxed));
    if (status == SEC_E_OK) {
      EXPECT_EQ(leg.promises.fetch_add(1, kRelaxed), 0) << "promised twice";
    } else if (status == SEC_E_INVALID_HANDLE) {
      EXPECT_TRUE(leg.freed.load(kRelaxed));
    } else {
      // Not submitted yet, or reinitialised since.
      EXPECT_TRUE(status == KTLSIM_E_TOO_LATE || status == SEC_E_INVALID_PARAMETER) << status;
    }
  }
  void CancelIfSubmitted(ThreadedLeg& leg) {
    if (leg.async.load(kRelaxed) == nullptr) return;
    if (KtlsimCancelAsyncCall(leg.async.load(kRelaxed)) == SEC_E_OK) {
      // The context may still have been the previous leg's.
      cancels_of_any_.fetch_add(1, kRelaxed);
    }
  }
  void Free(ThreadedLeg& leg) {
    leg.freed.store(true, kRelaxed);
    leg.ours.store(false, kRelaxed);
    SspiFreeAsyncContext(leg.async.load(kRelaxed));
  }
  void Delete() {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    CtxtHandle handle = Context();
    const bool first = deletes_.fetch_add(1, kRelaxed) == 0;
    const SECURITY_STATUS status = SspiDeleteSecurityContextAsync(async, &handle);
    EXPECT_TRUE(status == (first ? SEC_E_OK : SEC_E_INVALID_HANDLE) ||
                (status == SEC_E_SHUTDOWN_IN_PROGRESS && first && stops_.load(kRelaxed) != 0))
        << status;
    SecInvalidateHandle(&handle);
    SspiFreeAsyncContext(async);
    deletes_done_.fetch_add(1, kRelaxed);
  }
  void Resume() {
    executive::ResumeToken token;
    {
      const std::lock_guard<std::mutex> lock(token_mutex_);
      token = token_;
    }
    token.Resume();
    token.Resume();  // the second one has no effect
  }
  void PassLimit() {}  // time passes by itself
  void StopLibrary() {
    stops_.fetch_add(1, kRelaxed);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  }
  void StartLibrary() {
    const SECURITY_STATUS status = KtlsimStart(&options_);
    EXPECT_TRUE(status == SEC_E_OK || status == SEC_E_INVALID_PARAMETER ||
                status == SEC_E_SHUTDOWN_IN_PROGRESS)
        << status;
  }

  void RestartLibrary() {
    StopLibrary();
    StartLibrary();
  }

  void Play(void (*arrange)(ThreadedScene&)) {
    ScriptedCredential credential(*script_);
    credential_ = credential.get();
    context_ = ScriptedContext(credential).Release();
    arrange(*this);
    for (const auto& leg : legs_) {
      if (leg->afterwards == Afterwards::kWakeAnother) actors_.push_back([&] { TakeOver(*leg); });
    }
    std::atomic<bool> over{false};
    std::thread poller([&] {
      while (!over.load(kRelaxed)) Poll();
    });
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < actors_.size(); ++i) threads.emplace_back([this, i] { Act(i); });
    for (std::thread& thread : threads) thread.join();
    if (stops_.load(kRelaxed) != 0) StartLibrary();
    // A cancelled call, or one with a limit, does not wait for the suspended leg.
    for (const auto& leg : legs_) {
      if (leg->submitted.load(kRelaxed) != SEC_E_OK) continue;
      if (leg->promises.load(kRelaxed) != 0 || leg->limited) WaitForCallback(*leg);
    }
    for (const auto& leg : legs_) {
      if (leg->submitted.load(kRelaxed) != SEC_E_OK) continue;
      WaitUntil([&] {
        Resume();
        return leg->callbacks.load(kRelaxed) != 0;
      });
    }
    if (deletes_.load(kRelaxed) == 0) Delete();
    WaitUntil([] { return Statistics().cInFlight == 0; });
    over.store(true, kRelaxed);
    poller.join();
    Poll();
    int cancelled = 0;
    int promised = cancels_of_any_.load(kRelaxed);
    for (const auto& leg : legs_) {
      const bool accepted = leg->submitted.load(kRelaxed) == SEC_E_OK;
      EXPECT_EQ(leg->callbacks.load(kRelaxed), accepted ? 1 : 0);
      promised += leg->promises.load(kRelaxed);
      if (leg->outcome.load(kRelaxed) == KTLSIM_E_CANCELLED) ++cancelled;
      if (leg->ours.load(kRelaxed)) Free(*leg);
    }
    EXPECT_EQ(cancelled, promised);
    EXPECT_EQ(Statistics().cSecurityContexts, contexts_before_);
  }

 private:
  static void GiveContext(ThreadedLeg& leg, SspiAsyncContext* async) {
    EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &ThreadedScene::Notify, &leg), SEC_E_OK);
    leg.async.store(async, kRelaxed);
  }
  CtxtHandle Context() const { return context_; }

  // An actor's thread.
  void Act(std::size_t index) {
    struct Giver {
      io::SeededRandom random;
      void GiveWay() {
        for (std::size_t i = random.Below(4); i > 0; --i) std::this_thread::yield();
      }
    } giver{io::SeededRandom(seed_ * 16 + index)};
    SetTraceObserver(
        [](void* context, const char*, std::uint64_t) { static_cast<Giver*>(context)->GiveWay(); },
        &giver);
    giver.GiveWay();
    actors_[index]();
    SetTraceObserver(nullptr, nullptr);
  }

  static void WaitForCallback(ThreadedLeg& leg) {
    WaitUntil([&] { return leg.callbacks.load(kRelaxed) != 0; });
  }

  static void Notify(SspiAsyncContext* async, void* data) {
    auto& leg = *static_cast<ThreadedLeg*>(data);
    See(leg, async);
    EXPECT_NE(leg.outcome.load(kRelaxed), SEC_I_ASYNC_CALL_PENDING) << "notified too early";
    switch (leg.afterwards) {
      case Afterwards::kKeep:
        break;
      case Afterwards::kFree:
        leg.scene->Free(leg);
        break;
      case Afterwards::kReinit:
        if (leg.freed.load(kRelaxed)) break;
        leg.reinitialised.store(true, kRelaxed);
        EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
        break;
      case Afterwards::kWakeAnother:
        leg.woken.store(true, kRelaxed);
        break;
    }
    EXPECT_EQ(leg.callbacks.fetch_add(1, kRelaxed), 0);
  }

  // The thread that a callback wakes, which may not have returned yet.
  void TakeOver(ThreadedLeg& leg) {
    WaitUntil([&] {
      return leg.woken.load(kRelaxed) || leg.submitted.load(kRelaxed) == SEC_E_INVALID_HANDLE;
    });
    if (!leg.woken.load(kRelaxed)) return;
    if (leg.next == nullptr) {
      Free(leg);
      return;
    }
    SspiAsyncContext* const async = leg.async.load(kRelaxed);
    leg.reinitialised.store(true, kRelaxed);
    leg.ours.store(false, kRelaxed);
    EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
    GiveContext(*leg.next, async);
    Submit(*leg.next);
  }

  // A final status, on any thread: outputs are there, and the status does not change.
  static void See(ThreadedLeg& leg, SspiAsyncContext* async) {
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
    if (leg.reinitialised.load(kRelaxed)) return;  // of another call, or of none
    if (status == SEC_I_ASYNC_CALL_PENDING || status == SEC_E_INVALID_PARAMETER) return;
    const bool ran = status == SEC_I_CONTINUE_NEEDED;
    // Submitted at the same time as the delete, and after it on the strand.
    const bool gone = status == SEC_E_INVALID_HANDLE && leg.scene->deletes_.load(kRelaxed) != 0;
    const bool late = status == KTLSIM_E_QUEUE_TIMEOUT && leg.limited;
    // Suspended when the library stopped.
    const bool stopped =
        status == SEC_E_SHUTDOWN_IN_PROGRESS && leg.scene->stops_.load(kRelaxed) != 0;
    EXPECT_TRUE(ran || gone || late || stopped || status == KTLSIM_E_CANCELLED) << status;
    EXPECT_EQ(leg.attributes, ran ? 7U : 0U);
    EXPECT_EQ(leg.out.cbBuffer, ran ? 1U : sizeof(leg.token));
    EXPECT_EQ(leg.token[0] != 0, ran);
    const SECURITY_STATUS before = leg.outcome.exchange(status, kRelaxed);
    EXPECT_TRUE(before == SEC_I_ASYNC_CALL_PENDING || before == status) << "final is final";
  }
  void Poll() {
    for (const auto& leg : legs_) {
      if (leg->submitted.load(kRelaxed) != SEC_E_OK) continue;
      See(*leg, leg->async.load(kRelaxed));
    }
  }

  const std::uint64_t seed_;
  KtlsimOptions options_;
  const ULONGLONG contexts_before_ = Statistics().cSecurityContexts;
  sspi::Script* script_ = nullptr;
  PCredHandle credential_ = nullptr;
  CtxtHandle context_{};
  std::vector<std::unique_ptr<ThreadedLeg>> legs_;
  std::vector<std::function<void()>> actors_;
  std::atomic<int> deletes_{0};
  std::atomic<int> deletes_done_{0};
  std::atomic<int> cancels_of_any_{0};
  std::atomic<int> stops_{0};  // that have begun
  std::mutex token_mutex_;
  executive::ResumeToken token_;
};

void PrintTo(const SceneCase<ThreadedScene>& scene, std::ostream* out) { *out << scene.name; }

class ThreadedScenesTest : public testing::TestWithParam<SceneCase<ThreadedScene>> {};

TEST_P(ThreadedScenesTest, PlaysOnRealThreads) {
  for (const ULONG placement : {ULONG{KTLSIM_PLACEMENT_INLINE}, ULONG{KTLSIM_PLACEMENT_POOL}}) {
    const RuntimeWith runtime(OptionsFor(placement));
    const Seeds seeds = SeedsToRun(static_cast<std::uint64_t>(Repetitions(40)));
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      ThreadedScene scene(seed, OptionsFor(placement));
      scene.Play(GetParam().arrange);
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", placement " << placement;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ThreadedScenesTest, testing::ValuesIn(Scenes<ThreadedScene>()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ktlsim::test
