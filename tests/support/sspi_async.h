// Driving the asynchronous functions in tests: events, an async context with a recording callback,
// credentials of the scripted package, a runtime with chosen options.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/packages/scripted_package.h"
#include "kernel_sim/sspi/runtime.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define KTLSIM_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define KTLSIM_TEST_SANITIZED 1
#endif
#endif

namespace ktlsim::test {

// How often a schedule is tried: the sanitizers are an order of magnitude slower.
constexpr int Repetitions(int count) {
#ifdef KTLSIM_TEST_SANITIZED
  return count / 10;
#else
  return count;
#endif
}

// Counts up, and lets threads wait for a count. The waiter may destroy it at once: the count
// changes under the lock, and nothing follows the unlock.
class Count {
 public:
  void Add() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++value_;
    changed_.notify_all();
  }
  void WaitFor(int value) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return value_ >= value; });
  }
  // False: it was less after `limit`.
  bool WaitFor(int value, std::chrono::milliseconds limit) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return value_ >= value; });
  }
  int value() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int value_ = 0;
};

class Event {
 public:
  void Set() { count_.Add(); }
  void Wait() { count_.WaitFor(1); }
  bool IsSet() { return count_.value() != 0; }

 private:
  Count count_;
};

// An async context whose callback records the outcome and wakes a waiter as its last act.
class AsyncCall {
 public:
  explicit AsyncCall(ULONG notify_mode = KTLSIM_NOTIFY_POOL) : handle_(SspiCreateAsyncContext()) {
    EXPECT_NE(handle_, nullptr);
    EXPECT_EQ(SspiSetAsyncNotifyCallback(handle_, &AsyncCall::Notify, this), SEC_E_OK);
    EXPECT_EQ(KtlsimSetNotifyMode(handle_, notify_mode), SEC_E_OK);
  }
  AsyncCall(const AsyncCall&) = delete;
  AsyncCall& operator=(const AsyncCall&) = delete;
  ~AsyncCall() { SspiFreeAsyncContext(handle_); }

  SspiAsyncContext* get() const { return handle_; }
  int callbacks() { return callbacks_.value(); }
  // Waits for the outcome of the one call submitted since the last Finish; idle afterwards.
  SECURITY_STATUS Finish() {
    callbacks_.WaitFor(++finished_);
    const SECURITY_STATUS status = status_;
    EXPECT_EQ(SspiGetAsyncCallStatus(handle_), status);
    EXPECT_EQ(SspiReinitAsyncContext(handle_), STATUS_SUCCESS);
    return status;
  }
  // Without the reinit.
  SECURITY_STATUS Wait() {
    callbacks_.WaitFor(finished_ + 1);
    return status_;
  }

 private:
  static void Notify(SspiAsyncContext* handle, PVOID data) {
    auto* self = static_cast<AsyncCall*>(data);
    self->status_ = SspiGetAsyncCallStatus(handle);
    self->callbacks_.Add();
  }

  SspiAsyncContext* const handle_;
  Count callbacks_;
  // A test that polls may submit again while the last callback has been entered and has not written
  // yet.
  std::atomic<SECURITY_STATUS> status_{SEC_I_ASYNC_CALL_PENDING};
  int finished_ = 0;
};

inline KtlsimStatistics Statistics() {
  KtlsimStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
  return statistics;
}

// For what follows a completion but is not ordered by it: counters, threads.
template <typename Condition>
void WaitUntil(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

// The runtime with `options` for a scope, with defaults afterwards.
class RuntimeWith {
 public:
  explicit RuntimeWith(KtlsimOptions options) {
    options.cbSize = sizeof(options);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
  }
  RuntimeWith(const RuntimeWith&) = delete;
  RuntimeWith& operator=(const RuntimeWith&) = delete;
  ~RuntimeWith() {
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK) << KtlsimLastErrorText();
  }
};

inline KtlsimOptions OptionsFor(ULONG placement) {
  KtlsimOptions options{};
  options.cProcessors = 2;
  options.Placement = placement;
  options.cCryptoProcessors = 2;
  return options;
}

struct PlacementCase {
  const char* name;
  ULONG placement;
  ULONG notify_mode;
};

inline void PrintTo(const PlacementCase& test, std::ostream* out) { *out << test.name; }

// Each test of this suite runs with both placements and both notify modes.
class PlacementTest : public testing::TestWithParam<PlacementCase> {
 protected:
  ULONG notify_mode() const { return GetParam().notify_mode; }

 private:
  RuntimeWith runtime_{OptionsFor(GetParam().placement)};
};

inline auto AllPlacements() {
  return testing::Values(
      PlacementCase{"InlinePool", KTLSIM_PLACEMENT_INLINE, KTLSIM_NOTIFY_POOL},
      PlacementCase{"InlineOnProcessor", KTLSIM_PLACEMENT_INLINE, KTLSIM_NOTIFY_ON_PROCESSOR},
      PlacementCase{"CryptoPool", KTLSIM_PLACEMENT_POOL, KTLSIM_NOTIFY_POOL},
      PlacementCase{"CryptoOnProcessor", KTLSIM_PLACEMENT_POOL, KTLSIM_NOTIFY_ON_PROCESSOR});
}

