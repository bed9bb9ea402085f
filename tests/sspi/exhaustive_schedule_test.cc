// The scenes of the asynchronous contract, played in every order that their steps can take.
//
// An actor does one thing per step. Between any two steps, and inside them where a scene says so,
// the processors, the notification threads and time may or may not move. The choices of each run
// are a list of numbers; the next run differs in the last number that can differ. The message of a
// failure has the list, also when the run ends in an abort; KTLSIM_SCHEDULE=<list> replays it and
// prints the schedule.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/scenes.h"
#include "tests/sspi/stepped_runtime.h"
#include "tests/support/replay_hint.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

// Depth first through a tree that is discovered on the way.
class Enumeration {
 public:
  std::size_t Choose(std::size_t count) {
    if (at_ == path_.size()) {
      const std::size_t chosen = at_ < forced_.size() ? forced_[at_] : 0;
      path_.push_back({chosen, count});
    }
    EXPECT_EQ(path_[at_].count, count) << "the same choices led elsewhere";
    return path_[at_++].chosen;
  }
  // False: all have been tried.
  bool Next() {
    at_ = 0;
    while (!path_.empty() && path_.back().chosen + 1 >= path_.back().count) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().chosen;
    return true;
  }
  std::string Text() const {
    std::string text;
    for (const Choice& choice : path_)
      text += (text.empty() ? "" : ",") + std::to_string(choice.chosen);
    return text;
  }
  void Force(const char* text) {
    std::istringstream numbers(text);
    for (std::string number; std::getline(numbers, number, ',');) {
      forced_.push_back(std::strtoull(number.c_str(), nullptr, 10));
    }
  }

 private:
  struct Choice {
    std::size_t chosen;
    std::size_t count;
  };
  std::vector<Choice> path_;
  std::vector<std::size_t> forced_;
  std::size_t at_ = 0;
};

class Scene;

struct Leg {
  // What happened to the async context.
  enum class Context { kOurs, kReinitialised, kFreed, kGivenOn };

  Scene* scene = nullptr;
  SspiAsyncContext* async = nullptr;
  Afterwards afterwards = Afterwards::kKeep;
  Leg* next = nullptr;  // kWakeAnother: the leg that the woken thread submits; null: it frees
  Context context = Context::kOurs;
  bool submitting = false;
  SECURITY_STATUS submitted = SEC_I_ASYNC_CALL_PENDING;
  SECURITY_STATUS outcome = SEC_I_ASYNC_CALL_PENDING;
  bool cancelled = false;
  bool limited = false;
  int callbacks = 0;
  CtxtHandle made{};
  SecBuffer out{};
  SecBufferDesc out_desc{};
  char token[16] = {};
  ULONG attributes = 0;
};

// One security context, and the actors that use it at the same time.
class Scene {
 public:
  static constexpr std::uint64_t kLimitUs = 1000;

  explicit Scene(Enumeration& enumeration) : runtime_(1), enumeration_(enumeration) {
    // The token of a leg's first run is "1", of the second "2".
    sspi::Script& script = runtime_.script();
    script.legs.clear();
    script.legs.resize(4);
    for (std::size_t i = 0; i < script.legs.size(); ++i) {
      script.legs[i].status = SEC_I_CONTINUE_NEEDED;
      script.legs[i].output = std::to_string(i);
      script.legs[i].attributes = 7;
      script.legs[i].on_run = [this] {
        EXPECT_FALSE(gone_) << "a leg ran after the teardown";
        Check();
      };
    }
    executive::ExecutiveOptions options;
    options.processors = 1;
    runtime_.Start(options);
    LegMemory memory;
    EXPECT_EQ(AcceptSecurityContext(runtime_.credential(), nullptr, &memory.in_desc, 0, 0,
                                    &context_, &memory.out_desc, &memory.attributes, nullptr),
              SEC_I_CONTINUE_NEEDED);
    runtime_.scheduler().SetChooser(
        [&enumeration](std::size_t n) { return enumeration.Choose(n); });
    runtime_.scheduler().SetCheck([this] { CheckAfterStep(); });
    runtime_.Observe([this](std::string_view event, std::uint64_t) {
      if (checking_ || event == "runtime_state") return;
      Check();
      if (event == interrupted_at_) MayBeInterrupted();
    });
  }
  // Other actors may come in between where the library traces `event`.
  void InterruptAt(std::string_view event) { interrupted_at_ = event; }

  // Another thread, which does this one thing at some time.
  void Once(const char* name, std::function<void()> act) {
    runtime_.scheduler().AddActor(name, [act = std::move(act)] {
      act();
      return false;
    });
  }

