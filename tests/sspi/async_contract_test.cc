// The contract of the asynchronous functions, from the caller's side: what may be done when, with
// legs that follow a script.

#include <ktlsim/sspi_ext.h>
#include <sched.h>
#include <sspi.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/level.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class AsyncContractTest : public PlacementTest {};

INSTANTIATE_TEST_SUITE_P(Placements, AsyncContractTest, AllPlacements(), PlacementName);

SECURITY_STATUS Poll(SspiAsyncContext* async) {
  SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
  while (status == SEC_I_ASYNC_CALL_PENDING) {
    sched_yield();
    status = SspiGetAsyncCallStatus(async);
  }
  return status;
}

// The form without a callback: the handle variable and the async context are given up in the next
// statements.
void DeleteAndForget(CtxtHandle* context) {
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_NE(async, nullptr);
  ASSERT_EQ(SspiDeleteSecurityContextAsync(async, context), SEC_E_OK);
  SecInvalidateHandle(context);
  SspiFreeAsyncContext(async);
}

// The documented sample, with its assertions. It polls once and goes on; a poller may poll without
// end.
struct Sample {
  LegMemory memory;
  CtxtHandle context{};
  Event completed;

  static void AsyncCallCompleted(SspiAsyncContext* async, PVOID data) {
    ASSERT_EQ(SspiGetAsyncCallStatus(async), SEC_E_OK);
    SspiFreeAsyncContext(async);
    static_cast<Sample*>(data)->completed.Set();
  }
  void DoAscCall(PCredHandle credential, ULONG notify_mode, SspiAsyncContext** handle) {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_TRUE(async);
    ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &AsyncCallCompleted, this), SEC_E_OK);
    ASSERT_EQ(KtlsimSetNotifyMode(async, notify_mode), SEC_E_OK);
    ASSERT_EQ(memory.Accept(async, credential, nullptr, &context), SEC_E_OK);
    const SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
    ASSERT_TRUE(status == SEC_I_ASYNC_CALL_PENDING || status == SEC_E_OK) << status;
    *handle = async;
  }
};

// Keeps the processors busy with chains of legs that submit themselves again, until it is
// destroyed.
class Load {
 public:
  Load(PCredHandle credential, int chains) {
    for (int i = 0; i < chains; ++i) {
      Chain& chain = chains_.emplace_back();
      chain.owner = this;
      SspiAsyncContext* async = SspiCreateAsyncContext();
      EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &Load::Again, &chain), SEC_E_OK);
      EXPECT_EQ(chain.memory.Accept(async, credential, nullptr, &chain.context), SEC_E_OK);
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() {
    stop_ = true;
    ended_.WaitFor(static_cast<int>(chains_.size()));
    for (Chain& chain : chains_) EXPECT_EQ(DeleteSecurityContext(&chain.context), SEC_E_OK);
  }

 private:
  struct Chain {
    Load* owner = nullptr;
    LegMemory memory;
    CtxtHandle context{};
  };
  static void Again(SspiAsyncContext* async, PVOID data) {
    auto* chain = static_cast<Chain*>(data);
    if (chain->owner->stop_) {
      SspiFreeAsyncContext(async);
      return chain->owner->ended_.Add();
    }
    ASSERT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
    ASSERT_EQ(chain->memory.Accept(async, nullptr, &chain->context, &chain->context), SEC_E_OK);
  }

  std::deque<Chain> chains_;
  std::atomic<bool> stop_{false};
  Count ended_;
};

