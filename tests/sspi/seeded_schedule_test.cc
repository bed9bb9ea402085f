// The asynchronous contract on seeded schedules: processors, foreign submitters and notification
// threads take turns on one thread, in an order drawn from a seed; the invariants are checked after
// every step and inside every run. A failing seed is in the message; KTLSIM_SEED=<n> runs it alone,
// with its schedule. KTLSIM_SEEDS=<n> (./dev test --seeds) tries so many.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/stepped_runtime.h"
#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class World;

// One leg, from its submission to its callback.
struct Call {
  enum class Afterwards { kKeep, kFree, kSubmitAgain };

  World* world = nullptr;
  SspiAsyncContext* async = nullptr;  // null: given on, or freed
  CtxtHandle handle{};                // the context, or where a first leg stores it
  Afterwards afterwards = Afterwards::kKeep;
  bool first_leg = false;
  bool limited = false;  // it may wait for some time only
  bool accepted = false;
  bool cancelled = false;  // KtlsimCancelAsyncCall has promised it
  bool orphaned = false;   // freed in flight
  int callbacks = 0;
  bool final_seen = false;
  SECURITY_STATUS last = SEC_I_ASYNC_CALL_PENDING;
  SecBuffer out{};
  SecBufferDesc out_desc{};
  char token[16] = {};
  ULONG attributes = 0;
};

