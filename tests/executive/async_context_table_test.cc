// The life of an async context and every way to misuse one. The test stands in for the runtime: it
// publishes and enters callbacks itself, so it can stop at each moment of a call and look at it.
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/executive/async_context.h"
#include "kernel_sim/executive/misuse.h"
#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

// Counts up the int that `data` points to.
void CountCall(_SspiAsyncContext*, void* data) { ++*static_cast<int*>(data); }

class AsyncContextTableTest : public testing::Test {
 protected:
  AsyncHandle CreateWithCallback() {
    const AsyncHandle handle = table_.Create();
    EXPECT_EQ(table_.SetCallback(handle, &CountCall, &calls_), AsyncResult::kOk);
    return handle;
  }
  AsyncContextSlot& BeginSubmit(AsyncHandle handle) {
    Request* request = nullptr;
    EXPECT_EQ(table_.BeginSubmit(handle, false, &request), AsyncResult::kOk);
    table_.Accept(*request->context(), false);
    return *request->context();
  }
  void Deliver(AsyncContextSlot& slot) {
    const AsyncContextTable::Notification notification = table_.EnterCallback(slot);
    notification.Invoke();
    table_.FinishCallback(notification);
  }
  // A call that ended with `status`.
  void Complete(AsyncHandle handle, std::int32_t status) {
    AsyncContextSlot& slot = BeginSubmit(handle);
    if (table_.Publish(slot, status)) Deliver(slot);
  }
  // kOk and the status, or the reason why there is none.
  std::pair<AsyncResult, std::int32_t> StatusOf(AsyncHandle handle) {
    std::int32_t status = -1;
    const AsyncResult result = table_.GetStatus(handle, &status);
    return {result, status};
  }
  void ExpectDead(AsyncHandle handle) {
    Request* request = nullptr;
    EXPECT_EQ(table_.Reinit(handle), AsyncResult::kInvalidHandle);
    EXPECT_EQ(table_.SetCallback(handle, &CountCall, &calls_), AsyncResult::kInvalidHandle);
    EXPECT_EQ(table_.SetMode(handle, NotifyMode::kPool), AsyncResult::kInvalidHandle);
    EXPECT_EQ(table_.BeginSubmit(handle, false, &request), AsyncResult::kInvalidHandle);
    EXPECT_EQ(request, nullptr);
    EXPECT_FALSE(table_.RequiresNotify(handle));
  }
  void FreeOthers(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) table_.Free(table_.Create());
  }

  static constexpr std::pair<AsyncResult, std::int32_t> Ended(std::int32_t status) {
    return {AsyncResult::kOk, status};
  }

  FakeClock clock_;
  AsyncContextTable table_{clock_};
  int calls_ = 0;
};

TEST_F(AsyncContextTableTest, OneCallFromIdleToDone) {
  const AsyncHandle handle = CreateWithCallback();
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kNeverSubmitted);
  AsyncContextSlot& slot = BeginSubmit(handle);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInUse);
  EXPECT_TRUE(table_.Publish(slot, 42));
  EXPECT_EQ(StatusOf(handle), Ended(42));
  EXPECT_EQ(calls_, 0);
  Deliver(slot);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(StatusOf(handle), Ended(42));
  EXPECT_EQ(table_.Reinit(handle), AsyncResult::kOk);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kNeverSubmitted);
  Complete(handle, 43);
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(StatusOf(handle), Ended(43));
  table_.Free(handle);
  EXPECT_EQ(table_.live(), 0U);
}