  Leg& NewLeg(ULONG notify_mode = KTLSIM_NOTIFY_POOL) {
    Leg& leg = NewLegWithoutContext();
    GiveContext(leg, SspiCreateAsyncContext());
    EXPECT_EQ(KtlsimSetNotifyMode(leg.async, notify_mode), SEC_E_OK);
    return leg;
  }
  // It takes over another leg's async context.
  Leg& NewLegWithoutContext() {
    Leg& leg = *legs_.emplace_back(std::make_unique<Leg>());
    leg.scene = this;
    leg.out = {sizeof(leg.token), SECBUFFER_TOKEN, leg.token};
    leg.out_desc = {SECBUFFER_VERSION, 1, &leg.out};
    return leg;
  }
  static void GiveContext(Leg& leg, SspiAsyncContext* async) {
    leg.async = async;
    EXPECT_EQ(SspiSetAsyncNotifyCallback(leg.async, &Scene::Notify, &leg), SEC_E_OK);
  }
  void Limit(Leg& leg) {
    EXPECT_EQ(KtlsimSetQueueWaitLimit(leg.async, kLimitUs / 1000), SEC_E_OK);
    leg.limited = true;
  }
  void Suspend(std::size_t run) {
    runtime_.script().legs[run].on_suspend = [this](executive::ResumeToken token) {
      token_ = token;
    };
  }

  void Submit(Leg& leg) {
    CtxtHandle handle = context_;
    // It has a place in the order from the moment when another actor may see it there.
    leg.submitting = true;
    const bool deleted = deleted_;
    const bool stopped = stopped_;
    const int turns = turns_;
    const int restarts = restarts_;
    leg.submitted =
        SspiAcceptSecurityContextAsync(leg.async, nullptr, &handle, nullptr, 0, 0, &leg.made,
                                       &leg.out_desc, &leg.attributes, nullptr);
    leg.submitting = false;
    SecInvalidateHandle(&handle);  // the caller may reuse the variable at once
    if (leg.submitted == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_TRUE(stopped || turns != turns_) << "no actor stops the library";
    } else if (leg.submitted == SEC_E_INVALID_HANDLE) {
      EXPECT_TRUE(deleting_);
    } else {
      EXPECT_EQ(leg.submitted, SEC_E_OK);
      EXPECT_FALSE(deleted || (stopped && turns == turns_));
    }
    if (leg.submitted == SEC_E_OK) order_.push_back(&leg);
    if (leg.submitted == SEC_E_OK && restarts != restarts_) ++handed_on_;
  }
  // A leg of another context: the order of this one's legs does not change.
  void SubmitAndWait() {
    LegMemory memory;
    CtxtHandle made{};
    const bool stopped = stopped_;
    const int turns = turns_;
    const int restarts = restarts_;
    const SECURITY_STATUS status =
        AcceptSecurityContext(runtime_.credential(), nullptr, &memory.in_desc, 0, 0, &made,
                              &memory.out_desc, &memory.attributes, nullptr);
    if (status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_TRUE(stopped || turns != turns_) << "no actor stops the library";
      return;
    }
    EXPECT_EQ(status, SEC_I_CONTINUE_NEEDED);
    if (restarts != restarts_) ++handed_on_;
    EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  }
  void Cancel(Leg& leg) {
    const SECURITY_STATUS status = KtlsimCancelAsyncCall(leg.async);
    if (status == SEC_E_OK) {
      EXPECT_EQ(leg.outcome, SEC_I_ASYNC_CALL_PENDING);
      EXPECT_FALSE(std::exchange(leg.cancelled, true)) << "promised twice";
      return;
    }
    // A call on its way in counts as submitted from its acceptance on.
    if (leg.submitting && status == SEC_E_INVALID_PARAMETER) return;
    const bool submitted = leg.submitting || leg.submitted == SEC_E_OK;
    if (leg.context == Leg::Context::kFreed) {
      EXPECT_EQ(status, SEC_E_INVALID_HANDLE);
    } else if (!submitted || leg.context == Leg::Context::kReinitialised) {
      EXPECT_EQ(status, SEC_E_INVALID_PARAMETER) << "nothing was submitted";
    } else {
      EXPECT_EQ(status, KTLSIM_E_TOO_LATE);
    }
  }
  void CancelIfSubmitted(Leg& leg) {
    if (leg.submitting || leg.submitted == SEC_E_OK) Cancel(leg);
  }
  // Legal in flight, too: its callback still comes.
  void Free(Leg& leg) {
    leg.context = Leg::Context::kFreed;
    SspiFreeAsyncContext(leg.async);
  }
  // The documented form: no memory of the caller outlives the statement.
  void Delete() {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    CtxtHandle handle = context_;
    const bool stopped = stopped_;
    const int turns = turns_;
    const bool first = !std::exchange(deleting_, true);
    const SECURITY_STATUS status = SspiDeleteSecurityContextAsync(async, &handle);
    if (!first) {
      EXPECT_EQ(status, SEC_E_INVALID_HANDLE);
    } else if (status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_TRUE(stopped || turns != turns_) << "no actor stops the library";
    } else {
      EXPECT_EQ(status, SEC_E_OK);
    }
    SecInvalidateHandle(&handle);
    SspiFreeAsyncContext(async);
    deleted_ = true;
  }
  void StopLibrary() {
    if (!runtime_.MayStop()) return;
    stopped_ = true;
    ++turns_;
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    for (const Leg* leg : order_) EXPECT_EQ(leg->callbacks, 1) << "it had not been drained";
  }
  void StartLibrary() {
    ++turns_;
    if (!stopped_) return;
    const SECURITY_STATUS status = runtime_.TryToStart();
    // During a stop a start is refused at once.
    EXPECT_TRUE(status == SEC_E_OK || status == SEC_E_SHUTDOWN_IN_PROGRESS) << status;
    if (status == SEC_E_OK) stopped_ = false;
  }
  // Both in one step: an interruption between two instructions of a thread is one step long.
  void RestartLibrary() {
    if (!runtime_.MayStop()) return;
    StopLibrary();
    StartLibrary();
    ++restarts_;
  }
  void Resume() {
    token_.Resume();
    token_.Resume();  // the second one has no effect
  }
  void PassLimit() { runtime_.PassTime(kLimitUs); }

