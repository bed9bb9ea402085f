// The asynchronous contract on seeded schedules: processors, submitting threads and notification
// threads take turns on one thread, in an order drawn from a seed. The invariants are checked after
// every step and at every event inside it, where others may come in between, too. The message of a
// failure or an abort has the seed; KTLSIM_SEED=<n> runs it alone and prints its schedule.
// KTLSIM_SEEDS=<n> (./dev test --seeds) tries so many.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/stepped_runtime.h"
#include "tests/support/replay_hint.h"
#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class World;

// One leg, from its submission to its callback.
struct Call {
  // What its callback does with the async context.
  enum class Afterwards { kKeep, kFree, kReinit, kSubmitAgain, kWakeAnother };
  // What happened to the async context.
  enum class Context { kOurs, kReinitialised, kFreed, kGivenOn };

  World* world = nullptr;
  SspiAsyncContext* async = nullptr;
  Context context = Context::kOurs;
  CtxtHandle handle{};  // the context, or where a first leg stores it
  Afterwards afterwards = Afterwards::kKeep;
  bool first_leg = false;
  bool limited = false;     // it may wait for a limited time only
  bool submitting = false;  // its submission has not returned
  bool accepted = false;
  bool cancelled = false;  // KtlsimCancelAsyncCall has returned SEC_E_OK
  bool orphaned = false;   // freed in flight
  int callbacks = 0;       // entered
  bool returned = false;   // from its callback
  int looked_at = 0;       // since it was over
  bool final_seen = false;
  SECURITY_STATUS last = SEC_I_ASYNC_CALL_PENDING;
  SecBuffer out{};
  SecBufferDesc out_desc{};
  char token[16] = {};
  ULONG attributes = 0;
};

// The world of one seed: a runtime without threads, a few simulated caller threads, some contexts.
class World {
 public:
  explicit World(std::uint64_t seed) : runtime_(seed) {
    for (sspi::ScriptedLeg& leg : runtime_.script().legs) leg.on_run = [this] { Check(); };
    executive::ExecutiveOptions options;
    options.processors = 1 + static_cast<unsigned>(random().Below(2));
    options.placement =
        random().Below(2) == 0 ? executive::Placement::kInline : executive::Placement::kPool;
    options.queue_depth = 2 + static_cast<std::uint32_t>(random().Below(6));
    if (random().Below(2) == 0) options.wait_limit_ns = 30 * kNsPerUs;
    limited_ = options.wait_limit_ns != 0;
    runtime_.Start(options);
    executive::SeededScheduler& scheduler = runtime_.scheduler();
    scheduler.SetCheck([this] { Check(); });
    runtime_.Observe([this](std::string_view event, std::uint64_t id) {
      // At this event the runtime's lock is held: no other actor could go on.
      if (checking_ || event == "runtime_state") return;
      for (Call* call : watched_) {
        if (reinterpret_cast<std::uint64_t>(call->async) == id) CheckCall(*call, event);
      }
      if (random().Below(4) == 0) runtime_.Preempt();
    });
    for (int i = 0; i < 3; ++i) {
      scheduler.AddActor("submitter", [this, left = 10]() mutable {
        Submit();
        return --left > 0;
      });
    }
    scheduler.AddActor("resumer", [this, left = 30]() mutable {
      runtime_.Resume();
      return --left > 0;
    });
    scheduler.AddActor("canceller", [this, left = 10]() mutable {
      Cancel();
      return --left > 0;
    });
    scheduler.AddActor("woken", [this, left = 30]() mutable {
      TakeOver();
      return --left > 0;
    });
    scheduler.AddActor("restarter", [this, left = 4 * random().Below(3)]() mutable {
      if (left > 0) StopOrStart();
      return left-- > 1;
    });
    scheduler.AddActor("clock", [this, left = 10]() mutable {
      runtime_.PassTime(random().Below(20));
      return --left > 0;
    });
  }