// Goal: the sample of the documentation, whose callback frees the context that the submitter still
// polls, on every schedule that the machine happens to produce. Method: two submitters, many
// rounds, the last ones under a load that keeps the processors busy.
TEST_P(AsyncContractTest, SampleFreesInTheCallbackWhileTheSubmitterPolls) {
  constexpr int kThreads = 2;
#ifdef NDEBUG
  const int rounds = Repetitions(50000) / kThreads;
#else
  const int rounds = Repetitions(10000) / kThreads;
#endif
  const int loaded_rounds = rounds / 20;
  ScriptedCredential credential(RepeatedScript(SEC_E_OK));
  std::atomic<int> completed{0};
  const auto submitter = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Sample sample;
      SspiAsyncContext* async = nullptr;
      ASSERT_NO_FATAL_FAILURE(sample.DoAscCall(credential.get(), notify_mode(), &async));
      ASSERT_EQ(Poll(async), SEC_E_OK);
      ASSERT_EQ(sample.memory.Token(), "token");
      ASSERT_EQ(sample.memory.attributes, 0x1234U);
      DeleteAndForget(&sample.context);
      sample.completed.Wait();  // the callback uses its memory, too
      ++completed;
    }
  };
  const auto submit_together = [&](int count) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(submitter, count);
    for (std::thread& thread : threads) thread.join();
  };
  submit_together(rounds);
  {
    Load load(credential.get(), 4);
    submit_together(loaded_rounds);
  }
  EXPECT_EQ(completed, kThreads * (rounds + loaded_rounds));
}

struct Handshake {
  LegMemory memory;
  PCredHandle credential = nullptr;
  CtxtHandle context{};
  std::string tokens;
  int callbacks = 0;
  SECURITY_STATUS last = SEC_E_INTERNAL_ERROR;
  Event done;

  static void Continue(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<Handshake*>(data);
    ++self->callbacks;
    self->tokens += self->memory.Token();
    self->last = SspiGetAsyncCallStatus(async);
    if (self->last == SEC_I_CONTINUE_NEEDED) {
      EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
      EXPECT_EQ(self->memory.Accept(async, self->credential, &self->context, &self->context),
                SEC_E_OK);
      return;
    }
    SspiFreeAsyncContext(async);
    self->done.Set();
  }
};

TEST_P(AsyncContractTest, CallbackReinitialisesAndSubmitsTheNextLeg) {
  sspi::Script script;
  for (const char* token : {"a", "b", "c", "d"}) {
    script.legs.emplace_back();
    script.legs.back().status = SEC_I_CONTINUE_NEEDED;
    script.legs.back().output = token;
  }
  script.legs.back().status = SEC_E_OK;
  ScriptedCredential credential(script);
  for (int i = 0; i < Repetitions(500); ++i) {
    Handshake handshake;
    handshake.credential = credential.get();
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &Handshake::Continue, &handshake), SEC_E_OK);
    ASSERT_EQ(KtlsimSetNotifyMode(async, notify_mode()), SEC_E_OK);
    ASSERT_EQ(handshake.memory.Accept(async, credential.get(), nullptr, &handshake.context),
              SEC_E_OK);
    handshake.done.Wait();
    ASSERT_EQ(handshake.last, SEC_E_OK);
    ASSERT_EQ(handshake.tokens, "abcd");
    ASSERT_EQ(handshake.callbacks, 4) << "the registration survives Reinit";
    ASSERT_EQ(DeleteSecurityContext(&handshake.context), SEC_E_OK);
  }
}

TEST_P(AsyncContractTest, SubmitterMayBlockRightAfterSubmitting) {
  ScriptedCredential credential(RepeatedScript());
  AsyncCall call(notify_mode());
  for (int i = 0; i < Repetitions(2000); ++i) {
    LegMemory memory;
    CtxtHandle context{};
    ASSERT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &context), SEC_E_OK);
    ASSERT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
    ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &context), SEC_E_OK);
    ASSERT_EQ(call.Finish(), SEC_E_OK);
  }
  EXPECT_EQ(call.callbacks(), 2 * Repetitions(2000));
}

