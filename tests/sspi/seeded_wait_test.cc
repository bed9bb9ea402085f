// Calls that wait, and legs that continue on other contexts, on seeded schedules: processors,
// submitting threads, resumes, limits, deletes, stops and starts take turns on one thread, in an
// order drawn from a seed. Time is virtual. KTLSIM_SEED=<n> runs one seed and prints its schedule;
// KTLSIM_SEEDS=<n> tries so many.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi/stepped_runtime.h"
#include "tests/sspi/waiting_calls.h"
#include "tests/support/replay_hint.h"
#include "tests/support/seeds.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

constexpr std::uint64_t kWaitStepsMax = 100000;

// How often something happened that the schedules are for.
struct WaitTally {
  int resumed = 0;
  int timed_out = 0;
  int stopped = 0;
  int moved = 0;
  int alone = 0;       // legs whose found context was dead
  int named_dead = 0;  // those that named a context whose handle was dead already

  WaitTally& operator+=(const WaitTally& other) {
    resumed += other.resumed;
    timed_out += other.timed_out;
    stopped += other.stopped;
    moved += other.moved;
    alone += other.alone;
    named_dead += other.named_dead;
    return *this;
  }
};

struct WaitingCall {
  enum class Kind { kLeg, kVerify, kComplete, kEncrypt, kDelete, kAcquire };

  Kind kind = Kind::kLeg;
  SspiAsyncContext* async = nullptr;
  std::size_t context = 0;  // of kVerify, kComplete, kEncrypt: which of the shared ones
  bool accepted = false;
  int callbacks = 0;
  SECURITY_STATUS status = SEC_I_ASYNC_CALL_PENDING;
  CtxtHandle made{};
  CredHandle acquired{};
  SignedMessage message;
  LegMemory leg;
};

