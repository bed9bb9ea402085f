// The misuse matrix: what every function returns when the rules of async contexts are broken. Calls
// in flight are not affected. One test per row.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

// What each submitting function returns, with otherwise good arguments.
std::vector<std::pair<const char*, SECURITY_STATUS>> SubmitEverything(SspiAsyncContext* async,
                                                                      PCredHandle inbound,
                                                                      PCredHandle outbound,
                                                                      PCtxtHandle context) {
  static sspi::Script script = RepeatedScript();
  static CredHandle acquired;
  static CtxtHandle made;
  static LegMemory memory;
  static WCHAR wide_name[] = u"ktlsim scripted";
  static WCHAR wide_target[] = u"target";
  static char target[] = "target";
  std::vector<std::pair<const char*, SECURITY_STATUS>> answers;
  answers.emplace_back("AcquireA", SspiAcquireCredentialsHandleAsyncA(
                                       async, nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                       &script, nullptr, nullptr, &acquired, nullptr));
  answers.emplace_back("AcquireW", SspiAcquireCredentialsHandleAsyncW(
                                       async, nullptr, wide_name, SECPKG_CRED_INBOUND, nullptr,
                                       &script, nullptr, nullptr, &acquired, nullptr));
  answers.emplace_back("Accept", memory.Accept(async, inbound, nullptr, &made));
  answers.emplace_back("InitializeA",
                       SspiInitializeSecurityContextAsyncA(
                           async, outbound, nullptr, target, 0, 0, 0, &memory.in_desc, 0, &made,
                           &memory.out_desc, &memory.attributes, nullptr));
  answers.emplace_back(
      "InitializeW", SspiInitializeSecurityContextAsyncW(
                         async, outbound, nullptr, wide_target, 0, 0, 0, &memory.in_desc, 0, &made,
                         &memory.out_desc, &memory.attributes, nullptr));
  answers.emplace_back("FreeCredentials", SspiFreeCredentialsHandleAsync(async, inbound));
  answers.emplace_back("Encrypt", SspiEncryptMessageAsync(async, context, 0, &memory.in_desc, 0));
  answers.emplace_back("Decrypt",
                       SspiDecryptMessageAsync(async, context, &memory.in_desc, 0, nullptr));
  answers.emplace_back("Complete", SspiCompleteAuthTokenAsync(async, context, &memory.in_desc));
  answers.emplace_back("Verify",
                       SspiVerifySignatureAsync(async, context, &memory.in_desc, 0, nullptr));
  return answers;
}

class AsyncMisuseTest : public testing::Test {
 protected:
  void ExpectAllRefused(SspiAsyncContext* async, SECURITY_STATUS expected) {
    for (const auto& [name, status] :
         SubmitEverything(async, inbound_.get(), outbound_.get(), context_.get())) {
      EXPECT_EQ(status, expected) << name;
    }
  }
  void ExpectAllRefusedDeleteToo(SspiAsyncContext* async, SECURITY_STATUS expected) {
    ExpectAllRefused(async, expected);
    EXPECT_EQ(SspiDeleteSecurityContextAsync(async, context_.get()), expected);
  }
  // Nothing above may have consumed a handle.
  void TearDown() override {
    LegMemory memory;
    EXPECT_EQ(AcceptSecurityContext(inbound_.get(), context_.get(), &memory.in_desc, 0, 0,
                                    context_.get(), &memory.out_desc, &memory.attributes, nullptr),
              SEC_I_CONTINUE_NEEDED);
  }

  ScriptedCredential inbound_{RepeatedScript()};
  ScriptedCredential outbound_{RepeatedScript(), SECPKG_CRED_OUTBOUND};
  ScriptedContext context_{inbound_};
};

void Ignore(SspiAsyncContext*, PVOID) {}