// The world of one seed: a runtime without threads, a few foreign threads, some contexts.
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
    scheduler.AddActor("clock", [this, left = 10]() mutable {
      runtime_.PassTime(random().Below(20));
      return --left > 0;
    });
  }

  void Run() {
    ASSERT_TRUE(runtime_.RunToTheEnd()) << "runs for ever";
    for (const CtxtHandle& handle : contexts_) Delete(handle);
    ASSERT_TRUE(runtime_.RunToTheEnd());
    for (const auto& call : calls_) {
      EXPECT_EQ(call->callbacks, call->accepted ? 1 : 0);
      if (call->async != nullptr) SspiFreeAsyncContext(call->async);
    }
    const KtlsimStatistics counts = Statistics();
    EXPECT_EQ(counts.cAccepted, counts.cCompleted);
    EXPECT_EQ(counts.cInFlight, 0U);
    EXPECT_EQ(counts.cRefused, refused_);
    EXPECT_EQ(counts.cCancelled, cancelled_);
    EXPECT_EQ(counts.cQueueTimeouts, timed_out_);
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

 private:
  io::SeededRandom& random() { return runtime_.random(); }

  static void Callback(SspiAsyncContext* context, void* data) {
    auto* call = static_cast<Call*>(data);
    call->world->Notified(*call, context);
  }

  void Notified(Call& call, SspiAsyncContext* context) {
    EXPECT_EQ(++call.callbacks, 1);
    EXPECT_TRUE(call.accepted || submitting_ == &call) << "a refused call never calls back";
    // Outputs are there, the status is final.
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(context);
    EXPECT_NE(status, SEC_I_ASYNC_CALL_PENDING);
    SeeFinal(call, status);
    if (call.orphaned) return;
    EXPECT_EQ(call.async, context);
    switch (call.afterwards) {
      case Call::Afterwards::kKeep:
        return;
      case Call::Afterwards::kFree:
        SspiFreeAsyncContext(context);
        EXPECT_EQ(SspiGetAsyncCallStatus(context), status) << "the sample still polls";
        call.async = nullptr;
        return;
      case Call::Afterwards::kSubmitAgain:
        call.async = nullptr;
        EXPECT_EQ(SspiReinitAsyncContext(context), STATUS_SUCCESS);
        SubmitLeg(context);
        return;
    }
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
                  status == SEC_E_INVALID_HANDLE)
          << status;
      EXPECT_EQ(call.out.cbBuffer, sizeof(call.token));
      EXPECT_EQ(call.attributes, 0U);
      EXPECT_EQ(call.token[0], 0);
      if (call.first_leg) {
        EXPECT_EQ(call.handle.dwUpper, 0U) << "no context is left behind";
      }
    }
    EXPECT_EQ(status == KTLSIM_E_CANCELLED, call.cancelled);
    EXPECT_TRUE(call.limited || status != KTLSIM_E_QUEUE_TIMEOUT);
  }

  // The first look at a final status, in the callback or by polling.
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

  // What holds at every moment, also for whoever only polls.
  void Check() {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      Call& call = *calls_[i];
      if (!call.accepted || call.final_seen || call.orphaned || call.async == nullptr) continue;
      const SECURITY_STATUS status = SspiGetAsyncCallStatus(call.async);
      if (status == SEC_I_ASYNC_CALL_PENDING) {
        EXPECT_EQ(call.callbacks, 0) << "notified before it was over";
      } else {
        SeeFinal(call, status);
      }
    }
  }

  // One step of a foreign submitter.
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
    call.world = this;
    call.async = async;
    call.afterwards = static_cast<Call::Afterwards>(random().Below(3));
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
    Call* const outer = std::exchange(submitting_, &call);
    const SECURITY_STATUS status = SspiAcceptSecurityContextAsync(
        async, runtime_.credential(), call.first_leg ? nullptr : &context, nullptr, 0, 0,
        &call.handle, &call.out_desc, &call.attributes, nullptr);
    submitting_ = outer;
    call.accepted = status == SEC_E_OK;
    if (call.accepted) {
      ++accepted_;
    } else {
      EXPECT_EQ(status, SEC_E_INSUFFICIENT_MEMORY) << "only a full queue refuses";
      ++refused_;
    }
  }

  // One step of whoever has lost interest in a call: cancels it, or frees its context in flight.
  void Cancel() {
    if (calls_.empty()) return;
    Call& call = *calls_[random().Below(calls_.size())];
    if (call.async == nullptr || !call.accepted) return;
    if (random().Below(6) == 0 && call.callbacks == 0) {
      call.orphaned = !call.final_seen;
      if (!call.orphaned) return;
      SspiFreeAsyncContext(call.async);
      EXPECT_EQ(KtlsimCancelAsyncCall(call.async), SEC_E_INVALID_HANDLE);
      call.async = nullptr;
      return;
    }
    const SECURITY_STATUS status = KtlsimCancelAsyncCall(call.async);
    if (status == SEC_E_OK) {
      EXPECT_FALSE(call.final_seen);
      EXPECT_FALSE(call.cancelled) << "promised twice";
      call.cancelled = true;
    } else {
      EXPECT_EQ(status, KTLSIM_E_TOO_LATE);
    }
  }

  // The documented form: no callback, handle overwritten and async context freed at once.
  void Delete(CtxtHandle handle) {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    EXPECT_EQ(SspiDeleteSecurityContextAsync(async, &handle), SEC_E_OK) << "never refused";
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
  Call* submitting_ = nullptr;
  std::vector<CtxtHandle> contexts_;
  std::size_t accepted_ = 0;
  std::size_t refused_ = 0;
  std::size_t cancelled_ = 0;
  std::size_t timed_out_ = 0;
};

class SeededScheduleTest : public testing::Test {
 protected:
  // A runtime of another test in this program would be in the way.
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  // What is stopped stays stopped: the next test in this program wants one.
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
  const Seeds seeds = SeedsToRun(kSeeds);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    World world(seed);
    world.Run();
    accepted += world.accepted();
    refused += world.refused();
    cancelled += world.cancelled();
    timed_out += world.timed_out();
    ASSERT_FALSE(HasFailure()) << "KTLSIM_SEED=" << seed << " replays this\n"
                               << (seeds.one ? world.trace_text() : std::string());
  }
  std::printf("%zu calls accepted, %zu refused, %zu cancelled, %zu waited too long\n", accepted,
              refused, cancelled, timed_out);
  if (seeds.last - seeds.first < 200) return;
  EXPECT_GT(refused, 0U) << "the queues were never full: the schedules are too tame";
  EXPECT_GT(cancelled, 0U);
  EXPECT_GT(timed_out, 0U);
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