TEST_F(AsyncContextTableTest, CallbackIsGivenHandleAndData) {
  static AsyncHandle told;
  told = 0;
  const AsyncHandle handle = table_.Create();
  const NotifyCallback callback = [](_SspiAsyncContext* context, void* data) {
    told = reinterpret_cast<AsyncHandle>(context);
    EXPECT_EQ(data, nullptr);  // no data is allowed, and still a callback
  };
  ASSERT_EQ(table_.SetCallback(handle, callback, nullptr), AsyncResult::kOk);
  Complete(handle, 0);
  EXPECT_EQ(told, handle);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, MadeUpHandlesAreInvalid) {
  const AsyncHandle real = table_.Create();
  const AsyncHandle made_up[] = {
      0,     1,       real + 1,   real + (1ULL << 32), real ^ (1ULL << 63),
      ~0ULL, 1 << 20, 0xffffffff, 0x7f1234567890};
  for (const AsyncHandle handle : made_up) {
    SCOPED_TRACE(handle);
    ExpectDead(handle);
    EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInvalidHandle);
    table_.Free(handle);
  }
  EXPECT_EQ(table_.live(), 1U);
  EXPECT_EQ(StatusOf(real).first, AsyncResult::kNeverSubmitted);
  table_.Free(real);
}

TEST_F(AsyncContextTableTest, FreeOfNullIsNoMisuse) {
  const std::uint64_t before = MisuseCount();
  table_.Free(0);
  EXPECT_EQ(MisuseCount(), before);
}

TEST_F(AsyncContextTableTest, FreedHandleIsDeadAndFreedOnce) {
  const AsyncHandle handle = CreateWithCallback();
  table_.Free(handle);
  ExpectDead(handle);
  const std::uint64_t before = MisuseCount();
  table_.Free(handle);
  EXPECT_EQ(MisuseCount(), before + 1);
  EXPECT_EQ(table_.live(), 0U);
}