TEST_P(AsyncContractTest, PollingAloneSeesTheEndAndTheOutputs) {
  ScriptedCredential credential(RepeatedScript());
  for (int i = 0; i < Repetitions(1000); ++i) {
    LegMemory memory;
    CtxtHandle context{};
    AsyncCall call(notify_mode());
    ASSERT_EQ(memory.Accept(call.get(), credential.get(), nullptr, &context), SEC_E_OK);
    ASSERT_EQ(Poll(call.get()), SEC_I_CONTINUE_NEEDED);
    ASSERT_EQ(memory.Token(), "token");
    // A final status does not permit freeing yet: the callback has to be entered.
    NTSTATUS reinit = SspiReinitAsyncContext(call.get());
    while (reinit == STATUS_DEVICE_BUSY) {
      sched_yield();
      reinit = SspiReinitAsyncContext(call.get());
    }
    ASSERT_EQ(reinit, STATUS_SUCCESS);
    call.Wait();
    SspiAsyncContext* silent = SspiCreateAsyncContext();
    ASSERT_EQ(SspiDeleteSecurityContextAsync(silent, &context), SEC_E_OK);
    ASSERT_EQ(Poll(silent), SEC_E_OK);
    SspiFreeAsyncContext(silent);
  }
}

struct Chain {
  PCredHandle credential;
  ULONG notify_mode;
  int depth = 0;
  LegMemory memory{};
  std::vector<CtxtHandle> contexts{};
  Event done{};

  void SubmitNext() {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &Chain::Next, this), SEC_E_OK);
    ASSERT_EQ(KtlsimSetNotifyMode(async, notify_mode), SEC_E_OK);
    contexts.emplace_back();
    ASSERT_EQ(memory.Accept(async, credential, nullptr, &contexts.back()), SEC_E_OK);
  }
  static void Next(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<Chain*>(data);
    SspiFreeAsyncContext(async);
    if (++self->depth == 1000) return self->done.Set();
    self->SubmitNext();
  }
};