TEST_F(AsyncMisuseTest, NullAsyncContextIsAnInvalidHandleEverywhere) {
  ExpectAllRefusedDeleteToo(nullptr, SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(nullptr, &Ignore, nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiGetAsyncCallStatus(nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiReinitAsyncContext(nullptr), STATUS_INVALID_HANDLE);
  EXPECT_FALSE(SspiAsyncContextRequiresNotify(nullptr));
  EXPECT_EQ(KtlsimSetNotifyMode(nullptr, KTLSIM_NOTIFY_POOL), SEC_E_INVALID_HANDLE);
  SspiFreeAsyncContext(nullptr);
}

TEST_F(AsyncMisuseTest, GarbageAsyncContextIsAnInvalidHandleEverywhere) {
  for (const std::uintptr_t bits :
       {std::uintptr_t{0x12345678}, ~std::uintptr_t{0}, ~std::uintptr_t{0} - 1,
        reinterpret_cast<std::uintptr_t>(this), std::uintptr_t{1} << 63}) {
    auto* garbage = reinterpret_cast<SspiAsyncContext*>(bits);
    ExpectAllRefusedDeleteToo(garbage, SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiSetAsyncNotifyCallback(garbage, &Ignore, nullptr), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiGetAsyncCallStatus(garbage), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiReinitAsyncContext(garbage), STATUS_INVALID_HANDLE);
    EXPECT_FALSE(SspiAsyncContextRequiresNotify(garbage));
    SspiFreeAsyncContext(garbage);
  }
}

TEST_F(AsyncMisuseTest, FreedAsyncContextIsAnInvalidHandleEverywhere) {
  SspiAsyncContext* freed = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(freed, &Ignore, nullptr), SEC_E_OK);
  SspiFreeAsyncContext(freed);
  ExpectAllRefusedDeleteToo(freed, SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(freed, &Ignore, nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiReinitAsyncContext(freed), STATUS_INVALID_HANDLE);
  EXPECT_FALSE(SspiAsyncContextRequiresNotify(freed));
  SspiFreeAsyncContext(freed);
}

TEST_F(AsyncMisuseTest, MisuseIsCounted) {
  const ULONGLONG before = Statistics().cMisuse;
  SspiReinitAsyncContext(nullptr);
  EXPECT_EQ(Statistics().cMisuse, before + 1);
}

TEST_F(AsyncMisuseTest, StatusBeforeAnySubmissionIsNeitherPendingNorSuccess) {
  AsyncCall call;
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_E_INVALID_PARAMETER);
}

TEST_F(AsyncMisuseTest, ReinitOfAnIdleContextChangesNothing) {
  AsyncCall call;
  EXPECT_EQ(SspiReinitAsyncContext(call.get()), STATUS_SUCCESS);
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(call.get()));
  LegMemory memory;
  EXPECT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
}

TEST_F(AsyncMisuseTest, RequiresNotifyTellsTheRegistrationInEveryState) {
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_FALSE(SspiAsyncContextRequiresNotify(async));
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &Ignore, nullptr), SEC_E_OK);
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(async));
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, nullptr, nullptr), SEC_E_OK);
  EXPECT_FALSE(SspiAsyncContextRequiresNotify(async));
  SspiFreeAsyncContext(async);
  AsyncCall call;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(call.get()));
  call.Wait();
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(call.get())) << "also after the callback has fired";
}

TEST_F(AsyncMisuseTest, OperationsOtherThanDeleteNeedACallback) {
  SspiAsyncContext* silent = SspiCreateAsyncContext();
  ExpectAllRefused(silent, SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(SspiGetAsyncCallStatus(silent), SEC_E_INVALID_PARAMETER) << "still idle";
  SspiFreeAsyncContext(silent);
}

TEST_F(AsyncMisuseTest, DeleteWithoutACallbackIsAccepted) {
  ScriptedContext context(inbound_);
  CtxtHandle handle = context.Release();
  const ULONGLONG misuse = Statistics().cMisuse;
  SspiAsyncContext* silent = SspiCreateAsyncContext();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(silent, &handle), SEC_E_OK);
  WaitUntil([&] { return SspiGetAsyncCallStatus(silent) != SEC_I_ASYNC_CALL_PENDING; });
  EXPECT_EQ(SspiGetAsyncCallStatus(silent), SEC_E_OK);
  EXPECT_EQ(SspiReinitAsyncContext(silent), STATUS_SUCCESS) << "done without a callback";
  SspiFreeAsyncContext(silent);
  EXPECT_EQ(Statistics().cMisuse, misuse);
}