  void Run() {
    const auto waiting = [this] { CheckThatTheCancelledHaveEnded(); };
    ASSERT_TRUE(runtime_.RunToTheEnd(waiting)) << "runs without end";
    while (!woken_.empty()) TakeOver();
    ASSERT_TRUE(runtime_.RunToTheEnd(waiting)) << "runs without end";
    for (const CtxtHandle& handle : std::vector<CtxtHandle>(contexts_)) Delete(handle);
    ASSERT_TRUE(runtime_.RunToTheEnd(waiting));
    for (const auto& call : calls_) {
      EXPECT_EQ(call->callbacks, call->accepted ? 1 : 0);
      const bool ours = call->context == Call::Context::kOurs;
      if (ours || call->context == Call::Context::kReinitialised) Free(*call);
    }
    for (const auto& call : calls_) CheckCall(*call, {});
    if (!stopped_) AddFigures();
    EXPECT_EQ(in_all_.cAccepted, in_all_.cCompleted);
    EXPECT_EQ(in_all_.cInFlight, 0U);
    EXPECT_EQ(in_all_.cRefused, refused_);
    EXPECT_EQ(in_all_.cCancelled, cancelled_);
    EXPECT_EQ(in_all_.cQueueTimeouts, timed_out_);
    runtime_.Stop();
  }

  std::uint64_t trace_hash() {
    return runtime_.scheduler().trace_hash() ^ runtime_.network().TraceHash();
  }
  std::string trace_text() { return runtime_.scheduler().TraceText(); }
  std::size_t accepted() const { return accepted_; }
  std::size_t refused() const { return refused_; }
  std::size_t cancelled() const { return cancelled_; }
  std::size_t timed_out() const { return timed_out_; }
  std::size_t shut_out() const { return shut_out_; }
  // Submissions during which the library was stopped, and perhaps started.
  std::size_t overtaken() const { return overtaken_; }
  // Those of them that were accepted by a later start than the one that ran when they were made.
  std::size_t handed_on() const { return handed_on_; }

 private:
  io::SeededRandom& random() { return runtime_.random(); }

  static void Callback(SspiAsyncContext* context, void* data) {
    auto* call = static_cast<Call*>(data);
    call->world->Notified(*call, context);
  }

  void Notified(Call& call, SspiAsyncContext* context) {
    EXPECT_EQ(++call.callbacks, 1);
    EXPECT_TRUE(call.accepted || call.submitting) << "a refused call never calls back";
    EXPECT_EQ(call.async, context);
    // Outputs are there, the status is final.
    EXPECT_NE(SspiGetAsyncCallStatus(context), SEC_I_ASYNC_CALL_PENDING);
    CheckCall(call, {});
    if (!call.orphaned) End(call);
    // Whatever happened to the context, its callback may take some time.
    if (random().Below(2) == 0) runtime_.Preempt();
    call.returned = true;
  }

  // What the owner of a call does with its async context once the callback is entered.
  void End(Call& call) {
    switch (call.afterwards) {
      case Call::Afterwards::kKeep:
        return;
      case Call::Afterwards::kFree:
        Free(call);
        return;
      case Call::Afterwards::kReinit:
        call.context = Call::Context::kReinitialised;
        EXPECT_EQ(SspiReinitAsyncContext(call.async), STATUS_SUCCESS);
        return;
      case Call::Afterwards::kSubmitAgain:
        call.context = Call::Context::kGivenOn;
        EXPECT_EQ(SspiReinitAsyncContext(call.async), STATUS_SUCCESS);
        SubmitLeg(call.async);
        return;
      case Call::Afterwards::kWakeAnother:
        woken_.push_back(&call);
        return;
    }
  }

  // One step of a thread that a callback has woken, also before that callback has returned.
  void TakeOver() {
    if (woken_.empty()) return;
    Call& call = *woken_.back();
    woken_.pop_back();
    call.afterwards = static_cast<Call::Afterwards>(random().Below(4));
    End(call);
  }

  void Free(Call& call) {
    const bool submitted = call.accepted || call.submitting;
    const bool has_status = submitted && call.context == Call::Context::kOurs;
    call.context = has_status ? Call::Context::kFreed : Call::Context::kGivenOn;
    SspiFreeAsyncContext(call.async);
  }

