// Calls that wait for something: they are resumed, end at their limit, or when the library stops.
#include "tests/sspi/waiting_calls.h"

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr std::uint32_t kShortMs = 1;
constexpr std::uint32_t kLongMs = 30000;

// A script whose first leg establishes the context; the rest of it is the test's.
sspi::Script EstablishingScript() {
  sspi::Script script;
  script.legs.resize(1);
  script.legs[0].status = SEC_E_OK;
  script.repeats = true;
  return script;
}

// A kind of call that may wait. `Submit` and `CallNow` make it; `wait` is its part of a script.
struct WaitingKind {
  const char* name;
  sspi::ScriptedWait& (*wait)(sspi::Script& script);
  SECURITY_STATUS success;
  std::function<SECURITY_STATUS(class WaitingCalls&, SspiAsyncContext*)> submit;
  std::function<SECURITY_STATUS(class WaitingCalls&)> call_now;
};

// Everything that the calls of one test need: a context whose calls wait, and memory for each.
class WaitingCalls {
 public:
  // `arrange` says how the calls wait. With `legs`, the second leg is the one that waits.
  explicit WaitingCalls(const std::function<void(sspi::Script&)>& arrange) {
    sspi::Script script = EstablishingScript();
    script.legs.resize(2);
    script.legs[1] = script.legs[0];
    script.legs[1].output = "leg";
    arrange(script);
    script_ = KeepScript(std::move(script));
    credential_ = std::make_unique<ScriptedCredential>(*script_);
    context_ = std::make_unique<ScriptedContext>(*credential_, SEC_E_OK);
    SecInvalidateHandle(&acquired);
  }
  WaitingCalls(const WaitingCalls&) = delete;
  WaitingCalls& operator=(const WaitingCalls&) = delete;
  ~WaitingCalls() {
    if (SecIsValidHandle(&acquired)) {
      EXPECT_EQ(FreeCredentialsHandle(&acquired), SEC_E_OK);
    }
  }

  sspi::Script* script() { return script_; }
  PCtxtHandle context() { return context_->get(); }

  SignedMessage message;
  LegMemory leg;
  CredHandle acquired;

 private:
  sspi::Script* script_;
  std::unique_ptr<ScriptedCredential> credential_;
  std::unique_ptr<ScriptedContext> context_;
};

std::vector<WaitingKind> Kinds() {
  return {
      {"Acquire", [](sspi::Script& script) -> sspi::ScriptedWait& { return script.acquire; },
       SEC_E_OK,
       [](WaitingCalls& calls, SspiAsyncContext* async) {
         return AcquireWaitingAsync(async, calls.script(), &calls.acquired);
       },
       [](WaitingCalls& calls) { return AcquireWaiting(calls.script(), &calls.acquired); }},
      {"Leg", [](sspi::Script& script) -> sspi::ScriptedWait& { return script.legs[1]; }, SEC_E_OK,
       [](WaitingCalls& calls, SspiAsyncContext* async) {
         return calls.leg.Accept(async, nullptr, calls.context(), nullptr);
       },
       [](WaitingCalls& calls) {
         return AcceptSecurityContext(nullptr, calls.context(), &calls.leg.in_desc, 0, 0, nullptr,
                                      &calls.leg.out_desc, &calls.leg.attributes, nullptr);
       }},
      {"Complete", [](sspi::Script& script) -> sspi::ScriptedWait& { return script.complete; },
       SEC_E_OK,
       [](WaitingCalls& calls, SspiAsyncContext* async) {
         return SspiCompleteAuthTokenAsync(async, calls.context(), &calls.message.desc);
       },
       [](WaitingCalls& calls) { return CompleteAuthToken(calls.context(), &calls.message.desc); }},
      {"Verify", [](sspi::Script& script) -> sspi::ScriptedWait& { return script.verify; },
       SEC_E_OK,
       [](WaitingCalls& calls, SspiAsyncContext* async) {
         return SspiVerifySignatureAsync(async, calls.context(), &calls.message.desc, 0,
                                         &calls.message.qop);
       },
       [](WaitingCalls& calls) {
         return VerifySignature(calls.context(), &calls.message.desc, 0, &calls.message.qop);
       }},
  };
}