// Contexts that calls of several threads share, and legs of further contexts that continue on them.
class WaitingWorld {
 public:
  explicit WaitingWorld(std::uint64_t seed) : runtime_(seed) {
    limited_ = random().Below(3) != 0;
    executive::ExecutiveOptions options;
    options.processors = 1 + static_cast<unsigned>(random().Below(2));
    options.placement =
        random().Below(2) == 0 ? executive::Placement::kInline : executive::Placement::kPool;
    runtime_.Start(options);
    sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Waiting());
    WriteScripts();
    shared_credential_ = Acquire(shared_script_);
    leg_credential_ = Acquire(leg_script_);
    for (int i = 0; i < 2; ++i) {
      CtxtHandle handle{};
      EXPECT_EQ(AcceptSecurityContext(&shared_credential_, nullptr, nullptr, 0, 0, &handle, nullptr,
                                      nullptr, nullptr),
                SEC_E_OK);
      shared_.push_back(handle);
    }
    AddActors();
  }

  void Run() {
    ASSERT_TRUE(runtime_.scheduler().Run(kWaitStepsMax)) << "runs without end";
    if (stopped_) StopOrStart();
    // Nothing moves by itself any more, and time has passed: a limit ends every wait.
    if (limited_) {
      EXPECT_EQ(InFlight(), 0) << "still in flight after its limit";
    }
    while (InFlight() != 0) {
      for (executive::ResumeToken token : std::exchange(tokens_, {})) token.Resume();
      ASSERT_TRUE(runtime_.scheduler().Run(kWaitStepsMax));
    }
    for (CtxtHandle handle : shared_) {
      if (handle.dwLower == 0) continue;
      EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_OK);
    }
    for (const auto& call : calls_) {
      EXPECT_EQ(call->callbacks, call->accepted ? 1 : 0);
      SspiFreeAsyncContext(call->async);
    }
    EXPECT_EQ(FreeCredentialsHandle(&shared_credential_), SEC_E_OK);
    EXPECT_EQ(FreeCredentialsHandle(&leg_credential_), SEC_E_OK);
    EXPECT_EQ(Statistics().cSuspended, 0U);
    runtime_.Stop();
  }

  const WaitTally& tally() const { return tally_; }
  std::uint64_t trace_hash() { return runtime_.scheduler().trace_hash(); }
  std::string trace_text() { return runtime_.scheduler().TraceText(); }

 private:
  io::SeededRandom& random() { return runtime_.random(); }

  static CredHandle Acquire(sspi::Script& script) {
    CredHandle credential{};
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                        &script, nullptr, nullptr, &credential, nullptr),
              SEC_E_OK);
    return credential;
  }

  void WaitSometimes(sspi::ScriptedWait& wait) {
    if (random().Below(3) == 0) return;
    wait.on_suspend = [this](executive::ResumeToken token) { tokens_.push_back(token); };
    wait.suspensions = 1 + static_cast<int>(random().Below(2));
    if (limited_) wait.limit_ms = 1 + static_cast<std::uint32_t>(random().Below(2));
  }
  void WriteScripts() {
    shared_script_.legs.resize(1);
    shared_script_.legs[0].status = SEC_E_OK;
    shared_script_.continued.status = SEC_I_COMPLETE_NEEDED;
    shared_script_.continued.on_run = [this] { ++tally_.moved; };
    WaitSometimes(shared_script_.continued);
    WaitSometimes(shared_script_.verify);
    WaitSometimes(shared_script_.complete);
    WaitSometimes(shared_script_.end);
    leg_script_.legs.resize(1);
    leg_script_.legs[0].status = SEC_I_CONTINUE_NEEDED;
    leg_script_.legs[0].continue_on = [this] {
      const CtxtHandle named = found_[random().Below(found_.size())];
      if (IsDead(named)) ++tally_.named_dead;
      return named;
    };
    WaitSometimes(leg_script_.legs[0]);
    leg_script_.found_dead.status = SEC_I_CONTINUE_NEEDED;
    leg_script_.found_dead.on_run = [this] { ++tally_.alone; };
    WaitSometimes(leg_script_.acquire);
  }
  void AddActors() {
    found_ = shared_;
    executive::SeededScheduler& scheduler = runtime_.scheduler();
    scheduler.SetCheck([this] { CheckOrder(); });
    for (int i = 0; i < 3; ++i) {
      scheduler.AddActor("submitter", [this, left = 8]() mutable {
        Submit();
        return --left > 0;
      });
    }
    scheduler.AddActor("resumer", [this, left = 25]() mutable {
      Resume();
      return --left > 0;
    });
    scheduler.AddActor("deleter", [this, left = 12]() mutable {
      if (left == 4) Delete();
      return --left > 0;
    });
    scheduler.AddActor("clock", [this, left = 10]() mutable {
      runtime_.PassTime(random().Below(500));
      return --left > 0;
    });
    scheduler.AddActor("restarter", [this, left = 4 * random().Below(2)]() mutable {
      if (left > 0) StopOrStart();
      return left-- > 1;
    });
  }

  // Actors.

  void Submit() {
    WaitingCall& call = NewCall(static_cast<WaitingCall::Kind>(random().Below(6)));
    call.context = random().Below(shared_.size());
    CtxtHandle context = shared_[call.context];
    switch (call.kind) {
      case WaitingCall::Kind::kVerify:
        Accepted(call, SspiVerifySignatureAsync(call.async, &context, &call.message.desc, 0,
                                                &call.message.qop));
        return;
      case WaitingCall::Kind::kComplete:
        Accepted(call, SspiCompleteAuthTokenAsync(call.async, &context, &call.message.desc));
        return;
      case WaitingCall::Kind::kEncrypt:
        Accepted(call, SspiEncryptMessageAsync(call.async, &context, 0, &call.message.desc, 0));
        return;
      case WaitingCall::Kind::kAcquire:
        Accepted(call, AcquireWaitingAsync(call.async, &leg_script_, &call.acquired));
        return;
      case WaitingCall::Kind::kLeg:
      case WaitingCall::Kind::kDelete:  // the deleter's
        call.kind = WaitingCall::Kind::kLeg;
        Accepted(call, call.leg.Accept(call.async, &leg_credential_, nullptr, &call.made));
        return;
    }
  }
  void Resume() {
    if (tokens_.empty()) return;
    const std::size_t index = random().Below(tokens_.size());
    executive::ResumeToken token = tokens_[index];
    // Some are used again, by mistake.
    if (random().Below(4) != 0) tokens_.erase(tokens_.begin() + static_cast<std::ptrdiff_t>(index));
    ++tally_.resumed;
    token.Resume();
  }
  // The handle is dead from here on, and its context is freed when its calls have ended.
  void Delete() {
    CtxtHandle handle = std::exchange(shared_[random().Below(shared_.size())], CtxtHandle{});
    WaitingCall& call = NewCall(WaitingCall::Kind::kDelete);
    if (handle.dwLower == 0) return;
    Accepted(call, SspiDeleteSecurityContextAsync(call.async, &handle));
  }
  void StopOrStart() {
    if (stopped_) {
      if (runtime_.TryToStart() == SEC_E_OK) stopped_ = false;
    } else if (runtime_.MayStop()) {
      stopped_ = true;
      EXPECT_EQ(KtlsimStop(), SEC_E_OK);
      EXPECT_EQ(InFlight(), 0);
    }
  }

  WaitingCall& NewCall(WaitingCall::Kind kind) {
    WaitingCall& call = *calls_.emplace_back(std::make_unique<WaitingCall>());
    call.kind = kind;
    call.async = SspiCreateAsyncContext();
    EXPECT_EQ(SspiSetAsyncNotifyCallback(call.async, &WaitingWorld::Notify, &call), SEC_E_OK);
    if (random().Below(2) == 0) {
      EXPECT_EQ(KtlsimSetNotifyMode(call.async, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
    }
    worlds_call_ = this;
    return call;
  }
  void Accepted(WaitingCall& call, SECURITY_STATUS status) {
    call.accepted = status == SEC_E_OK;
    EXPECT_TRUE(call.accepted || (status == SEC_E_SHUTDOWN_IN_PROGRESS && stopped_) ||
                (status == SEC_E_INVALID_HANDLE && shared_[call.context].dwLower == 0))
        << status;
    if (call.accepted && call.kind != WaitingCall::Kind::kLeg) in_order_.push_back(&call);
  }
  bool IsDead(const CtxtHandle& handle) const {
    return std::ranges::none_of(
        shared_, [&](const CtxtHandle& one) { return one.dwUpper == handle.dwUpper; });
  }
  int InFlight() const {
    return static_cast<int>(std::ranges::count_if(
        calls_, [](const auto& call) { return call->accepted && call->callbacks == 0; }));
  }

  static void Notify(SspiAsyncContext* async, void* data) {
    auto& call = *static_cast<WaitingCall*>(data);
    EXPECT_EQ(++call.callbacks, 1);
    call.status = SspiGetAsyncCallStatus(async);
    worlds_call_->Look(call);
  }
  void Look(WaitingCall& call) {
    if (call.status == SEC_E_NO_AUTHENTICATING_AUTHORITY) {
      ++tally_.timed_out;
      EXPECT_TRUE(limited_);
      return;
    }
    if (call.status == SEC_E_SHUTDOWN_IN_PROGRESS) {
      ++tally_.stopped;
      EXPECT_TRUE(stopped_);
      return;
    }
    switch (call.kind) {
      case WaitingCall::Kind::kLeg:
        LookAtLeg(call);
        return;
      case WaitingCall::Kind::kVerify:
      case WaitingCall::Kind::kComplete:
      case WaitingCall::Kind::kEncrypt:
        // After the delete on the strand, and submitted before it: not on these schedules.
        EXPECT_EQ(call.status, SEC_E_OK);
        return;
      case WaitingCall::Kind::kDelete:
        EXPECT_EQ(call.status, SEC_E_OK);
        return;
      case WaitingCall::Kind::kAcquire:
        EXPECT_EQ(call.status, SEC_E_OK);
        EXPECT_EQ(FreeCredentialsHandle(&call.acquired), SEC_E_OK);
        return;
    }
  }
  void LookAtLeg(WaitingCall& call) {
    const bool found = std::ranges::any_of(
        found_, [&](const CtxtHandle& one) { return one.dwUpper == call.made.dwUpper; });
    if (call.status == SEC_I_COMPLETE_NEEDED) {
      EXPECT_TRUE(found);
      return;
    }
    EXPECT_EQ(call.status, SEC_I_CONTINUE_NEEDED);
    EXPECT_FALSE(found) << "a context of its own";
    SspiAsyncContext* async = SspiCreateAsyncContext();
    const SECURITY_STATUS status = SspiDeleteSecurityContextAsync(async, &call.made);
    EXPECT_TRUE(status == SEC_E_OK || (status == SEC_E_SHUTDOWN_IN_PROGRESS && stopped_));
    SspiFreeAsyncContext(async);
  }

  // Calls on one context end in the order in which they were submitted, whatever they wait for.
  void CheckOrder() {
    bool pending[2] = {};
    for (WaitingCall* call : in_order_) {
      if (call->kind == WaitingCall::Kind::kAcquire || call->kind == WaitingCall::Kind::kDelete) {
        continue;
      }
      const bool over = SspiGetAsyncCallStatus(call->async) != SEC_I_ASYNC_CALL_PENDING;
      EXPECT_FALSE(over && pending[call->context]) << "overtook an earlier call";
      if (!over) pending[call->context] = true;
    }
  }

  static inline WaitingWorld* worlds_call_ = nullptr;

  SteppedRuntime runtime_;
  sspi::Script shared_script_;
  sspi::Script leg_script_;
  CredHandle shared_credential_{};
  CredHandle leg_credential_{};
  std::vector<CtxtHandle> shared_;  // null: deleted
  std::vector<CtxtHandle> found_;   // the same, deleted ones too
  std::vector<std::unique_ptr<WaitingCall>> calls_;
  std::vector<WaitingCall*> in_order_;
  std::vector<executive::ResumeToken> tokens_;
  WaitTally tally_;
  bool limited_ = false;  // every wait has a limit
  bool stopped_ = false;  // or about to be stopped
};

class SeededWaitTest : public testing::Test {
 protected:
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  void TearDown() override { EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK); }
};