  void CheckOutputs(const Call& call, SECURITY_STATUS status) {
    if (status == SEC_I_CONTINUE_NEEDED) {
      EXPECT_EQ(call.out.cbBuffer, 5U);
      EXPECT_EQ(call.attributes, 7U);
      EXPECT_EQ(std::string(call.token), "token");
    } else if (status == SEC_E_OK) {
      EXPECT_EQ(call.out.cbBuffer, 4U);
      EXPECT_EQ(call.attributes, 9U);
    } else {
      EXPECT_TRUE(status == KTLSIM_E_CANCELLED || status == KTLSIM_E_QUEUE_TIMEOUT ||
                  status == SEC_E_INVALID_HANDLE ||
                  (status == SEC_E_SHUTDOWN_IN_PROGRESS && turns_ != 0))
          << status;
      EXPECT_EQ(call.out.cbBuffer, sizeof(call.token));
      EXPECT_EQ(call.attributes, 0U);
      EXPECT_EQ(call.token[0], 0);
      if (call.first_leg) {
        EXPECT_EQ(call.handle.dwUpper, 0U) << "a call that failed leaves no context";
      }
    }
    EXPECT_EQ(status == KTLSIM_E_CANCELLED, call.cancelled);
    EXPECT_TRUE(call.limited || status != KTLSIM_E_QUEUE_TIMEOUT);
  }

  // A final status, in the callback or by polling.
  void SeeFinal(Call& call, SECURITY_STATUS status) {
    if (std::exchange(call.final_seen, true)) {
      EXPECT_EQ(status, call.last) << "final is final";
      return;
    }
    call.last = status;
    CheckOutputs(call, status);
    if (status == KTLSIM_E_CANCELLED) ++cancelled_;
    if (status == KTLSIM_E_QUEUE_TIMEOUT) ++timed_out_;
    if (status >= 0 && call.first_leg) contexts_.push_back(call.handle);
  }

  // What holds at every moment, also for a poller. Calls that ended some steps ago are checked
  // again when all is over.
  void Check() {
    // Misuse is an event, too.
    const bool outer = std::exchange(checking_, true);
    for (Call* call : watched_) CheckCall(*call, {});
    checking_ = outer;
    std::erase_if(watched_, [](Call* call) {
      const bool over = call->returned || (!call->submitting && !call->accepted);
      return over && ++call->looked_at > 4;
    });
  }

  void CheckCall(Call& call, std::string_view event) {
    if (call.context == Call::Context::kGivenOn || call.submitting) return;
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(call.async);
    if (!call.accepted || call.context == Call::Context::kReinitialised) {
      // Freed on its way in, and then refused: there is no context either.
      EXPECT_EQ(status, call.orphaned ? SEC_E_INVALID_HANDLE : SEC_E_INVALID_PARAMETER)
          << "there is no call";
      return;
    }
    EXPECT_EQ(SspiAsyncContextRequiresNotify(call.async), call.context == Call::Context::kOurs)
        << "a freed context stays freed";
    if (status == SEC_I_ASYNC_CALL_PENDING) {
      EXPECT_EQ(call.callbacks, 0) << "notified before it was over";
      EXPECT_FALSE(call.final_seen) << "final is final";
      return;
    }
    // A final status does not permit freeing while a callback is owed.
    if (event == "async_publish" && !call.final_seen && !call.orphaned) {
      EXPECT_EQ(SspiReinitAsyncContext(call.async), STATUS_DEVICE_BUSY);
    }
    SeeFinal(call, status);
  }

  // Only legs that their package has suspended are left: no cancelled call waits.
  void CheckThatTheCancelledHaveEnded() {
    for (const auto& call : calls_) {
      EXPECT_TRUE(!call->cancelled || call->callbacks == 1) << "cancelled, and still waits";
    }
  }

  // One step of a submitting thread.
  void Submit() {
    if (random().Below(8) == 0 && !contexts_.empty()) {
      const std::size_t victim = random().Below(contexts_.size());
      const CtxtHandle handle = contexts_[victim];
      contexts_.erase(contexts_.begin() + static_cast<std::ptrdiff_t>(victim));
      Delete(handle);
      return;
    }
    SubmitLeg(SspiCreateAsyncContext());
  }