TEST_F(AsyncContextTableTest, ReinitOfIdleIsNoOp) {
  const AsyncHandle handle = CreateWithCallback();
  EXPECT_EQ(table_.Reinit(handle), AsyncResult::kOk);
  Complete(handle, 5);
  EXPECT_EQ(calls_, 1);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, ReinitIsRefusedUntilTheCallbackIsEntered) {
  const AsyncHandle handle = CreateWithCallback();
  AsyncContextSlot& slot = BeginSubmit(handle);
  EXPECT_EQ(table_.Reinit(handle), AsyncResult::kInUse);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInUse);
  ASSERT_TRUE(table_.Publish(slot, 6));
  EXPECT_EQ(table_.Reinit(handle), AsyncResult::kInUse);
  EXPECT_EQ(StatusOf(handle), Ended(6));
  const AsyncContextTable::Notification notification = table_.EnterCallback(slot);
  EXPECT_EQ(table_.Reinit(handle), AsyncResult::kOk);
  notification.Invoke();
  table_.FinishCallback(notification);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kNeverSubmitted);
  EXPECT_EQ(calls_, 1);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, ReinitKeepsTheRegistration) {
  const AsyncHandle handle = CreateWithCallback();
  for (int call = 1; call <= 3; ++call) {
    Complete(handle, call);
    EXPECT_EQ(calls_, call);
    EXPECT_EQ(table_.Reinit(handle), AsyncResult::kOk);
    EXPECT_TRUE(table_.RequiresNotify(handle));
  }
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, SetCallbackInFlightChangesNothing) {
  int others = 0;
  const AsyncHandle handle = CreateWithCallback();
  AsyncContextSlot& slot = BeginSubmit(handle);
  EXPECT_EQ(table_.SetCallback(handle, &CountCall, &others), AsyncResult::kInUse);
  EXPECT_EQ(table_.SetCallback(handle, nullptr, nullptr), AsyncResult::kInUse);
  EXPECT_EQ(table_.SetMode(handle, NotifyMode::kOnProcessor), AsyncResult::kInUse);
  ASSERT_TRUE(table_.Publish(slot, 0));
  EXPECT_EQ(table_.SetCallback(handle, &CountCall, &others), AsyncResult::kInUse);
  Deliver(slot);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(others, 0);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, SetCallbackInFlightDoesNotRegisterWhereNoneWas) {
  const AsyncHandle handle = table_.Create();
  AsyncContextSlot& slot = BeginSubmit(handle);
  EXPECT_EQ(table_.SetCallback(handle, &CountCall, &calls_), AsyncResult::kInUse);
  EXPECT_FALSE(table_.Publish(slot, 0));
  EXPECT_EQ(calls_, 0);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, SetCallbackInDoneIsForTheNextCall) {
  int others = 0;
  const AsyncHandle handle = CreateWithCallback();
  Complete(handle, 1);
  EXPECT_EQ(table_.SetCallback(handle, &CountCall, &others), AsyncResult::kOk);
  EXPECT_EQ(others, 0);
  EXPECT_EQ(StatusOf(handle), Ended(1));
  ASSERT_EQ(table_.Reinit(handle), AsyncResult::kOk);
  Complete(handle, 2);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(others, 1);
  // Removed again: then no callback comes.
  EXPECT_EQ(table_.SetCallback(handle, nullptr, nullptr), AsyncResult::kOk);
  ASSERT_EQ(table_.Reinit(handle), AsyncResult::kOk);
  Complete(handle, 3);
  EXPECT_EQ(others, 1);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, SecondSubmissionInFlightIsRefused) {
  const AsyncHandle handle = CreateWithCallback();
  AsyncContextSlot& slot = BeginSubmit(handle);
  Request* second = nullptr;
  EXPECT_EQ(table_.BeginSubmit(handle, true, &second), AsyncResult::kInUse);
  ASSERT_TRUE(table_.Publish(slot, 7));
  EXPECT_EQ(table_.BeginSubmit(handle, true, &second), AsyncResult::kInUse);
  EXPECT_EQ(second, nullptr);
  Deliver(slot);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(StatusOf(handle), Ended(7));
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, SubmissionInDoneNeedsReinit) {
  const AsyncHandle handle = CreateWithCallback();
  Complete(handle, 8);
  Request* second = nullptr;
  EXPECT_EQ(table_.BeginSubmit(handle, true, &second), AsyncResult::kNotReinitialised);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(StatusOf(handle), Ended(8));
  EXPECT_EQ(calls_, 1);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, MissingCallbackIsRefusedOnlyWhereOneIsRequired) {
  const AsyncHandle handle = table_.Create();
  Request* request = nullptr;
  EXPECT_EQ(table_.BeginSubmit(handle, true, &request), AsyncResult::kNoCallback);
  EXPECT_EQ(request, nullptr);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kNeverSubmitted);  // still idle
  Complete(handle, 9);
  EXPECT_EQ(StatusOf(handle), Ended(9));
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, RefusedSubmissionPutsAllBack) {
  const AsyncHandle handle = CreateWithCallback();
  Request* request = nullptr;
  ASSERT_EQ(table_.BeginSubmit(handle, true, &request), AsyncResult::kOk);
  auto payload = std::make_shared<int>(1);
  request->EmplacePayload<std::shared_ptr<int>>(payload);
  table_.AbandonSubmit(*request);
  EXPECT_EQ(payload.use_count(), 1);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kNeverSubmitted);
  EXPECT_EQ(calls_, 0);
  Complete(handle, 10);
  EXPECT_EQ(calls_, 1);
  table_.Free(handle);
}

TEST_F(AsyncContextTableTest, RequiresNotifyIsAboutTheRegistration) {
  const AsyncHandle handle = table_.Create();
  EXPECT_FALSE(table_.RequiresNotify(handle));
  ASSERT_EQ(table_.SetCallback(handle, &CountCall, &calls_), AsyncResult::kOk);
  EXPECT_TRUE(table_.RequiresNotify(handle));
  AsyncContextSlot& slot = BeginSubmit(handle);
  EXPECT_TRUE(table_.RequiresNotify(handle));
  ASSERT_TRUE(table_.Publish(slot, 0));
  EXPECT_TRUE(table_.RequiresNotify(handle));
  Deliver(slot);
  EXPECT_TRUE(table_.RequiresNotify(handle));
  ASSERT_EQ(table_.SetCallback(handle, nullptr, &calls_), AsyncResult::kOk);
  EXPECT_FALSE(table_.RequiresNotify(handle));
  ASSERT_EQ(table_.SetCallback(handle, &CountCall, &calls_), AsyncResult::kOk);
  table_.Free(handle);
  EXPECT_FALSE(table_.RequiresNotify(handle));
}