TEST_F(SeededWaitTest, EveryCallEndsOnceOnEverySchedule) {
  WaitTally tally;
  const Seeds seeds = SeedsToRun(static_cast<std::uint64_t>(Repetitions(5000)));
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    WaitingWorld world(seed);
    const auto told = [&] {
      return "KTLSIM_SEED=" + std::to_string(seed) + " replays this" +
             (seeds.one ? "\n" + world.trace_text() : std::string());
    };
    const ReplayHint hint(told);
    world.Run();
    tally += world.tally();
    ASSERT_FALSE(HasFailure()) << told();
  }
  std::printf(
      "%d tokens used, %d calls at their limit, %d ended by a stop, %d runs on a found "
      "context, %d legs alone, %d of them named a dead one\n",
      tally.resumed, tally.timed_out, tally.stopped, tally.moved, tally.alone, tally.named_dead);
  if (seeds.last - seeds.first < 200) return;
  EXPECT_GT(tally.timed_out, 0);
  EXPECT_GT(tally.stopped, 0);
  EXPECT_GT(tally.moved, 0);
  EXPECT_GT(tally.named_dead, 0);
  EXPECT_GT(tally.alone, tally.named_dead) << "no handle died while its leg waited for its turn";
}

TEST_F(SeededWaitTest, ReplaysASeedStepByStep) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::uint64_t hashes[2] = {};
    for (std::uint64_t& hash : hashes) {
      WaitingWorld world(seed);
      world.Run();
      hash = world.trace_hash();
    }
    ASSERT_EQ(hashes[0], hashes[1]) << "seed " << seed;
  }
}