  void SubmitLeg(SspiAsyncContext* async) {
    Call& call = *calls_.emplace_back(std::make_unique<Call>());
    watched_.push_back(&call);
    call.world = this;
    call.async = async;
    call.afterwards = static_cast<Call::Afterwards>(random().Below(5));
    EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &Callback, &call), SEC_E_OK);
    KtlsimSetNotifyMode(async,
                        random().Below(3) == 0 ? KTLSIM_NOTIFY_ON_PROCESSOR : KTLSIM_NOTIFY_POOL);
    const std::size_t limit = random().Below(4);
    KtlsimSetQueueWaitLimit(async, limit == 0 ? KTLSIM_NO_WAIT_LIMIT : 0);
    call.limited = limited_ && limit != 0;
    call.out = {sizeof(call.token), SECBUFFER_TOKEN, call.token};
    call.out_desc = {SECBUFFER_VERSION, 1, &call.out};
    call.first_leg = contexts_.empty() || random().Below(8) < 2;
    CtxtHandle context{};
    if (!call.first_leg) {
      context = contexts_[random().Below(contexts_.size())];
      call.handle = context;
    }
    call.submitting = true;
    const bool stopped = stopped_;
    const std::size_t turns = turns_;
    const std::size_t starts = starts_;
    const SECURITY_STATUS status = SspiAcceptSecurityContextAsync(
        async, runtime_.credential(), call.first_leg ? nullptr : &context, nullptr, 0, 0,
        &call.handle, &call.out_desc, &call.attributes, nullptr);
    call.submitting = false;
    call.accepted = status == SEC_E_OK;
    if (turns != turns_) ++overtaken_;
    if (stopped && turns == turns_) {
      EXPECT_EQ(status, SEC_E_SHUTDOWN_IN_PROGRESS);
    }
    if (call.accepted) {
      ++accepted_;
      if (!stopped && starts != starts_) ++handed_on_;
    } else if (status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      EXPECT_TRUE(stopped || turns != turns_) << "no actor stops the library";
      ++shut_out_;
    } else if (status == SEC_E_INVALID_HANDLE) {
      EXPECT_TRUE(deleted_.contains(context.dwUpper)) << "it was alive when it was looked up";
    } else {
      EXPECT_EQ(status, SEC_E_INSUFFICIENT_MEMORY) << "only a full queue refuses";
      ++refused_;
    }
  }

  // One step of the actor that stops the library and starts it again; also both in one step,
  // because an interruption lasts one step.
  void StopOrStart() {
    if (!runtime_.MayStop()) return;
    // Most of the time the library runs.
    if (!stopped_ && random().Below(3) != 0) return;
    if (stopped_) return StartAgain();
    StopIt();
    if (random().Below(2) == 0) StartAgain();
  }
  void StartAgain() {
    ++turns_;
    runtime_.StartAgain();
    ++starts_;
    stopped_ = false;
  }
  void StopIt() {
    ++turns_;
    stopped_ = true;
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    AddFigures();
    for (const auto& call : calls_) {
      EXPECT_TRUE(!call->accepted || call->callbacks == 1) << "it had not been drained";
    }
  }
  // The calls of the start that ends.
  void AddFigures() {
    const KtlsimStatistics now = Statistics();
    in_all_.cAccepted += now.cAccepted;
    in_all_.cCompleted += now.cCompleted;
    in_all_.cInFlight += now.cInFlight;
    in_all_.cRefused += now.cRefused;
    in_all_.cCancelled += now.cCancelled;
    in_all_.cQueueTimeouts += now.cQueueTimeouts;
  }

  // One step of an actor that gives up a call: cancels it, or frees its context in flight.
  void Cancel() {
    if (calls_.empty()) return;
    // Mostly one of the latest calls: the others have ended.
    const std::size_t newest =
        calls_.size() - 1 - random().Below(std::min<std::size_t>(3, calls_.size()));
    Call& call = *calls_[random().Below(2) == 0 ? newest : random().Below(calls_.size())];
    if (call.context != Call::Context::kOurs || !(call.accepted || call.submitting)) return;
    if (random().Below(6) == 0 && call.callbacks == 0 && !call.final_seen) {
      call.orphaned = true;
      Free(call);
      EXPECT_EQ(KtlsimCancelAsyncCall(call.async), SEC_E_INVALID_HANDLE);
      return;
    }
    const SECURITY_STATUS status = KtlsimCancelAsyncCall(call.async);
    if (status == SEC_E_OK) {
      EXPECT_FALSE(call.final_seen);
      EXPECT_FALSE(call.cancelled) << "promised twice";
      call.cancelled = true;
    } else if (status != SEC_E_INVALID_PARAMETER || !call.submitting) {
      EXPECT_EQ(status, KTLSIM_E_TOO_LATE);
    }
  }

  // The documented form: no callback, handle overwritten and async context freed at once.
  void Delete(CtxtHandle handle) {
    deleted_.insert(handle.dwUpper);
    SspiAsyncContext* async = SspiCreateAsyncContext();
    const bool stopped = stopped_;
    const std::size_t turns = turns_;
    const SECURITY_STATUS status = SspiDeleteSecurityContextAsync(async, &handle);
    EXPECT_TRUE(status == SEC_E_OK ||
                (status == SEC_E_SHUTDOWN_IN_PROGRESS && (stopped || turns != turns_)))
        << "never refused";
    CtxtHandle copy = handle;
    SecInvalidateHandle(&handle);
    SspiFreeAsyncContext(async);
    SspiAsyncContext* second = SspiCreateAsyncContext();
    EXPECT_EQ(SspiDeleteSecurityContextAsync(second, &copy), SEC_E_INVALID_HANDLE);
    SspiFreeAsyncContext(second);
  }

  SteppedRuntime runtime_;
  bool limited_ = false;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> watched_;
  bool checking_ = false;
  std::vector<Call*> woken_;
  std::vector<CtxtHandle> contexts_;
  std::size_t accepted_ = 0;
  std::size_t refused_ = 0;
  std::size_t cancelled_ = 0;
  std::size_t timed_out_ = 0;
  std::size_t shut_out_ = 0;
  std::size_t overtaken_ = 0;
  std::size_t handed_on_ = 0;
  bool stopped_ = false;   // or about to be stopped
  std::size_t turns_ = 0;  // stops and starts that have begun
  std::size_t starts_ = 0;
  std::set<ULONG_PTR> deleted_;
  KtlsimStatistics in_all_{};
};