TEST_F(AsyncMisuseTest, SecondDeleteOfAHandleIsToldOnce) {
  ScriptedContext context(inbound_);
  CtxtHandle handle = context.Release();
  AsyncCall first;
  AsyncCall second;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(first.get(), &handle), SEC_E_OK);
  EXPECT_EQ(SspiDeleteSecurityContextAsync(second.get(), &handle), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(first.Finish(), SEC_E_OK);
  EXPECT_EQ(SspiDeleteSecurityContextAsync(second.get(), &handle), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(second.callbacks(), 0) << "reported at submission, so not at completion";
}

TEST_F(AsyncMisuseTest, ClearedCallbackIsNoCallback) {
  AsyncCall call;
  ASSERT_EQ(SspiSetAsyncNotifyCallback(call.get(), nullptr, nullptr), SEC_E_OK);
  ExpectAllRefused(call.get(), SEC_E_INVALID_PARAMETER);
}

TEST_F(AsyncMisuseTest, SubmissionInDoneWithoutReinitIsRefusedAndKeepsTheStatus) {
  AsyncCall call;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  ASSERT_EQ(call.Wait(), SEC_I_CONTINUE_NEEDED);
  ExpectAllRefusedDeleteToo(call.get(), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(call.callbacks(), 1);
}

TEST_F(AsyncMisuseTest, SetCallbackInDoneIsForTheNextSubmission) {
  AsyncCall call;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  ASSERT_EQ(call.Wait(), SEC_I_CONTINUE_NEEDED);
  static Count* second;
  Count count;
  second = &count;
  ASSERT_EQ(SspiSetAsyncNotifyCallback(
                call.get(), [](SspiAsyncContext*, PVOID) { second->Add(); }, nullptr),
            SEC_E_OK);
  EXPECT_EQ(count.value(), 0) << "not for the finished one";
  ASSERT_EQ(SspiReinitAsyncContext(call.get()), STATUS_SUCCESS);
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  count.WaitFor(1);
  EXPECT_EQ(call.callbacks(), 1);
}

TEST_F(AsyncMisuseTest, DoubleFreeDoesNothing) {
  const ULONGLONG live = Statistics().cAsyncContexts;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  EXPECT_EQ(Statistics().cAsyncContexts, live + 1);
  SspiFreeAsyncContext(async);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(Statistics().cAsyncContexts, live);
  SspiAsyncContext* other = SspiCreateAsyncContext();
  EXPECT_NE(other, async);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(other, &Ignore, nullptr), SEC_E_OK) << "still alive";
  SspiFreeAsyncContext(other);
}

TEST_F(AsyncMisuseTest, StatusAfterFreeIsTheFinalOne) {
  LegMemory memory;
  auto call = std::make_unique<AsyncCall>();
  SspiAsyncContext* async = call->get();
  ASSERT_EQ(memory.Accept(async, inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  call->Wait();
  call.reset();
  for (int i = 0; i < 1000; ++i) {
    SspiFreeAsyncContext(SspiCreateAsyncContext());
    ASSERT_EQ(SspiGetAsyncCallStatus(async), SEC_I_CONTINUE_NEEDED);
  }
}

TEST_F(AsyncMisuseTest, StatusAfterFreeWithoutACallNeverLooksLikeSuccess) {
  SspiAsyncContext* never = SspiCreateAsyncContext();
  SspiFreeAsyncContext(never);
  EXPECT_LT(SspiGetAsyncCallStatus(never), 0);
  LegMemory memory;
  auto call = std::make_unique<AsyncCall>();
  SspiAsyncContext* reinitialised = call->get();
  ASSERT_EQ(memory.Accept(reinitialised, inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  call->Finish();
  call.reset();
  EXPECT_LT(SspiGetAsyncCallStatus(reinitialised), 0);
}

TEST_F(AsyncMisuseTest, UnknownNotifyModeIsRefused) {
  AsyncCall call;
  EXPECT_EQ(KtlsimSetNotifyMode(call.get(), 2), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimSetNotifyMode(call.get(), ~0U), SEC_E_INVALID_PARAMETER);
}

// ---- While a call is in flight, held by its script.

class AsyncInFlightTest : public AsyncMisuseTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(memory_.Accept(call_.get(), held_credential_.get(), held_context_.get(),
                             held_context_.get()),
              SEC_E_OK);
    held_.WaitUntilHeld();
    ASSERT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
  }
  void TearDown() override {
    held_.Resume();
    EXPECT_EQ(call_.Wait(), SEC_I_CONTINUE_NEEDED);
    EXPECT_EQ(memory_.Token(), "late");
    EXPECT_EQ(call_.callbacks(), 1);
    AsyncMisuseTest::TearDown();
  }

  HeldLeg held_;
  ScriptedCredential held_credential_{held_.script()};
  ScriptedContext held_context_{held_credential_};
  AsyncCall call_;
  LegMemory memory_;
};

TEST_F(AsyncInFlightTest, SecondSubmissionIsRefusedAndTheFirstUnaffected) {
  ExpectAllRefusedDeleteToo(call_.get(), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
}

TEST_F(AsyncInFlightTest, SetCallbackIsRefusedAndTheRegistrationUnchanged) {
  EXPECT_EQ(SspiSetAsyncNotifyCallback(call_.get(), &Ignore, nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(call_.get(), nullptr, nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimSetNotifyMode(call_.get(), KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_INVALID_PARAMETER);
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(call_.get()));
}

TEST_F(AsyncInFlightTest, ReinitIsBusy) {
  EXPECT_EQ(SspiReinitAsyncContext(call_.get()), STATUS_DEVICE_BUSY);
  EXPECT_LT(SspiReinitAsyncContext(call_.get()), 0);
  EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
}

TEST_F(AsyncInFlightTest, OutputsAreNotWrittenYet) {
  EXPECT_EQ(memory_.attributes, 0U);
  EXPECT_EQ(memory_.out.cbBuffer, sizeof(memory_.output));
}

struct Orphan {
  Count callbacks;
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  static void Notify(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<Orphan*>(data);
    self->status = SspiGetAsyncCallStatus(async);
    SspiFreeAsyncContext(async);  // a second free is tolerated
    self->callbacks.Add();
  }
};

TEST_F(AsyncMisuseTest, FreeInFlightWithACallbackStillCallsBackOnce) {
  const ULONGLONG live = Statistics().cAsyncContexts;
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  Orphan orphan;
  LegMemory memory;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &Orphan::Notify, &orphan), SEC_E_OK);
  ASSERT_EQ(memory.Accept(async, credential.get(), context.get(), nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  SspiFreeAsyncContext(async);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(orphan.callbacks.value(), 0);
  EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_INVALID_HANDLE);
  held.Resume();
  orphan.callbacks.WaitFor(1);
  EXPECT_EQ(orphan.status, SEC_I_CONTINUE_NEEDED) << "valid for the callback's duration";
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);  // a drain: every other callback would have come
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(orphan.callbacks.value(), 1);
  EXPECT_EQ(Statistics().cAsyncContexts, live);
}

TEST_F(AsyncMisuseTest, FreeInFlightWithoutACallbackDetaches) {
  const ULONGLONG live = Statistics().cAsyncContexts;
  const ULONGLONG misuse = Statistics().cMisuse;
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  AsyncCall leg;
  LegMemory memory;
  ASSERT_EQ(memory.Accept(leg.get(), credential.get(), context.get(), nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  CtxtHandle handle = context.Release();
  SspiAsyncContext* silent = SspiCreateAsyncContext();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(silent, &handle), SEC_E_OK);
  SecInvalidateHandle(&handle);
  EXPECT_EQ(SspiGetAsyncCallStatus(silent), SEC_I_ASYNC_CALL_PENDING) << "queued after the leg";
  SspiFreeAsyncContext(silent);
  held.Resume();
  EXPECT_EQ(leg.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  EXPECT_EQ(Statistics().cAsyncContexts, live + 1) << "only the leg's is left";
  EXPECT_EQ(Statistics().cMisuse, misuse) << "the documented pattern";
}

// A callback that was entered and has not returned, while other threads use its context again.
struct Lingering {
  Count entered;
  Event release;
  Count left;
  static void Notify(SspiAsyncContext*, PVOID data) {
    auto* self = static_cast<Lingering*>(data);
    self->entered.Add();
    self->release.Wait();
    self->left.Add();
  }
};

// Goal: the gap between "status final" and "callback entered" keeps the context in use. Method: all
// notification threads are inside callbacks that wait.
TEST_F(AsyncMisuseTest, FinalStatusBeforeTheCallbackIsEnteredIsStillInUse) {
  constexpr ULONG kThreads = 8;
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.NotifyThreadsMax = kThreads;
  RuntimeWith runtime(options);
  Lingering lingering;
  LegMemory memory;
  SspiAsyncContext* blocked = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(blocked, &Lingering::Notify, &lingering), SEC_E_OK);
  for (int i = 1; i <= static_cast<int>(kThreads); ++i) {
    ASSERT_EQ(memory.Accept(blocked, inbound_.get(), context_.get(), nullptr), SEC_E_OK);
    lingering.entered.WaitFor(i);
    ASSERT_EQ(SspiReinitAsyncContext(blocked), STATUS_SUCCESS);
  }
  AsyncCall call;
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  while (SspiGetAsyncCallStatus(call.get()) == SEC_I_ASYNC_CALL_PENDING) {
    std::this_thread::yield();
  }
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(SspiReinitAsyncContext(call.get()), STATUS_DEVICE_BUSY);
  EXPECT_EQ(SspiSetAsyncNotifyCallback(call.get(), nullptr, nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(call.callbacks(), 0);
  EXPECT_EQ(Statistics().cNotifyThreads, kThreads);
  lingering.release.Set();
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(call.callbacks(), 1);
  lingering.left.WaitFor(static_cast<int>(kThreads));
  SspiFreeAsyncContext(blocked);
}

TEST_F(AsyncMisuseTest, EnteredCallbackMakesReinitResubmitAndFreeLegalElsewhere) {
  Lingering lingering;
  LegMemory memory;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &Lingering::Notify, &lingering), SEC_E_OK);
  for (int call = 1; call <= 3; ++call) {
    ASSERT_EQ(memory.Accept(async, inbound_.get(), context_.get(), nullptr), SEC_E_OK);
    lingering.entered.WaitFor(call);  // the callbacks of successive calls overlap
    ASSERT_EQ(SspiGetAsyncCallStatus(async), SEC_I_CONTINUE_NEEDED);
    if (call < 3) {
      ASSERT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
    }
  }
  SspiFreeAsyncContext(async);
  EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_INVALID_HANDLE);
  EXPECT_EQ(lingering.left.value(), 0);
  lingering.release.Set();
  lingering.left.WaitFor(3);
  EXPECT_EQ(lingering.entered.value(), 3);
}

TEST_F(AsyncMisuseTest, RefusedSubmissionLeavesTheContextIdleAndNeverCallsBack) {
  AsyncCall call;
  LegMemory memory;
  CtxtHandle made{};
  CredHandle nobody{1, 2};
  EXPECT_EQ(memory.Accept(call.get(), &nobody, nullptr, &made), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &nobody), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiDeleteSecurityContextAsync(call.get(), &nobody), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_E_INVALID_PARAMETER) << "idle: never submitted";
  // No Reinit in between: it never left idle.
  ASSERT_EQ(memory.Accept(call.get(), inbound_.get(), context_.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(call.callbacks(), 1);
}

}  // namespace
}  // namespace ktlsim::test