// ---- Limits in virtual time

class VirtualLimitTest : public SeededWaitTest {
 protected:
  void SetUp() override {
    SeededWaitTest::SetUp();
    executive::ExecutiveOptions options;
    options.processors = 1;
    runtime_.Start(options);
    sspi::Script script;
    script.legs.resize(1);
    script.legs[0].status = SEC_E_OK;
    script.verify.on_suspend = tokens_.Taker();
    script.verify.suspensions = 3;
    script.verify.limit_ms = 10;
    credential_ = std::make_unique<ScriptedCredential>(std::move(script));
    context_ = std::make_unique<ScriptedContext>(*credential_, SEC_E_OK);
    call_ = std::make_unique<AsyncCall>();
  }
  void TearDown() override {
    call_.reset();
    context_.reset();
    credential_.reset();
    runtime_.Stop();
    SeededWaitTest::TearDown();
  }
  // Takes the steps that can be taken without time passing, or one that lets it pass.
  void Step(int times) {
    for (int i = 0; i < times; ++i) runtime_.scheduler().Step();
  }

  SteppedRuntime runtime_{1};
  Tokens tokens_;
  SignedMessage message_;
  std::unique_ptr<ScriptedCredential> credential_;
  std::unique_ptr<ScriptedContext> context_;
  std::unique_ptr<AsyncCall> call_;
};

TEST_F(VirtualLimitTest, OneLimitForAllSuspensionsOfACall) {
  const std::uint64_t began = runtime_.network().NowNs();
  ASSERT_EQ(SspiVerifySignatureAsync(call_->get(), context_->get(), &message_.desc, 0, nullptr),
            SEC_E_OK);
  while (tokens_.count() < 1) Step(1);
  runtime_.PassTime(4000);
  tokens_.Resume(0);
  while (tokens_.count() < 2) Step(1);
  runtime_.PassTime(4000);
  tokens_.Resume(1);
  while (tokens_.count() < 3) Step(1);
  EXPECT_EQ(SspiGetAsyncCallStatus(call_->get()), SEC_I_ASYNC_CALL_PENDING);
  ASSERT_TRUE(runtime_.scheduler().Run(kWaitStepsMax));
  EXPECT_EQ(call_->Finish(), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  const std::uint64_t waited = runtime_.network().NowNs() - began;
  EXPECT_GE(waited, 10 * kNsPerMs);
  EXPECT_LT(waited, 12 * kNsPerMs) << "10 ms from the first suspension, not from the last";
}

TEST_F(VirtualLimitTest, ResumedInTime) {
  ASSERT_EQ(SspiVerifySignatureAsync(call_->get(), context_->get(), &message_.desc, 0, nullptr),
            SEC_E_OK);
  for (std::size_t i = 0; i < 3; ++i) {
    while (tokens_.count() < static_cast<int>(i) + 1) Step(1);
    runtime_.PassTime(3000);
    tokens_.Resume(i);
  }
  ASSERT_TRUE(runtime_.scheduler().Run(kWaitStepsMax));
  EXPECT_EQ(call_->Finish(), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