class SeededScheduleTest : public testing::Test {
 protected:
  // A runtime of another test in this program would be in the way.
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  // A stopped library stays stopped, and the next test in this program needs a running one.
  void TearDown() override { EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK); }
};

#ifdef NDEBUG
constexpr auto kSeeds = static_cast<std::uint64_t>(Repetitions(20000));
#else
constexpr auto kSeeds = static_cast<std::uint64_t>(Repetitions(2000));
#endif

TEST_F(SeededScheduleTest, KeepsTheContractOnEverySchedule) {
  std::size_t accepted = 0;
  std::size_t refused = 0;
  std::size_t cancelled = 0;
  std::size_t timed_out = 0;
  std::size_t shut_out = 0;
  std::size_t overtaken = 0;
  std::size_t handed_on = 0;
  const Seeds seeds = SeedsToRun(kSeeds);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    World world(seed);
    const std::string replays = "KTLSIM_SEED=" + std::to_string(seed) + " replays this";
    const auto told = [&] {
      return replays + (seeds.one ? "\n" + world.trace_text() : std::string());
    };
    const ReplayHint hint(told);
    world.Run();
    accepted += world.accepted();
    refused += world.refused();
    cancelled += world.cancelled();
    timed_out += world.timed_out();
    shut_out += world.shut_out();
    overtaken += world.overtaken();
    handed_on += world.handed_on();
    ASSERT_FALSE(HasFailure()) << told();
  }
  std::printf(
      "%zu calls accepted, %zu refused, %zu cancelled, %zu waited too long, %zu found it stopped, "
      "%zu overtaken by a stop or a start, %zu of them accepted by a later start\n",
      accepted, refused, cancelled, timed_out, shut_out, overtaken, handed_on);
  if (seeds.last - seeds.first < 200) return;
  EXPECT_GT(refused, 0U) << "the queues were never full: the schedules are too tame";
  EXPECT_GT(cancelled, 0U);
  EXPECT_GT(timed_out, 0U);
  EXPECT_GT(shut_out, 0U);
  EXPECT_GT(overtaken, 0U);
  EXPECT_GT(handed_on, 0U);
}

TEST_F(SeededScheduleTest, ReplaysASeedStepByStep) {
  std::uint64_t differing = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::uint64_t hashes[2] = {};
    for (std::uint64_t& hash : hashes) {
      World world(seed);
      world.Run();
      hash = world.trace_hash();
    }
    ASSERT_EQ(hashes[0], hashes[1]) << "seed " << seed;
    World other(seed + 1000);
    other.Run();
    if (other.trace_hash() != hashes[0]) ++differing;
  }
  EXPECT_EQ(differing, 50U) << "different seeds, different schedules";
}

}  // namespace
}  // namespace ktlsim::test