  void Play() {
    executive::SeededScheduler& scheduler = runtime_.scheduler();
    ASSERT_TRUE(scheduler.Run(1000)) << "runs without end";
    for (const auto& leg : legs_) {
      EXPECT_TRUE(!leg->cancelled || leg->callbacks == 1) << "cancelled, and still waits";
    }
    Resume();
    ASSERT_TRUE(scheduler.Run(1000)) << "runs without end";
    if (!deleted_) Delete();
    ASSERT_TRUE(scheduler.Run(1000)) << "runs without end";
    scheduler.SetChooser({});
    int run = 0;
    for (const Leg* leg : order_) {
      EXPECT_EQ(leg->callbacks, 1);
      if (leg->outcome == SEC_I_CONTINUE_NEEDED) {
        EXPECT_EQ(std::string(leg->token, leg->out.cbBuffer), std::to_string(++run))
            << "first in, first out";
      }
    }
    for (const auto& leg : legs_) {
      EXPECT_EQ(leg->callbacks, leg->submitted == SEC_E_OK ? 1 : 0);
      if (leg->context == Leg::Context::kOurs) {
        Free(*leg);
      } else if (leg->context == Leg::Context::kReinitialised) {
        leg->context = Leg::Context::kGivenOn;
        SspiFreeAsyncContext(leg->async);
      }
    }
    runtime_.Stop();
  }
  std::string trace_text() { return runtime_.scheduler().TraceText(); }
  bool restarted() const { return restarts_ != 0; }
  // Calls that have seen a stop and a start on their way in, and were accepted.
  int handed_on() const { return handed_on_; }

 private:
  static void Notify(SspiAsyncContext* async, void* data) {
    auto* leg = static_cast<Leg*>(data);
    EXPECT_EQ(async, leg->async);
    EXPECT_EQ(++leg->callbacks, 1);
    EXPECT_TRUE(leg->submitted == SEC_E_OK || leg->submitting);
    leg->scene->See(*leg);
    EXPECT_NE(leg->outcome, SEC_I_ASYNC_CALL_PENDING) << "notified before it was over";
    if (leg->context == Leg::Context::kOurs) leg->scene->End(*leg);
  }

  void End(Leg& leg) {
    switch (leg.afterwards) {
      case Afterwards::kKeep:
        return;
      case Afterwards::kFree:
        Free(leg);
        return;
      case Afterwards::kReinit:
        leg.context = Leg::Context::kReinitialised;
        EXPECT_EQ(SspiReinitAsyncContext(leg.async), STATUS_SUCCESS);
        return;
      case Afterwards::kWakeAnother:
        Once("woken", [this, &leg] { TakeOver(leg); });
        for (int i = 0; i < 3; ++i) MayBeInterrupted();
        return;
    }
  }
  // Another thread; the callback that woke it may not have returned.
  void TakeOver(Leg& leg) {
    if (leg.next == nullptr) {
      Free(leg);
      return;
    }
    leg.context = Leg::Context::kGivenOn;
    EXPECT_EQ(SspiReinitAsyncContext(leg.async), STATUS_SUCCESS);
    GiveContext(*leg.next, leg.async);
    Submit(*leg.next);
  }
  void MayBeInterrupted() {
    if (enumeration_.Choose(2) == 1) runtime_.Preempt();
  }