inline std::string PlacementName(const testing::TestParamInfo<PlacementCase>& test) {
  return test.param.name;
}

// Scripts outlive the contexts made from them, which the library may tear down after the test has
// gone on.
inline sspi::Script* KeepScript(sspi::Script script) {
  static std::mutex mutex;
  static auto* const scripts = new std::deque<sspi::Script>();
  const std::lock_guard<std::mutex> lock(mutex);
  return &scripts->emplace_back(std::move(script));
}

// A script whose every leg ends in `status`.
inline sspi::Script RepeatedScript(SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED) {
  sspi::Script script;
  script.legs.resize(1);
  script.legs[0].status = status;
  script.legs[0].output = "token";
  script.legs[0].attributes = 0x1234;
  script.repeats = true;
  return script;
}

inline char* ScriptedName() {
  static char name[] = "ktlsim scripted";
  return name;
}

class ScriptedCredential {
 public:
  explicit ScriptedCredential(sspi::Script script, ULONG use = SECPKG_CRED_INBOUND) {
    sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Instance());
    SecInvalidateHandle(&handle_);
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, ScriptedName(), use, nullptr,
                                        KeepScript(std::move(script)), nullptr, nullptr, &handle_,
                                        nullptr),
              SEC_E_OK);
  }
  ScriptedCredential(const ScriptedCredential&) = delete;
  ScriptedCredential& operator=(const ScriptedCredential&) = delete;
  ~ScriptedCredential() {
    if (SecIsValidHandle(&handle_)) {
      EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK);
    }
  }
  PCredHandle get() { return &handle_; }
  // For a test that frees the handle itself.
  CredHandle Release() { return std::exchange(handle_, CredHandle{~ULONG_PTR{0}, ~ULONG_PTR{0}}); }

 private:
  CredHandle handle_;
};

// Everything that one scripted leg needs besides handles.
struct LegMemory {
  LegMemory() = default;
  LegMemory(const LegMemory&) = delete;
  LegMemory& operator=(const LegMemory&) = delete;

  char input[16] = "hello";
  char output[64] = {};
  SecBuffer in = {5, SECBUFFER_TOKEN, input};
  SecBuffer out = {sizeof(output), SECBUFFER_TOKEN, output};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 1, &in};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;

  SECURITY_STATUS Accept(SspiAsyncContext* async, PCredHandle credential, PCtxtHandle context,
                         PCtxtHandle new_context) {
    out.cbBuffer = sizeof(output);
    return SspiAcceptSecurityContextAsync(async, credential, context, &in_desc, 0, 0, new_context,
                                          &out_desc, &attributes, nullptr);
  }
  std::string Token() const { return std::string(output, out.cbBuffer); }
};

// A context made by a synchronous scripted leg.
class ScriptedContext {
 public:
  explicit ScriptedContext(ScriptedCredential& credential,
                           SECURITY_STATUS expected = SEC_I_CONTINUE_NEEDED) {
    LegMemory memory;
    SecInvalidateHandle(&handle_);
    EXPECT_EQ(AcceptSecurityContext(credential.get(), nullptr, &memory.in_desc, 0, 0, &handle_,
                                    &memory.out_desc, &memory.attributes, nullptr),
              expected);
  }
  ScriptedContext(const ScriptedContext&) = delete;
  ScriptedContext& operator=(const ScriptedContext&) = delete;
  ~ScriptedContext() {
    if (SecIsValidHandle(&handle_)) {
      EXPECT_EQ(DeleteSecurityContext(&handle_), SEC_E_OK);
    }
  }
  PCtxtHandle get() { return &handle_; }
  CtxtHandle Release() { return std::exchange(handle_, CtxtHandle{~ULONG_PTR{0}, ~ULONG_PTR{0}}); }

 private:
  CtxtHandle handle_;
};

// A script of two legs: one that ends at once, so that there is a context, and one that stays in
// flight until Resume.
class HeldLeg {
 public:
  sspi::Script script() {
    sspi::Script script;
    script.legs.resize(3);
    script.legs[0].status = SEC_I_CONTINUE_NEEDED;
    script.legs[1].status = SEC_I_CONTINUE_NEEDED;
    script.legs[1].output = "late";
    script.legs[1].on_suspend = [this](executive::ResumeToken token) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        token_ = token;
      }
      held_.Set();
    };
    script.legs[2].status = SEC_E_OK;
    script.legs[2].output = "last";
    return script;
  }
  void WaitUntilHeld() { held_.Wait(); }
  // A stop that ends the leg meanwhile lets the next call of the context be held.
  void Resume() {
    executive::ResumeToken token;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      token = token_;
    }
    token.Resume();
  }

 private:
  Event held_;
  std::mutex mutex_;
  executive::ResumeToken token_;
};

}  // namespace ktlsim::test