void PrintTo(const WaitingKind& kind, std::ostream* out) { *out << kind.name; }

class WaitingCallTest : public testing::TestWithParam<WaitingKind> {
 protected:
  WaitingCallTest() { static_cast<void>(KtlsimStart(nullptr)); }

  // The calls of the test's kind wait: `suspensions` times, for at most `limit_ms`.
  std::unique_ptr<WaitingCalls> Waiting(std::uint32_t limit_ms, int suspensions = 1) {
    return std::make_unique<WaitingCalls>([&](sspi::Script& script) {
      sspi::ScriptedWait& wait = GetParam().wait(script);
      wait.on_suspend = tokens_.Taker();
      wait.suspensions = suspensions;
      wait.limit_ms = limit_ms;
    });
  }
  SECURITY_STATUS Submit(WaitingCalls& calls) { return GetParam().submit(calls, call_.get()); }

  Tokens tokens_;
  AsyncCall call_;
};
INSTANTIATE_TEST_SUITE_P(, WaitingCallTest, testing::ValuesIn(Kinds()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(WaitingCallTest, IsResumedAndCallsBackOnce) {
  for (const std::uint32_t limit_ms : {std::uint32_t{0}, kLongMs}) {
    const auto calls = Waiting(limit_ms);
    ASSERT_EQ(Submit(*calls), SEC_E_OK);
    tokens_.WaitFor(limit_ms == 0 ? 1 : 2);
    EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
    tokens_.Resume(limit_ms == 0 ? 0 : 1);
    tokens_.Resume(limit_ms == 0 ? 0 : 1);  // the second one has no effect
    EXPECT_EQ(call_.Finish(), GetParam().success);
  }
  EXPECT_EQ(call_.callbacks(), 2);
  WaitUntil([] { return Statistics().cSuspended == 0; });
}

TEST_P(WaitingCallTest, EachSuspensionHasATokenOfItsOwn) {
  const auto calls = Waiting(kLongMs, 3);
  ASSERT_EQ(Submit(*calls), SEC_E_OK);
  tokens_.Resume(0);
  tokens_.WaitFor(2);
  tokens_.Resume(0);
  EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING) << "an old token";
  tokens_.Resume(1);
  tokens_.Resume(2);
  EXPECT_EQ(call_.Finish(), GetParam().success);
  EXPECT_EQ(call_.callbacks(), 1);
}

// The misuse that the contract names, while a call is suspended.
TEST_P(WaitingCallTest, IsInFlightWhileItWaits) {
  const auto calls = Waiting(0);
  ASSERT_EQ(Submit(*calls), SEC_E_OK);
  tokens_.WaitFor(1);
  EXPECT_EQ(Submit(*calls), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(SspiReinitAsyncContext(call_.get()), STATUS_DEVICE_BUSY);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(call_.get(), nullptr, nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimCancelAsyncCall(call_.get()), KTLSIM_E_TOO_LATE);
  tokens_.Resume();
  EXPECT_EQ(call_.Wait(), GetParam().success);
  EXPECT_EQ(Submit(*calls), SEC_E_INVALID_PARAMETER) << "not reinitialised";
  EXPECT_EQ(call_.Finish(), GetParam().success);
  EXPECT_EQ(call_.callbacks(), 1);
}

TEST_P(WaitingCallTest, WithoutACallbackIsRefused) {
  const auto calls = Waiting(0);
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_EQ(GetParam().submit(*calls, async), SEC_E_INVALID_PARAMETER);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(tokens_.count(), 0);
}

// Nobody uses the token.
TEST_P(WaitingCallTest, EndsAtItsLimit) {
  const auto calls = Waiting(kShortMs);
  ASSERT_EQ(Submit(*calls), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  tokens_.Resume();
  EXPECT_EQ(call_.callbacks(), 1);
  // The context is free for the next call, which waits on its own account.
  ASSERT_EQ(Submit(*calls), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  tokens_.Resume(1);
  EXPECT_EQ(call_.callbacks(), 2);
  EXPECT_FALSE(SecIsValidHandle(&calls->acquired));
  EXPECT_FALSE(calls->message.Completed());
  EXPECT_EQ(calls->message.qop, 0U) << "written on success only";
}

TEST_P(WaitingCallTest, StopEndsIt) {
  for (const std::uint32_t limit_ms : {std::uint32_t{0}, kLongMs}) {
    const auto calls = Waiting(limit_ms);
    const int before = tokens_.count();
    ASSERT_EQ(Submit(*calls), SEC_E_OK);
    tokens_.WaitFor(before + 1);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(call_.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
    tokens_.Resume(static_cast<std::size_t>(before));
  }
  EXPECT_EQ(call_.callbacks(), 2);
  EXPECT_EQ(Statistics().cSuspended, 0U);
}

// The call is suspended after the stop has begun.
TEST_P(WaitingCallTest, SuspendedDuringAStopEndsAtOnce) {
  Event runs;
  Event may_go_on;
  bool first = true;
  const auto take = tokens_.Taker();
  WaitingCalls calls([&](sspi::Script& script) {
    sspi::ScriptedWait& wait = GetParam().wait(script);
    wait.on_suspend = take;
    wait.on_run = [&] {
      if (!std::exchange(first, false)) return;
      runs.Set();
      may_go_on.Wait();
    };
  });
  ASSERT_EQ(Submit(calls), SEC_E_OK);
  runs.Wait();
  std::thread stopper([] { EXPECT_EQ(KtlsimStop(), SEC_E_OK); });
  AsyncCall probe;
  LegMemory memory;
  WaitUntil([&] {
    CredHandle nobody{1, 2};
    CtxtHandle made{};
    return memory.Accept(probe.get(), &nobody, nullptr, &made) == SEC_E_SHUTDOWN_IN_PROGRESS;
  });
  may_go_on.Set();
  stopper.join();
  EXPECT_EQ(call_.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(call_.callbacks(), 1);
}

TEST_P(WaitingCallTest, SynchronousCallerWaits) {
  const auto calls = Waiting(kLongMs, 2);
  std::thread resumer([this] {
    tokens_.Resume(0);
    tokens_.Resume(1);
  });
  EXPECT_EQ(GetParam().call_now(*calls), GetParam().success);
  resumer.join();
  EXPECT_EQ(tokens_.count(), 2);
}

TEST_P(WaitingCallTest, SynchronousCallerWaitsNoLongerThanTheLimit) {
  const auto calls = Waiting(kShortMs);
  EXPECT_EQ(GetParam().call_now(*calls), SEC_E_NO_AUTHENTICATING_AUTHORITY);
}

TEST_P(WaitingCallTest, StopEndsTheWaitOfASynchronousCaller) {
  const auto calls = Waiting(0);
  std::thread stopper([this] {
    tokens_.WaitFor(1);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  });
  EXPECT_EQ(GetParam().call_now(*calls), SEC_E_SHUTDOWN_IN_PROGRESS);
  stopper.join();
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

TEST_P(WaitingCallTest, SynchronousCallAboveThePassiveLevelIsRefused) {
  const auto calls = Waiting(0);
  const ScopedLevel dispatch(Level::kDispatch);
  EXPECT_EQ(GetParam().call_now(*calls), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(tokens_.count(), 0);
}

TEST_P(WaitingCallTest, IsSubmittedAtDispatchLevel) {
  const auto calls = Waiting(0);
  {
    const ScopedLevel dispatch(Level::kDispatch);
    ASSERT_EQ(Submit(*calls), SEC_E_OK);
  }
  tokens_.Resume();
  EXPECT_EQ(call_.Finish(), GetParam().success);
}

// Resumed and at its limit at about the same time, on real threads: one of the two ends the wait.
TEST_P(WaitingCallTest, ResumeRacesWithTheLimit) {
  for (int i = 0; i < Repetitions(200); ++i) {
    const auto calls = Waiting(kShortMs);
    ASSERT_EQ(Submit(*calls), SEC_E_OK);
    // From at once to twice the limit, however long a yield takes.
    const auto later = std::chrono::microseconds(i * 2000 * int{kShortMs} / Repetitions(200));
    const auto resumed = std::chrono::steady_clock::now() + later;
    while (std::chrono::steady_clock::now() < resumed) std::this_thread::yield();
    tokens_.Resume(static_cast<std::size_t>(i));
    const SECURITY_STATUS status = call_.Finish();
    EXPECT_TRUE(status == GetParam().success || status == SEC_E_NO_AUTHENTICATING_AUTHORITY);
    EXPECT_EQ(call_.callbacks(), i + 1);
  }
}

// ---- CompleteAuthToken, MakeSignature and VerifySignature

class SignatureTest : public testing::Test {
 protected:
  ScriptedCredential credential_{EstablishingScript()};
  ScriptedContext context_{credential_, SEC_E_OK};
  AsyncCall call_;
  SignedMessage message_;
};

TEST_F(SignatureTest, CompletesAToken) {
  EXPECT_EQ(CompleteAuthToken(context_.get(), &message_.desc), SEC_E_OK);
  EXPECT_TRUE(message_.Completed());
  ASSERT_EQ(SspiCompleteAuthTokenAsync(call_.get(), context_.get(), &message_.desc), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_FALSE(message_.Completed()) << "once more";
}

TEST_F(SignatureTest, MakesASignatureAndVerifiesIt) {
  for (char& c : message_.token) c = 0;
  {
    const ScopedLevel dispatch(Level::kDispatch);
    ASSERT_EQ(MakeSignature(context_.get(), 0, &message_.desc, 0), SEC_E_OK);
  }
  EXPECT_EQ(message_.token[0], ~'d');
  EXPECT_EQ(VerifySignature(context_.get(), &message_.desc, 0, &message_.qop), SEC_E_OK);
  EXPECT_EQ(message_.qop, 7U);
  message_.qop = 0;
  ASSERT_EQ(SspiVerifySignatureAsync(call_.get(), context_.get(), &message_.desc, 0, &message_.qop),
            SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(message_.qop, 7U);
}

TEST_F(SignatureTest, AlteredMessageIsTold) {
  message_.data[1] = 'x';
  message_.qop = 5;
  EXPECT_EQ(VerifySignature(context_.get(), &message_.desc, 0, &message_.qop),
            SEC_E_MESSAGE_ALTERED);
  ASSERT_EQ(SspiVerifySignatureAsync(call_.get(), context_.get(), &message_.desc, 0, &message_.qop),
            SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(message_.qop, 5U) << "written on success only";
}

TEST_F(SignatureTest, BadArgumentsAreRefusedAtTheSubmission) {
  const PCtxtHandle context = context_.get();
  CtxtHandle dead{1, 2};
  std::vector<SecBuffer> buffers(KTLSIM_BUFFERS_MAX + 1);
  SecBufferDesc many{SECBUFFER_VERSION, KTLSIM_BUFFERS_MAX + 1, buffers.data()};
  for (PSecBufferDesc bad : {PSecBufferDesc{nullptr}, &many}) {
    EXPECT_EQ(SspiCompleteAuthTokenAsync(call_.get(), context, bad), SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(SspiVerifySignatureAsync(call_.get(), context, bad, 0, nullptr),
              SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(MakeSignature(context, 0, bad, 0), SEC_E_INVALID_PARAMETER);
    EXPECT_EQ(VerifySignature(context, bad, 0, nullptr), SEC_E_INVALID_PARAMETER);
  }
  for (PCtxtHandle nobody : {PCtxtHandle{nullptr}, &dead}) {
    EXPECT_EQ(SspiCompleteAuthTokenAsync(call_.get(), nobody, &message_.desc),
              SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiVerifySignatureAsync(call_.get(), nobody, &message_.desc, 0, nullptr),
              SEC_E_INVALID_HANDLE);
    EXPECT_EQ(MakeSignature(nobody, 0, &message_.desc, 0), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(VerifySignature(nobody, &message_.desc, 0, nullptr), SEC_E_INVALID_HANDLE);
  }
  EXPECT_EQ(call_.callbacks(), 0);
}

TEST_F(SignatureTest, NothingIsSignedBeforeTheContextIsEstablished) {
  ScriptedCredential credential(RepeatedScript());
  ScriptedContext partial(credential);
  EXPECT_EQ(MakeSignature(partial.get(), 0, &message_.desc, 0), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(VerifySignature(partial.get(), &message_.desc, 0, nullptr), SEC_E_INVALID_HANDLE);
  ASSERT_EQ(SspiVerifySignatureAsync(call_.get(), partial.get(), &message_.desc, 0, nullptr),
            SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(CompleteAuthToken(partial.get(), &message_.desc), SEC_E_OK) << "it completes a leg";
}

TEST_F(SignatureTest, TlsSignsNothing) {
  TestCredential client = TestCredential::Client();
  CtxtHandle context{};
  LegMemory memory;
  memory.out = {0, SECBUFFER_TOKEN, nullptr};
  char target[] = "localhost";
  ASSERT_EQ(InitializeSecurityContextA(client.get(), nullptr, target, ISC_REQ_ALLOCATE_MEMORY, 0, 0,
                                       nullptr, 0, &context, &memory.out_desc, &memory.attributes,
                                       nullptr),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(FreeContextBuffer(memory.out.pvBuffer), SEC_E_OK);
  EXPECT_EQ(MakeSignature(&context, 0, &message_.desc, 0), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(VerifySignature(&context, &message_.desc, 0, nullptr), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(SspiVerifySignatureAsync(call_.get(), &context, &message_.desc, 0, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  ASSERT_EQ(SspiCompleteAuthTokenAsync(call_.get(), &context, &message_.desc), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

// Calls of one context wait for one another, also when the first one is suspended.
TEST(WaitingOrderTest, TheNextCallOfTheContextComesAfterIt) {
  Tokens tokens;
  WaitingCalls calls([&](sspi::Script& script) { script.verify.on_suspend = tokens.Taker(); });
  AsyncCall verify;
  AsyncCall complete;
  SignedMessage other;
  ASSERT_EQ(SspiVerifySignatureAsync(verify.get(), calls.context(), &calls.message.desc, 0,
                                     &calls.message.qop),
            SEC_E_OK);
  tokens.WaitFor(1);
  ASSERT_EQ(SspiCompleteAuthTokenAsync(complete.get(), calls.context(), &other.desc), SEC_E_OK);
  // Another context is not held up, and neither is a signature, which takes no turn.
  WaitingCalls bystander([](sspi::Script&) {});
  EXPECT_EQ(CompleteAuthToken(bystander.context(), &bystander.message.desc), SEC_E_OK);
  EXPECT_EQ(MakeSignature(calls.context(), 0, &bystander.message.desc, 0), SEC_E_OK);
  EXPECT_EQ(SspiGetAsyncCallStatus(complete.get()), SEC_I_ASYNC_CALL_PENDING);
  EXPECT_EQ(KtlsimCancelAsyncCall(complete.get()), SEC_E_OK) << "it is queued";
  EXPECT_EQ(complete.Finish(), KTLSIM_E_CANCELLED);
  ASSERT_EQ(SspiCompleteAuthTokenAsync(complete.get(), calls.context(), &other.desc), SEC_E_OK);
  tokens.Resume();
  EXPECT_EQ(verify.Finish(), SEC_E_OK);
  EXPECT_EQ(complete.Finish(), SEC_E_OK);
  EXPECT_TRUE(other.Completed());
}

// ---- Deleting

class WaitingEndTest : public testing::Test {
 protected:
  std::unique_ptr<WaitingCalls> Calls(std::uint32_t limit_ms) {
    auto calls = std::make_unique<WaitingCalls>([&](sspi::Script& script) {
      script.end.on_suspend = tokens_.Taker();
      script.end.limit_ms = limit_ms;
      script.on_end = [this] { ended_.Add(); };
    });
    return calls;
  }
  // The calls' own context is deleted by the test.
  CtxtHandle ContextOf(WaitingCalls& calls) {
    ScriptedCredential credential(*calls.script());
    return ScriptedContext(credential, SEC_E_OK).Release();
  }

  Tokens tokens_;
  Count ended_;
  AsyncCall call_;
};

TEST_F(WaitingEndTest, AsynchronousDeleteWaits) {
  const auto calls = Calls(0);
  CtxtHandle context = ContextOf(*calls);
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &context), SEC_E_OK);
  tokens_.WaitFor(1);
  EXPECT_EQ(CompleteAuthToken(&context, &calls->message.desc), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
  EXPECT_EQ(ended_.value(), 0);
  EXPECT_EQ(Statistics().cSecurityContexts, 2U);
  tokens_.Resume();
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(ended_.value(), 1);
  EXPECT_EQ(Statistics().cSecurityContexts, 1U) << "freed before the outcome is told";
}

TEST_F(WaitingEndTest, AsynchronousDeleteEndsAtItsLimit) {
  const auto calls = Calls(kShortMs);
  CtxtHandle context = ContextOf(*calls);
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &context), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK) << "whatever could not be done in time";
  EXPECT_EQ(ended_.value(), 1);
}

TEST_F(WaitingEndTest, StopEndsAnAsynchronousDelete) {
  const auto calls = Calls(0);
  CtxtHandle context = ContextOf(*calls);
  // The documented form: without a callback, freed at once.
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(async, &context), SEC_E_OK);
  SspiFreeAsyncContext(async);
  tokens_.WaitFor(1);
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(ended_.value(), 1);
  EXPECT_EQ(Statistics().cSecurityContexts, 1U);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

TEST_F(WaitingEndTest, SynchronousDeleteDoesNotWait) {
  const auto calls = Calls(0);
  CtxtHandle context = ContextOf(*calls);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  EXPECT_EQ(tokens_.count(), 0);
  EXPECT_EQ(ended_.value(), 1);
  EXPECT_EQ(Statistics().cSecurityContexts, 1U);
}

TEST_F(WaitingEndTest, DeleteComesAfterTheCallThatWaits) {
  Tokens verifies;
  WaitingCalls calls([&](sspi::Script& script) {
    script.verify.on_suspend = verifies.Taker();
    script.on_end = [this] { ended_.Add(); };
  });
  CtxtHandle context = ContextOf(calls);
  AsyncCall verify;
  ASSERT_EQ(SspiVerifySignatureAsync(verify.get(), &context, &calls.message.desc, 0, nullptr),
            SEC_E_OK);
  verifies.WaitFor(1);
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &context), SEC_E_OK);
  EXPECT_EQ(ended_.value(), 0);
  verifies.Resume();
  EXPECT_EQ(verify.Finish(), SEC_E_OK) << "it goes on with its own reference";
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(ended_.value(), 1);
}

// ---- Packages that break the rules, and what packages may ask for

// Waits whatever it is told; what it was asked for is kept.
class StubbornPackage final : public sspi::Package {
 public:
  static StubbornPackage& Instance() {
    static auto* const package = new StubbornPackage();
    return *package;
  }
  std::span<const std::string_view> Names() const override {
    static constexpr std::array<std::string_view, 1> kNames = {"ktlsim stubborn"};
    return kNames;
  }
  bool AcquireMayWait() const override { return true; }
  sspi::CallResult Acquire(const sspi::AcquireArguments& arguments, sspi::PackageCall* call,
                           std::unique_ptr<sspi::PackageCredential>* credential) override {
    runs.push_back(call->run);
    if (arguments.auth_data == nullptr) return sspi::CallResult::Suspended(limit_ms);
    *credential = std::make_unique<Credential>();
    return sspi::CallResult::Done(SEC_E_OK);
  }
  SECURITY_STATUS CreateContext(sspi::PackageCredential&,
                                std::unique_ptr<sspi::PackageContext>* context) override {
    *context = std::make_unique<Context>();
    return SEC_E_OK;
  }
  void End(const SecHandle& handle) { host().EndContext(handle); }

  std::vector<executive::CallRun> runs;
  std::uint32_t limit_ms = 0;

  static constexpr ULONG kEarly = 1001;
  static constexpr ULONG kLate = 1002;

 private:
  struct Credential final : sspi::PackageCredential {
    sspi::Direction direction() const override { return sspi::Direction::kInbound; }
  };
  struct Context final : sspi::PackageContext {
    sspi::LegResult Leg(const sspi::LegArguments& arguments) override {
      EXPECT_NE(arguments.own_handle.dwUpper, 0U);
      own_handle = arguments.own_handle;
      sspi::LegResult result;
      result.status = legs++ == 0 ? SEC_I_CONTINUE_NEEDED : SEC_E_OK;
      result.established = result.status == SEC_E_OK;
      return result;
    }
    SECURITY_STATUS Query(const sspi::AttributeQuery& query) override {
      if (query.attribute != kEarly && query.attribute != kLate) return SEC_E_UNSUPPORTED_FUNCTION;
      *static_cast<int*>(query.buffer) = query.wide ? 2 : 1;
      return SEC_E_OK;
    }
    bool IsKnownEarly(ULONG attribute) const override { return attribute == kEarly; }

    SecHandle own_handle{};
    int legs = 0;
  };
};

class StubbornPackageTest : public testing::Test {
 protected:
  StubbornPackageTest() {
    sspi::Runtime::Instance().RegisterPackage(package_);
    package_.runs.clear();
  }
  SECURITY_STATUS Acquire(void* auth_data) {
    static char name[] = "ktlsim stubborn";
    return AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, auth_data,
                                     nullptr, nullptr, &credential_, nullptr);
  }

  StubbornPackage& package_ = StubbornPackage::Instance();
  CredHandle credential_{};
};

TEST_F(StubbornPackageTest, WhatWaitsAfterItsLimitIsEnded) {
  package_.limit_ms = kShortMs;
  EXPECT_EQ(Acquire(nullptr), SEC_E_INTERNAL_ERROR);
  EXPECT_EQ(package_.runs,
            (std::vector{executive::CallRun::kFirst, executive::CallRun::kTimedOut}));
}

TEST_F(StubbornPackageTest, WhatWaitsDuringAStopIsEnded) {
  package_.limit_ms = kLongMs;
  std::thread stopper([] {
    WaitUntil([] { return Statistics().cSuspended == 1; });
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  });
  EXPECT_EQ(Acquire(nullptr), SEC_E_SHUTDOWN_IN_PROGRESS);
  stopper.join();
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(package_.runs,
            (std::vector{executive::CallRun::kFirst, executive::CallRun::kStopping}));
}

TEST_F(StubbornPackageTest, AttributesAreAskedForInTheCallersWidthAndEarlyWhereTheyAreKnown) {
  ASSERT_EQ(Acquire(this), SEC_E_OK);
  LegMemory memory;
  CtxtHandle context{};
  int got = 0;
  ASSERT_EQ(AcceptSecurityContext(&credential_, nullptr, nullptr, 0, 0, &context, &memory.out_desc,
                                  nullptr, nullptr),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(QueryContextAttributesA(&context, StubbornPackage::kLate, &got),
            SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(QueryContextAttributesA(&context, StubbornPackage::kEarly, &got), SEC_E_OK);
  EXPECT_EQ(got, 1);
  EXPECT_EQ(QueryContextAttributesExW(&context, StubbornPackage::kEarly, &got, sizeof(got)),
            SEC_E_OK);
  EXPECT_EQ(got, 2);
  ASSERT_EQ(AcceptSecurityContext(nullptr, &context, nullptr, 0, 0, nullptr, &memory.out_desc,
                                  nullptr, nullptr),
            SEC_E_OK);
  EXPECT_EQ(QueryContextAttributesW(&context, StubbornPackage::kLate, &got), SEC_E_OK);
  EXPECT_EQ(got, 2);
  EXPECT_EQ(QueryContextAttributesExA(&context, StubbornPackage::kLate, &got, sizeof(got)),
            SEC_E_OK);
  EXPECT_EQ(got, 1);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
}

TEST_F(StubbornPackageTest, APackageEndsAContextByItself) {
  ASSERT_EQ(Acquire(this), SEC_E_OK);
  LegMemory memory;
  CtxtHandle context{};
  ASSERT_EQ(AcceptSecurityContext(&credential_, nullptr, nullptr, 0, 0, &context, &memory.out_desc,
                                  nullptr, nullptr),
            SEC_I_CONTINUE_NEEDED);
  const ULONGLONG before = Statistics().cSecurityContexts;
  package_.End(context);
  EXPECT_EQ(Statistics().cSecurityContexts, before - 1);
  package_.End(context);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
}

// ---- Kernel mode

class KernelModeAsyncTest : public testing::Test {
 protected:
  KernelModeAsyncTest() {
    EXPECT_EQ(AcquireWaiting(script_, &inbound_), SEC_E_OK);
    name_.Buffer = reinterpret_cast<PWSTR>(buffer_);
    name_.Length = sizeof(buffer_) - sizeof(WCHAR);
    name_.MaximumLength = sizeof(buffer_);
  }
  ~KernelModeAsyncTest() override { EXPECT_EQ(FreeCredentialsHandle(&inbound_), SEC_E_OK); }

  sspi::Script* const script_ = KeepScript(RepeatedScript());
  CredHandle inbound_{};
  WCHAR buffer_[24] = u"ktlsim scripted waiting";
  SECURITY_STRING name_{};
  AsyncCall call_;
  LegMemory memory_;
};

TEST_F(KernelModeAsyncTest, PackageWithoutAsynchronousCallsIsRefusedAtTheSubmission) {
  CredHandle acquired{};
  EXPECT_EQ(Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(call_.get(), nullptr, &name_,
                                                        SECPKG_CRED_INBOUND, nullptr, script_,
                                                        nullptr, nullptr, &acquired, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  CtxtHandle context{};
  const auto accept = [&](PCredHandle credential, PCtxtHandle old) {
    return Ktlsim_k_SspiAcceptSecurityContextAsync(call_.get(), credential, old, &memory_.in_desc,
                                                   0, 0, &context, &memory_.out_desc,
                                                   &memory_.attributes, nullptr);
  };
  EXPECT_EQ(accept(&inbound_, nullptr), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(Statistics().cSecurityContexts, 0U);
  ASSERT_EQ(memory_.Accept(call_.get(), &inbound_, nullptr, &context), SEC_E_OK) << "user mode";
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(accept(nullptr, &context), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(Ktlsim_k_SspiInitializeSecurityContextAsyncW(
                call_.get(), nullptr, &context, nullptr, 0, 0, 0, &memory_.in_desc, 0, nullptr,
                &memory_.out_desc, &memory_.attributes, nullptr),
            SEC_E_INVALID_HANDLE)
      << "of the other direction";
  EXPECT_EQ(call_.callbacks(), 1);
  // A delete that was refused would leave the context behind.
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &context), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
}

TEST_F(KernelModeAsyncTest, OtherPackagesAreAccepted) {
  ScriptedCredential credential(RepeatedScript());
  CtxtHandle context{};
  ASSERT_EQ(Ktlsim_k_SspiAcceptSecurityContextAsync(
                call_.get(), credential.get(), nullptr, &memory_.in_desc, 0, 0, &context,
                &memory_.out_desc, &memory_.attributes, nullptr),
            SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