  // What a poller sees, at any moment.
  void See(Leg& leg) {
    if (leg.context == Leg::Context::kGivenOn) return;
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(leg.async);
    if (leg.context == Leg::Context::kReinitialised) {
      EXPECT_EQ(status, SEC_E_INVALID_PARAMETER) << "there is no call";
      return;
    }
    EXPECT_EQ(SspiAsyncContextRequiresNotify(leg.async), leg.context == Leg::Context::kOurs)
        << "a freed context stays freed";
    if (status == SEC_I_ASYNC_CALL_PENDING) {
      EXPECT_EQ(leg.callbacks, 0);
      EXPECT_EQ(leg.outcome, status) << "final is final";
      return;
    }
    if (leg.outcome != SEC_I_ASYNC_CALL_PENDING) {
      EXPECT_EQ(status, leg.outcome) << "final is final";
      return;
    }
    leg.outcome = status;
    const bool ran = status == SEC_I_CONTINUE_NEEDED;
    EXPECT_EQ(leg.attributes, ran ? 7U : 0U);
    EXPECT_EQ(leg.out.cbBuffer, ran ? 1U : sizeof(leg.token));
    EXPECT_EQ(status == KTLSIM_E_CANCELLED, leg.cancelled);
    if (ran || leg.cancelled) return;
    if (status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_NE(turns_, 0) << "suspended, and no stop has begun";
    } else {
      EXPECT_EQ(status, KTLSIM_E_QUEUE_TIMEOUT);
      EXPECT_TRUE(leg.limited);
    }
  }

  void Check() {
    // Misuse is an event, too.
    const bool outer = std::exchange(checking_, true);
    for (const auto& leg : legs_) {
      if (leg->submitted == SEC_E_OK) See(*leg);
    }
    checking_ = outer;
  }
  void CheckAfterStep() {
    Check();
    if (deleted_ && Statistics().cSecurityContexts == 0) gone_ = true;
  }

  SteppedRuntime runtime_;
  CtxtHandle context_{};
  std::vector<std::unique_ptr<Leg>> legs_;
  std::vector<Leg*> order_;  // as submitted
  Enumeration& enumeration_;
  std::string_view interrupted_at_;
  bool checking_ = false;
  bool deleting_ = false;  // has begun
  bool deleted_ = false;   // has returned
  bool stopped_ = false;   // or about to be stopped
  int turns_ = 0;          // stops and starts that have begun
  int restarts_ = 0;       // stops and starts at once that have ended
  int handed_on_ = 0;
  bool gone_ = false;
  executive::ResumeToken token_;
};

void PrintTo(const SceneCase<Scene>& scene, std::ostream* out) { *out << scene.name; }

class ExhaustiveScheduleTest : public testing::TestWithParam<SceneCase<Scene>> {
 protected:
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  void TearDown() override { EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK); }

#ifdef KTLSIM_TEST_SANITIZED
  static constexpr std::uint64_t kSchedulesMax = 1000;  // an order of magnitude slower there
#else
  static constexpr std::uint64_t kSchedulesMax = ~std::uint64_t{0};
#endif

  static void TryAll(const std::function<void(Scene&)>& arrange, std::uint64_t schedules_min) {
    const char* one = std::getenv("KTLSIM_SCHEDULE");
    Enumeration enumeration;
    if (one != nullptr) enumeration.Force(one);
    std::uint64_t schedules = 0;
    bool restarted = false;
    int handed_on = 0;
    do {
      Scene scene(enumeration);
      ++schedules;
      const auto told = [&] {
        return "schedule " + std::to_string(schedules) + "; KTLSIM_SCHEDULE=" + enumeration.Text() +
               " replays it\n" + scene.trace_text();
      };
      const ReplayHint hint(told);
      arrange(scene);
      scene.Play();
      ASSERT_FALSE(HasFailure()) << told();
      restarted = restarted || scene.restarted();
      handed_on += scene.handed_on();
    } while (one == nullptr && schedules < kSchedulesMax && enumeration.Next());
    std::printf("%llu schedules\n", static_cast<unsigned long long>(schedules));
    if (restarted) std::printf("%d calls accepted by a later start\n", handed_on);
    if (one != nullptr) return;
    EXPECT_GE(schedules, schedules_min);
    EXPECT_TRUE(!restarted || handed_on > 0) << "no restart came where the scene wants one";
  }
};

TEST_P(ExhaustiveScheduleTest, PlaysInEveryOrder) {
  TryAll(GetParam().arrange, GetParam().schedules_min);
}

INSTANTIATE_TEST_SUITE_P(, ExhaustiveScheduleTest, testing::ValuesIn(Scenes<Scene>()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ktlsim::test