TEST_F(AsyncContextTableTest, OrphanIsStillToldOnceAndThenGone) {
  struct Seen {
    AsyncContextTable& table;
    AsyncHandle handle = 0;
    int calls = 0;
    std::int32_t status = -1;
    AsyncResult result = AsyncResult::kInvalidHandle;
  } seen{.table = table_};
  const NotifyCallback callback = [](_SspiAsyncContext* context, void* data) {
    auto& what = *static_cast<Seen*>(data);
    ++what.calls;
    what.handle = reinterpret_cast<AsyncHandle>(context);
    what.result = what.table.GetStatus(what.handle, &what.status);
    what.table.Free(what.handle);  // the second free: tolerated
    EXPECT_EQ(what.table.live(), 1U) << "valid for the callback's duration";
  };
  for (const bool published : {false, true}) {
    SCOPED_TRACE(published);
    seen.calls = 0;
    const AsyncHandle handle = table_.Create();
    ASSERT_EQ(table_.SetCallback(handle, callback, &seen), AsyncResult::kOk);
    AsyncContextSlot& slot = BeginSubmit(handle);
    const std::uint64_t misuses = MisuseCount();
    if (published) {
      ASSERT_TRUE(table_.Publish(slot, 11));
      table_.Free(handle);
    } else {
      table_.Free(handle);
      EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInUse);
      ASSERT_TRUE(table_.Publish(slot, 11));
    }
    EXPECT_EQ(MisuseCount(), misuses + 1);
    ExpectDead(handle);
    Deliver(slot);
    EXPECT_EQ(seen.calls, 1);
    EXPECT_EQ(seen.handle, handle);
    EXPECT_EQ(seen.result, AsyncResult::kOk);
    EXPECT_EQ(seen.status, 11);
    EXPECT_EQ(table_.live(), 0U);
    EXPECT_EQ(StatusOf(handle), Ended(11));
    table_.Free(handle);
    EXPECT_EQ(table_.live(), 0U);
  }
}

TEST_F(AsyncContextTableTest, FreeInFlightWithoutCallbackDetaches) {
  const AsyncHandle handle = table_.Create();
  AsyncContextSlot& slot = BeginSubmit(handle);
  const std::uint64_t misuses = MisuseCount();
  table_.Free(handle);
  EXPECT_EQ(MisuseCount(), misuses) << "this is how Delete is documented to be used";
  ExpectDead(handle);
  EXPECT_EQ(table_.live(), 1U);
  EXPECT_FALSE(table_.Publish(slot, 12));
  EXPECT_EQ(table_.live(), 0U);
  EXPECT_EQ(StatusOf(handle), Ended(12));
}

TEST_F(AsyncContextTableTest, FreeOfClaimedContextEndsWithTheAbandonedSubmission) {
  const AsyncHandle handle = CreateWithCallback();
  Request* request = nullptr;
  ASSERT_EQ(table_.BeginSubmit(handle, true, &request), AsyncResult::kOk);
  table_.Free(handle);
  EXPECT_EQ(table_.live(), 1U);
  table_.AbandonSubmit(*request);
  EXPECT_EQ(table_.live(), 0U);
  EXPECT_EQ(calls_, 0);
}

