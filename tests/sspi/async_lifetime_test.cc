// Handles, buffers, order and lifetime in the asynchronous functions: when handles die, when
// outputs are written, in which order calls run, and what the end of the runtime does.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

constexpr CtxtHandle kInvalid = {~ULONG_PTR{0}, ~ULONG_PTR{0}};

bool Same(const SecHandle& a, const SecHandle& b) {
  return a.dwLower == b.dwLower && a.dwUpper == b.dwUpper;
}

std::vector<SecHandle> DeadHandles(const SecHandle& stale) {
  return {kInvalid,
          {0, 0},
          {~ULONG_PTR{1}, ~ULONG_PTR{1}},
          {1, 2},
          {stale.dwLower, ~ULONG_PTR{0}},
          {stale.dwLower, 0},
          {stale.dwUpper, stale.dwLower},
          stale};
}

class AsyncHandleTest : public testing::Test {
 protected:
  ScriptedCredential credential_{RepeatedScript()};
  AsyncCall call_;
  LegMemory memory_;
  CtxtHandle made_ = kInvalid;
};

TEST_F(AsyncHandleTest, FirstLegNeedsALiveCredential) {
  ScriptedCredential other(RepeatedScript());
  CredHandle stale = other.Release();
  ASSERT_EQ(FreeCredentialsHandle(&stale), SEC_E_OK);
  EXPECT_EQ(memory_.Accept(call_.get(), nullptr, nullptr, &made_), SEC_E_INVALID_HANDLE);
  for (CredHandle dead : DeadHandles(stale)) {
    EXPECT_EQ(memory_.Accept(call_.get(), &dead, nullptr, &made_), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiFreeCredentialsHandleAsync(call_.get(), &dead), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(FreeCredentialsHandle(&dead), SEC_E_INVALID_HANDLE);
  }
  EXPECT_TRUE(Same(made_, kInvalid));
  EXPECT_EQ(call_.callbacks(), 0);
}

TEST_F(AsyncHandleTest, CredentialOfTheWrongDirectionIsAnInvalidHandle) {
  EXPECT_EQ(SspiInitializeSecurityContextAsyncA(call_.get(), credential_.get(), nullptr, nullptr, 0,
                                                0, 0, nullptr, 0, &made_, &memory_.out_desc,
                                                &memory_.attributes, nullptr),
            SEC_E_INVALID_HANDLE);
  EXPECT_TRUE(Same(made_, kInvalid));
}

TEST_F(AsyncHandleTest, LaterLegNeedsALiveContext) {
  ScriptedContext context(credential_);
  CtxtHandle stale = context.Release();
  ASSERT_EQ(DeleteSecurityContext(&stale), SEC_E_OK);
  std::vector<SecHandle> dead_handles = DeadHandles(stale);
  dead_handles.push_back(*credential_.get());  // a credential is no context
  for (CtxtHandle dead : dead_handles) {
    EXPECT_EQ(memory_.Accept(call_.get(), credential_.get(), &dead, &made_), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiEncryptMessageAsync(call_.get(), &dead, 0, &memory_.in_desc, 0),
              SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiDecryptMessageAsync(call_.get(), &dead, &memory_.in_desc, 0, nullptr),
              SEC_E_INVALID_HANDLE);
    EXPECT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &dead), SEC_E_INVALID_HANDLE);
  }
  EXPECT_EQ(SspiDeleteSecurityContextAsync(call_.get(), nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_TRUE(Same(made_, kInvalid));
  EXPECT_EQ(call_.callbacks(), 0);
}

TEST_F(AsyncHandleTest, FirstLegWithoutPlaceForTheHandleIsRefusedAtSubmission) {
  const ULONGLONG live = Statistics().cSecurityContexts;
  EXPECT_EQ(memory_.Accept(call_.get(), credential_.get(), nullptr, nullptr),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(Statistics().cSecurityContexts, live);
}

TEST_F(AsyncHandleTest, LaterLegMayOmitOrAliasTheNewHandle) {
  ScriptedContext context(credential_);
  const CtxtHandle before = *context.get();
  ASSERT_EQ(memory_.Accept(call_.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  ASSERT_EQ(memory_.Accept(call_.get(), credential_.get(), context.get(), context.get()), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(Same(*context.get(), before)) << "the same value on later legs";
  ASSERT_EQ(memory_.Accept(call_.get(), credential_.get(), context.get(), &made_), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(Same(made_, before));
}

TEST_F(AsyncHandleTest, InputHandlesMayBeReusedAtOnce) {
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  CtxtHandle copy = *context.get();
  CredHandle credential_copy = *credential.get();
  ASSERT_EQ(memory_.Accept(call_.get(), &credential_copy, &copy, nullptr), SEC_E_OK);
  copy = kInvalid;
  credential_copy = kInvalid;
  held.WaitUntilHeld();
  held.Resume();
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(memory_.Token(), "late");
}

TEST_F(AsyncHandleTest, BothWidthsOfContextAttributes) {
  ScriptedContext context(credential_);
  struct {
    ULONG value;
    ULONG guard;
  } narrow = {~0U, 0xabcdef01};
  unsigned long wide = ~0UL;
  for (const bool use_wide : {false, true}) {
    const KtlsimUlongOut out = use_wide ? KtlsimUlongOut(&wide) : KtlsimUlongOut(&narrow.value);
    memory_.out.cbBuffer = sizeof(memory_.output);
    ASSERT_EQ(SspiAcceptSecurityContextAsync(call_.get(), nullptr, context.get(), &memory_.in_desc,
                                             0, 0, nullptr, &memory_.out_desc, out, nullptr),
              SEC_E_OK);
    EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  }
  EXPECT_EQ(narrow.value, 0x1234U);
  EXPECT_EQ(narrow.guard, 0xabcdef01U) << "32 bits only";
  EXPECT_EQ(wide, 0x1234UL) << "all 64 bits";
  memory_.out.cbBuffer = sizeof(memory_.output);
  ASSERT_EQ(SspiAcceptSecurityContextAsync(call_.get(), nullptr, context.get(), &memory_.in_desc, 0,
                                           0, nullptr, &memory_.out_desc, NULL, nullptr),
            SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
}

TEST_F(AsyncHandleTest, FailureIsToldAtCompletionAndTouchesNoOutput) {
  for (const SECURITY_STATUS failure :
       {SEC_E_INVALID_TOKEN, SEC_E_LOGON_DENIED, SEC_E_INCOMPLETE_MESSAGE, SEC_E_INTERNAL_ERROR}) {
    const ULONGLONG live = Statistics().cSecurityContexts;
    ScriptedCredential failing(RepeatedScript(failure));
    memory_.attributes = 77;
    TimeStamp expiry{};
    expiry.QuadPart = 88;
    memory_.out.cbBuffer = sizeof(memory_.output);
    ASSERT_EQ(
        SspiAcceptSecurityContextAsync(call_.get(), failing.get(), nullptr, &memory_.in_desc, 0, 0,
                                       &made_, &memory_.out_desc, &memory_.attributes, &expiry),
        SEC_E_OK)
        << "a bad token is no reason to refuse";
    EXPECT_EQ(call_.Finish(), failure);
    EXPECT_TRUE(Same(made_, kInvalid));
    EXPECT_EQ(memory_.attributes, 77U);
    EXPECT_EQ(expiry.QuadPart, 88);
    WaitUntil([&] { return Statistics().cSecurityContexts == live; });
  }
}

TEST_F(AsyncHandleTest, ProtocolStatusesComeWithTheCompletionNeverWithTheSubmission) {
  for (const SECURITY_STATUS status : {SEC_E_OK, SEC_I_CONTINUE_NEEDED, SEC_I_COMPLETE_NEEDED,
                                       SEC_I_COMPLETE_AND_CONTINUE, SEC_I_INCOMPLETE_CREDENTIALS}) {
    ScriptedCredential credential(RepeatedScript(status));
    ASSERT_EQ(memory_.Accept(call_.get(), credential.get(), nullptr, &made_), SEC_E_OK);
    EXPECT_EQ(call_.Finish(), status);
    EXPECT_EQ(DeleteSecurityContext(&made_), SEC_E_OK);
  }
}

TEST_F(AsyncHandleTest, AcquireWritesOnSuccessOnly) {
  sspi::Script bad = RepeatedScript();
  bad.acquire_status = SEC_E_NO_CREDENTIALS;
  CredHandle handle = kInvalid;
  TimeStamp expiry{};
  expiry.QuadPart = 5;
  ASSERT_EQ(
      SspiAcquireCredentialsHandleAsyncA(call_.get(), nullptr, ScriptedName(), SECPKG_CRED_INBOUND,
                                         nullptr, &bad, nullptr, nullptr, &handle, &expiry),
      SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_NO_CREDENTIALS);
  EXPECT_TRUE(Same(handle, kInvalid));
  EXPECT_EQ(expiry.QuadPart, 5);
  WCHAR name[] = u"KTLSIM Scripted";
  ASSERT_EQ(SspiAcquireCredentialsHandleAsyncW(call_.get(), nullptr, name, SECPKG_CRED_INBOUND,
                                               nullptr, KeepScript(RepeatedScript()), nullptr,
                                               nullptr, &handle, &expiry),
            SEC_E_OK);
  name[0] = 0;  // strings were copied
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_NE(expiry.QuadPart, 5);
  EXPECT_TRUE(SecIsValidHandle(&handle));
  ASSERT_EQ(SspiFreeCredentialsHandleAsync(call_.get(), &handle), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_INVALID_HANDLE);
}

TEST_F(AsyncHandleTest, UnknownPackageIsToldOnce) {
  char unknown[] = "no such package";
  CredHandle handle = kInvalid;
  const SECURITY_STATUS submitted =
      SspiAcquireCredentialsHandleAsyncA(call_.get(), nullptr, unknown, SECPKG_CRED_INBOUND,
                                         nullptr, nullptr, nullptr, nullptr, &handle, nullptr);
  if (submitted == SEC_E_OK) {
    EXPECT_EQ(call_.Finish(), SEC_E_SECPKG_NOT_FOUND);
  } else {
    EXPECT_EQ(submitted, SEC_E_SECPKG_NOT_FOUND);
  }
  EXPECT_TRUE(Same(handle, kInvalid));
  EXPECT_EQ(
      SspiAcquireCredentialsHandleAsyncA(call_.get(), nullptr, ScriptedName(), SECPKG_CRED_INBOUND,
                                         nullptr, nullptr, nullptr, nullptr, nullptr, nullptr),
      SEC_E_INVALID_PARAMETER);
}

// ---- Deletion

TEST_F(AsyncHandleTest, DeleteKillsTheHandleAtSubmissionAndWaitsForTheLegInFlight) {
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  CtxtHandle handle = context.Release();
  const CtxtHandle copy = handle;
  const ULONGLONG live = Statistics().cSecurityContexts;
  ASSERT_EQ(memory_.Accept(call_.get(), credential.get(), &handle, nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  AsyncCall deletion;
  ASSERT_EQ(SspiDeleteSecurityContextAsync(deletion.get(), &handle), SEC_E_OK);
  EXPECT_TRUE(Same(handle, copy)) << "the caller's variable is not changed";
  AsyncCall other;
  LegMemory memory;
  EXPECT_EQ(memory.Accept(other.get(), credential.get(), &handle, nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiDeleteSecurityContextAsync(other.get(), &handle), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_INVALID_HANDLE);
  SecPkgContext_Sizes sizes;
  EXPECT_EQ(QueryContextAttributesA(&handle, SECPKG_ATTR_SIZES, &sizes), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(EncryptMessage(&handle, 0, &memory.in_desc, 0), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(ApplyControlToken(&handle, &memory.in_desc), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(SspiGetAsyncCallStatus(deletion.get()), SEC_I_ASYNC_CALL_PENDING)
      << "queued after the leg";
  EXPECT_EQ(SspiGetAsyncCallStatus(call_.get()), SEC_I_ASYNC_CALL_PENDING);
  held.Resume();
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED) << "the running leg ends as usual";
  EXPECT_EQ(memory_.Token(), "late");
  EXPECT_EQ(deletion.Finish(), SEC_E_OK);
  WaitUntil([&] { return Statistics().cSecurityContexts == live - 1; });
}

TEST_F(AsyncHandleTest, SynchronousDeleteWaitsForTheLegInFlight) {
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  CtxtHandle handle = context.Release();
  ASSERT_EQ(memory_.Accept(call_.get(), credential.get(), &handle, nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  std::thread deleter([&] { EXPECT_EQ(DeleteSecurityContext(&handle), SEC_E_OK); });
  SecPkgContext_Sizes sizes;
  while (QueryContextAttributesA(&handle, 0xffff, &sizes) != SEC_E_INVALID_HANDLE) {
    std::this_thread::yield();
  }
  held.Resume();
  deleter.join();
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
}

TEST_F(AsyncHandleTest, DeletedMarkerIsAlreadyDeleted) {
  CtxtHandle marker = {SEC_DELETED_HANDLE, SEC_DELETED_HANDLE};
  EXPECT_EQ(DeleteSecurityContext(&marker), SEC_E_OK);
  EXPECT_EQ(DeleteSecurityContext(nullptr), SEC_E_INVALID_HANDLE);
}

TEST_F(AsyncHandleTest, CredentialFreedWhileALegUsesItAndWhileContextsLive) {
  HeldLeg held;
  ScriptedCredential credential(held.script());
  ScriptedContext context(credential);
  CredHandle handle = credential.Release();
  ASSERT_EQ(memory_.Accept(call_.get(), &handle, context.get(), nullptr), SEC_E_OK);
  held.WaitUntilHeld();
  AsyncCall freeing;
  ASSERT_EQ(SspiFreeCredentialsHandleAsync(freeing.get(), &handle), SEC_E_OK);
  EXPECT_EQ(freeing.Finish(), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_INVALID_HANDLE);
  held.Resume();
  EXPECT_EQ(call_.Finish(), SEC_I_CONTINUE_NEEDED);
  LegMemory last;
  ASSERT_EQ(last.Accept(call_.get(), nullptr, context.get(), nullptr), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(last.Token(), "last");
}

// ---- Order

TEST(AsyncOrderTest, LegsOfOneContextRunOneAfterTheOtherInOrderOfSubmission) {
  constexpr int kThreads = 4;
  const int per_thread = 100;
  const int legs = kThreads * per_thread;
  std::atomic<int> running{0};
  sspi::Script script;
  for (int i = 0; i <= legs; ++i) {
    sspi::ScriptedLeg leg;
    leg.status = SEC_I_CONTINUE_NEEDED;
    leg.output = std::to_string(i);
    leg.on_run = [&running] {
      EXPECT_EQ(running.fetch_add(1), 0);
      std::this_thread::yield();
      running.fetch_sub(1);
    };
    script.legs.push_back(leg);
  }
  ScriptedCredential credential(script);
  ScriptedContext context(credential);
  std::vector<int> all;
  std::mutex mutex;
  const auto submitter = [&] {
    std::vector<std::unique_ptr<AsyncCall>> calls;
    std::vector<LegMemory> memory(static_cast<std::size_t>(per_thread));
    for (LegMemory& leg : memory) {
      calls.push_back(std::make_unique<AsyncCall>());
      ASSERT_EQ(leg.Accept(calls.back()->get(), nullptr, context.get(), nullptr), SEC_E_OK);
    }
    std::vector<int> mine;
    for (std::size_t i = 0; i < memory.size(); ++i) {
      ASSERT_EQ(calls[i]->Finish(), SEC_I_CONTINUE_NEEDED);
      mine.push_back(std::stoi(memory[i].Token()));
    }
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end())) << "first in, first out";
    const std::lock_guard<std::mutex> lock(mutex);
    all.insert(all.end(), mine.begin(), mine.end());
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(submitter);
  for (std::thread& thread : threads) thread.join();
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), static_cast<std::size_t>(legs));
  for (int i = 0; i < legs; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i + 1);
}

// ---- Overload

// A queue of eight and ten thousand calls that do not wait for each other.
TEST(AsyncOverloadTest, ShallowQueueRefusesAndCounts) {
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.cProcessors = 1;
  options.QueueDepth = 8;
  RuntimeWith runtime(options);
  ScriptedCredential credential(RepeatedScript());
  const KtlsimStatistics before = Statistics();
  const ULONGLONG contexts = before.cSecurityContexts;
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kCalls = Repetitions(10000) / kThreads;
  std::atomic<ULONGLONG> accepted{0};
  std::atomic<ULONGLONG> refused{0};
  const auto submitter = [&] {
    std::vector<LegMemory> memory(kCalls);
    std::vector<CtxtHandle> made(kCalls, kInvalid);
    std::vector<std::unique_ptr<AsyncCall>> calls;
    std::vector<bool> ok;
    for (std::size_t i = 0; i < kCalls; ++i) {
      calls.push_back(std::make_unique<AsyncCall>());
      const SECURITY_STATUS status =
          memory[i].Accept(calls[i]->get(), credential.get(), nullptr, &made[i]);
      if (status != SEC_E_OK) {
        ASSERT_EQ(status, SEC_E_INSUFFICIENT_MEMORY);
      }
      ok.push_back(status == SEC_E_OK);
    }
    for (std::size_t i = 0; i < kCalls; ++i) {
      if (!ok[i]) {
        ++refused;
        EXPECT_EQ(calls[i]->callbacks(), 0);
        EXPECT_EQ(SspiGetAsyncCallStatus(calls[i]->get()), SEC_E_INVALID_PARAMETER);
        EXPECT_TRUE(Same(made[i], kInvalid));
        continue;
      }
      ++accepted;
      ASSERT_EQ(calls[i]->Finish(), SEC_I_CONTINUE_NEEDED);
      ASSERT_EQ(SspiDeleteSecurityContextAsync(calls[i]->get(), &made[i]), SEC_E_OK)
          << "Delete is never refused for want of room";
    }
    for (std::size_t i = 0; i < kCalls; ++i) {
      if (ok[i]) {
        ASSERT_EQ(calls[i]->Finish(), SEC_E_OK);
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back(submitter);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted + refused, kThreads * kCalls);
  EXPECT_GE(accepted, 8U);
  WaitUntil([] { return Statistics().cInFlight == 0; });
  const KtlsimStatistics after = Statistics();
  EXPECT_EQ(after.cRefused - before.cRefused, refused);
  EXPECT_EQ(after.cAccepted - before.cAccepted, 2 * accepted) << "a leg and its context's Delete";
  EXPECT_EQ(after.cCompleted - before.cCompleted, 2 * accepted);
  EXPECT_EQ(after.cCallbacks - before.cCallbacks, 2 * accepted);
  EXPECT_EQ(after.cSecurityContexts, contexts);
}

TEST(AsyncOverloadTest, FullQueueStillTakesTeardown) {
  KtlsimOptions options = OptionsFor(KTLSIM_PLACEMENT_INLINE);
  options.cProcessors = 1;
  options.QueueDepth = 8;
  RuntimeWith runtime(options);
  std::vector<std::unique_ptr<HeldLeg>> held;
  std::vector<std::unique_ptr<ScriptedCredential>> credentials;
  std::vector<std::unique_ptr<ScriptedContext>> contexts;
  std::vector<std::unique_ptr<AsyncCall>> calls;
  std::vector<LegMemory> memory(8);
  ScriptedCredential other(RepeatedScript());
  ScriptedContext bystander(other);
  for (std::size_t i = 0; i < 8; ++i) {
    held.push_back(std::make_unique<HeldLeg>());
    credentials.push_back(std::make_unique<ScriptedCredential>(held[i]->script()));
    contexts.push_back(std::make_unique<ScriptedContext>(*credentials[i]));
    calls.push_back(std::make_unique<AsyncCall>());
  }
  for (std::size_t i = 0; i < 8; ++i) {
    ASSERT_EQ(memory[i].Accept(calls[i]->get(), nullptr, contexts[i]->get(), nullptr), SEC_E_OK);
    held[i]->WaitUntilHeld();
  }
  AsyncCall call;
  LegMemory leg;
  CtxtHandle made = kInvalid;
  EXPECT_EQ(leg.Accept(call.get(), other.get(), nullptr, &made), SEC_E_INSUFFICIENT_MEMORY);
  CtxtHandle doomed = bystander.Release();
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &doomed), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  CredHandle credential = other.Release();
  ASSERT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &credential), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  for (std::size_t i = 0; i < 8; ++i) {
    held[i]->Resume();
    EXPECT_EQ(calls[i]->Finish(), SEC_I_CONTINUE_NEEDED);
  }
}

}  // namespace
}  // namespace ktlsim::test