TEST_P(AsyncContractTest, CallbackSubmitsTheNextContextAThousandDeep) {
  ScriptedCredential credential(RepeatedScript());
  Chain chain{credential.get(), notify_mode()};
  chain.contexts.reserve(1000);
  chain.SubmitNext();
  chain.done.Wait();
  ASSERT_EQ(chain.contexts.size(), 1000U);
  for (CtxtHandle& context : chain.contexts) EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

TEST_P(AsyncContractTest, NullCallbackDataIsPassedThrough) {
  ScriptedCredential credential(RepeatedScript());
  SspiAsyncContext* async = SspiCreateAsyncContext();
  static Count* entered;
  Count count;
  entered = &count;
  ASSERT_EQ(SspiSetAsyncNotifyCallback(
                async,
                [](SspiAsyncContext*, PVOID data) {
                  EXPECT_EQ(data, nullptr);
                  entered->Add();
                },
                nullptr),
            SEC_E_OK);
  EXPECT_TRUE(SspiAsyncContextRequiresNotify(async));
  LegMemory memory;
  CtxtHandle context{};
  ASSERT_EQ(memory.Accept(async, credential.get(), nullptr, &context), SEC_E_OK);
  count.WaitFor(1);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

struct Where {
  std::thread::id thread;
  Level level = Level::kPassive;
  Event done;
};

TEST_P(AsyncContractTest, CallbackHasTheLevelOfItsModeAndNeverTheSubmittersStack) {
  ScriptedCredential credential(RepeatedScript());
  Where where;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(
                async,
                [](SspiAsyncContext*, PVOID data) {
                  auto* seen = static_cast<Where*>(data);
                  seen->thread = std::this_thread::get_id();
                  seen->level = CurrentLevel();
                  seen->done.Set();
                },
                &where),
            SEC_E_OK);
  ASSERT_EQ(KtlsimSetNotifyMode(async, notify_mode()), SEC_E_OK);
  LegMemory memory;
  CtxtHandle context{};
  ASSERT_EQ(memory.Accept(async, credential.get(), nullptr, &context), SEC_E_OK);
  where.done.Wait();
  EXPECT_NE(where.thread, std::this_thread::get_id());
  EXPECT_EQ(where.level, notify_mode() == KTLSIM_NOTIFY_POOL ? Level::kPassive : Level::kDispatch);
  SspiFreeAsyncContext(async);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

// Goal: everything asynchronous, and every query, is legal at dispatch level. Method: a callback on
// a processor does it all.
struct AllAtDispatch {
  PCredHandle credential;
  CtxtHandle context{};
  LegMemory first{};
  LegMemory second{};
  Count done{};

  static void Notify(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<AllAtDispatch*>(data);
    EXPECT_EQ(CurrentLevel(), Level::kDispatch);
    EXPECT_EQ(SspiGetAsyncCallStatus(async), SEC_I_CONTINUE_NEEDED);
    EXPECT_TRUE(SspiAsyncContextRequiresNotify(async));
    EXPECT_EQ(SspiReinitAsyncContext(async), STATUS_SUCCESS);
    EXPECT_EQ(SspiSetAsyncNotifyCallback(async, &AllAtDispatch::Second, data), SEC_E_OK);
    EXPECT_EQ(self->second.Accept(async, self->credential, &self->context, &self->context),
              SEC_E_OK);
    SecPkgContext_Sizes sizes;
    EXPECT_EQ(QueryContextAttributesA(&self->context, SECPKG_ATTR_SIZES, &sizes),
              SEC_E_UNSUPPORTED_FUNCTION)
        << "as the scripted package returns it";
    Statistics();
    SspiAsyncContext* other = SspiCreateAsyncContext();
    EXPECT_NE(other, nullptr);
    SspiFreeAsyncContext(other);
    self->done.Add();
  }
  static void Second(SspiAsyncContext* async, PVOID data) {
    auto* self = static_cast<AllAtDispatch*>(data);
    EXPECT_EQ(CurrentLevel(), Level::kDispatch);
    SspiFreeAsyncContext(async);
    DeleteAndForget(&self->context);
    self->done.Add();
  }
};

TEST_P(AsyncContractTest, EverythingAsynchronousIsLegalAtDispatchLevel) {
  ScriptedCredential credential(RepeatedScript());
  AllAtDispatch all{credential.get()};
  SspiAsyncContext* async = SspiCreateAsyncContext();
  ASSERT_EQ(SspiSetAsyncNotifyCallback(async, &AllAtDispatch::Notify, &all), SEC_E_OK);
  ASSERT_EQ(KtlsimSetNotifyMode(async, KTLSIM_NOTIFY_ON_PROCESSOR), SEC_E_OK);
  ASSERT_EQ(all.first.Accept(async, credential.get(), nullptr, &all.context), SEC_E_OK);
  all.done.WaitFor(2);
}

TEST_P(AsyncContractTest, ManyThreadsManyCallsEachOneCallback) {
  ScriptedCredential credential(RepeatedScript());
  const KtlsimStatistics before = Statistics();
  constexpr int kThreads = 4;
  constexpr int kCalls = 200;
  const auto burst = [&] {
    // All at once, without waiting: an ordinary burst is not overload.
    std::vector<std::unique_ptr<AsyncCall>> calls;
    std::vector<LegMemory> memory(kCalls);
    std::vector<CtxtHandle> contexts(kCalls);
    for (int i = 0; i < kCalls; ++i) {
      LegMemory& leg = memory[static_cast<std::size_t>(i)];
      calls.push_back(std::make_unique<AsyncCall>(notify_mode()));
      ASSERT_EQ(leg.Accept(calls.back()->get(), credential.get(), nullptr,
                           &contexts[static_cast<std::size_t>(i)]),
                SEC_E_OK);
    }
    for (auto& call : calls) ASSERT_EQ(call->Finish(), SEC_I_CONTINUE_NEEDED);
    for (auto& call : calls) ASSERT_EQ(call->callbacks(), 1);
    for (CtxtHandle& context : contexts) DeleteAndForget(&context);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(burst);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Statistics().cRefused, before.cRefused);
}

}  // namespace
}  // namespace ktlsim::test