TEST_F(AsyncContextTableTest, FreedSlotIsHeldBackForASecond) {
  const AsyncHandle handle = table_.Create();
  Complete(handle, 13);
  table_.Free(handle);
  FreeOthers(AsyncContextTable::kQuarantineFrees + 100);
  clock_.Advance(AsyncContextTable::kQuarantineNs - 1);
  FreeOthers(100);
  EXPECT_EQ(StatusOf(handle), Ended(13));
  clock_.Advance(1);
  const AsyncHandle heir = table_.Create();
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInvalidHandle);
  EXPECT_EQ(StatusOf(heir).first, AsyncResult::kNeverSubmitted);
  table_.Free(heir);
}

TEST_F(AsyncContextTableTest, FreedSlotIsHeldBackForManyFrees) {
  const AsyncHandle handle = table_.Create();
  Complete(handle, 14);
  table_.Free(handle);
  clock_.Advance(10 * AsyncContextTable::kQuarantineNs);
  FreeOthers(AsyncContextTable::kQuarantineFrees - 1);
  const AsyncHandle early = table_.Create();
  EXPECT_EQ(StatusOf(handle), Ended(14)) << "handed out after 65,535 other frees";
  table_.Free(early);
  const AsyncHandle last = table_.Create();
  table_.Free(last);
  const AsyncHandle heir = table_.Create();
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInvalidHandle) << "never handed out";
  table_.Free(heir);
}

TEST_F(AsyncContextTableTest, HandleOfRecycledSlotIsInvalidAndHarmless) {
  const AsyncHandle handle = CreateWithCallback();
  table_.Free(handle);
  FreeOthers(AsyncContextTable::kQuarantineFrees + 1);
  clock_.Advance(AsyncContextTable::kQuarantineNs);
  const AsyncHandle heir = table_.Create();
  EXPECT_NE(heir, handle);
  EXPECT_EQ(heir & 0xffffffff, handle & 0xffffffff) << "the same slot is meant";
  ExpectDead(handle);
  EXPECT_EQ(StatusOf(handle).first, AsyncResult::kInvalidHandle);
  EXPECT_FALSE(table_.RequiresNotify(heir)) << "nothing is inherited";
  table_.Free(handle);
  EXPECT_EQ(table_.live(), 1U);
  Complete(heir, 15);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(StatusOf(heir), Ended(15));
  table_.Free(heir);
}

TEST_F(AsyncContextTableTest, ManyThreadsEachWithTheirOwn) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 3000; ++i) {
        const AsyncHandle handle = table_.Create();
        Complete(handle, t * 10000 + i);
        EXPECT_EQ(StatusOf(handle), Ended(t * 10000 + i));
        EXPECT_EQ(table_.Reinit(handle), AsyncResult::kOk);
        table_.Free(handle);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(table_.live(), 0U);
}

// Goal: when many threads misuse one context at once, exactly one wins each race.
TEST_F(AsyncContextTableTest, OneOfManySubmissionsAndFreesWins) {
  for (int round = 0; round < 500; ++round) {
    const AsyncHandle handle = table_.Create();
    std::atomic<int> submitted{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        Request* request = nullptr;
        if (table_.BeginSubmit(handle, false, &request) == AsyncResult::kOk) {
          submitted.fetch_add(1);
          table_.Accept(*request->context(), false);
          EXPECT_FALSE(table_.Publish(*request->context(), 16));
        }
        table_.SetCallback(handle, nullptr, nullptr);
        table_.SetMode(handle, NotifyMode::kOnProcessor);
      });
    }
    threads.clear();
    EXPECT_EQ(submitted.load(), 1);
    const std::uint64_t misuses = MisuseCount();
    for (int t = 0; t < 3; ++t) threads.emplace_back([&] { table_.Free(handle); });
    threads.clear();
    EXPECT_EQ(MisuseCount(), misuses + 2);
    EXPECT_EQ(table_.live(), 0U);
  }
}

}  // namespace
}  // namespace ktlsim::executive
