// A call runs as whoever submitted it, wherever and however often it runs; everything else, and
// callbacks above all, as the process.
#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/memory_network.h"
#include "io/memory_ring.h"
#include "io/seeded_random.h"
#include "kernel_sim/base/passive_worker.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/executive/seeded_scheduler.h"
#include "tests/executive/executive_test_support.h"
#include "tests/support/seeds.h"

namespace ktlsim::executive {
namespace {

using Admission = Executive::Admission;

struct User final : Identity {};

std::shared_ptr<User> MakeUser() { return std::make_shared<User>(); }

// As SubmitOn, as whoever the calling thread is.
Admission SubmitCaptured(AsyncContextTable& contexts, Executive& executive, AsyncHandle handle,
                         Body body, Strand* strand = nullptr) {
  Request* request = nullptr;
  const AsyncResult begun = contexts.BeginSubmit(handle, false, &request);
  EXPECT_EQ(begun, AsyncResult::kOk);
  if (begun != AsyncResult::kOk) return Admission::kStopping;
  request->Prepare(Lane::kHandshake, &RunBody, strand, {});
  request->EmplacePayload<Body>(std::move(body));
  request->CaptureIdentity();
  const Admission admission = executive.Submit(*request);
  if (admission != Admission::kAccepted) contexts.AbandonSubmit(*request);
  return admission;
}

Admission SubmitAs(Kernel& kernel, const Caller& caller, IdentityRef user, Body body) {
  const ThreadIdentity::Scope as_user(std::move(user));
  return SubmitCaptured(kernel.contexts(), kernel.executive(), caller.handle(), std::move(body));
}

class IdentityTest : public testing::TestWithParam<std::tuple<Shape, NotifyMode>> {
 protected:
  Kernel kernel_{
      MakeOptions(std::get<0>(GetParam()).placement, std::get<0>(GetParam()).processors)};
  const NotifyMode mode_ = std::get<1>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Shapes, IdentityTest,
                         testing::Combine(kEveryShape, testing::Values(NotifyMode::kPool,
                                                                       NotifyMode::kOnProcessor)),
                         [](const auto& shape) {
                           return NameOf(std::get<0>(shape.param)) +
                                  NameOf(std::get<1>(shape.param));
                         });

TEST_P(IdentityTest, ACallRunsAsItsSubmitterAndItsCallbackAsTheProcess) {
  const auto user = MakeUser();
  const Identity* seen = nullptr;
  std::atomic<bool> callback_is_process{false};
  std::atomic<std::uint32_t> error{99};
  Caller caller(kernel_, mode_, [&](AsyncHandle) {
    callback_is_process = !ThreadIdentity::IsSet();
    error = LastError();
    SetLastError(5);
  });
  for (std::uint32_t i = 1; i <= 2; ++i) {
    const Body body = Completing(0, [&] { seen = ThreadIdentity::Present(); });
    ASSERT_EQ(SubmitAs(kernel_, caller, user, body), Admission::kAccepted);
    caller.WaitForCallbacks(i);
    EXPECT_EQ(seen, user.get());
    EXPECT_TRUE(callback_is_process);
    EXPECT_EQ(error, 0U) << "of the callback before";
    EXPECT_EQ(kernel_.contexts().Reinit(caller.handle()), AsyncResult::kOk);
  }
  EXPECT_EQ(user.use_count(), 1) << "the library has let go of it";
  EXPECT_FALSE(ThreadIdentity::IsSet());
}

TEST_P(IdentityTest, WithoutCapturingACallRunsAsTheProcess) {
  Caller caller(kernel_, mode_);
  bool set = true;
  {
    const ThreadIdentity::Scope as_user(MakeUser());
    ASSERT_EQ(caller.Submit(Completing(0, [&] { set = ThreadIdentity::IsSet(); })),
              Admission::kAccepted);
    caller.WaitForCallbacks();
  }
  EXPECT_FALSE(set);
}

TEST_P(IdentityTest, ASuspendedCallGoesOnAsItsSubmitter) {
  const auto user = MakeUser();
  const auto other = MakeUser();
  Caller caller(kernel_, mode_);
  Suspender suspender;
  std::vector<const Identity*> seen;
  const Body inner = suspender.Suspending(7);
  const Body body = [&](Request& request) {
    seen.push_back(ThreadIdentity::Present());
    return inner(request);
  };
  ASSERT_EQ(SubmitAs(kernel_, caller, user, body), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  // Another one's call runs meanwhile, and a third party resumes.
  Caller between(kernel_, mode_);
  const Identity* seen_between = nullptr;
  ASSERT_EQ(SubmitAs(kernel_, between, other,
                     Completing(0, [&] { seen_between = ThreadIdentity::Present(); })),
            Admission::kAccepted);
  between.WaitForCallbacks();
  {
    const ThreadIdentity::Scope as_other(other);
    token.Resume();
  }
  caller.WaitForCallbacks();
  EXPECT_EQ(seen, (std::vector<const Identity*>{user.get(), user.get()}));
  EXPECT_EQ(seen_between, other.get());
  EXPECT_EQ(user.use_count(), 1);
}

TEST_P(IdentityTest, AStopEndsACallAsItsSubmitter) {
  const auto user = MakeUser();
  Caller caller(kernel_, mode_);
  Suspender suspender;
  const Identity* at_the_end = nullptr;
  const Body inner = suspender.Suspending(8);
  const Body body = [&](Request& request) {
    if (request.cause() == CallRun::kStopping) at_the_end = ThreadIdentity::Present();
    return inner(request);
  };
  ASSERT_EQ(SubmitAs(kernel_, caller, user, body), Admission::kAccepted);
  suspender.WaitForToken();
  kernel_.Stop();
  EXPECT_EQ(at_the_end, user.get());
  EXPECT_EQ(user.use_count(), 1);
}

TEST_P(IdentityTest, ACallThatIsTakenBackKeepsNobodysIdentity) {
  const auto user = MakeUser();
  Strand strand;
  Caller first(kernel_, mode_);
  Caller second(kernel_, mode_);
  Suspender suspender;
  ASSERT_EQ(first.Submit(suspender.Suspending(1), {.strand = &strand}), Admission::kAccepted);
  ResumeToken token = suspender.WaitForToken();
  {
    const ThreadIdentity::Scope as_user(user);
    ASSERT_EQ(SubmitCaptured(kernel_.contexts(), kernel_.executive(), second.handle(),
                             Completing(2), &strand),
              Admission::kAccepted);
  }
  EXPECT_EQ(user.use_count(), 2);
  Request* request = nullptr;
  ASSERT_EQ(kernel_.contexts().Recall(second.handle(), &request), AsyncResult::kOk);
  kernel_.executive().EndRecall(*request);
  second.WaitForCallbacks();
  EXPECT_EQ(user.use_count(), 1);
  token.Resume();
  first.WaitForCallbacks();
}

TEST_P(IdentityTest, WhatACallbackLeavesIsTakenOutAndCounted) {
  const auto user = MakeUser();
  const std::uint64_t misuse = MisuseCount();
  Caller caller(kernel_, mode_, [&](AsyncHandle) { ThreadIdentity::Exchange(user); });
  for (std::uint32_t i = 1; i <= 2; ++i) {
    ASSERT_EQ(caller.Submit(Completing(0)), Admission::kAccepted);
    caller.WaitForCallbacks(i);
    EXPECT_EQ(kernel_.contexts().Reinit(caller.handle()), AsyncResult::kOk);
  }
  kernel_.Stop();
  EXPECT_EQ(MisuseCount(), misuse + 2);
  EXPECT_EQ(user.use_count(), 1);
}

TEST_P(IdentityTest, ACallbackThatRevertsHasLeftNothing) {
  const std::uint64_t misuse = MisuseCount();
  const auto user = MakeUser();
  std::vector<const Identity*> seen;
  Caller next(kernel_, mode_);
  Caller caller(kernel_, mode_, [&](AsyncHandle) {
    const ThreadIdentity::Scope as_user(user);
    EXPECT_EQ(SubmitCaptured(kernel_.contexts(), kernel_.executive(), next.handle(),
                             Completing(0, [&] { seen.push_back(ThreadIdentity::Present()); })),
              Admission::kAccepted);
  });
  ASSERT_EQ(SubmitAs(kernel_, caller, MakeUser(), Completing(0)), Admission::kAccepted);
  next.WaitForCallbacks();
  EXPECT_EQ(seen, (std::vector<const Identity*>{user.get()}))
      << "a chain of calls inherits nothing but what its callback takes on";
  kernel_.Stop();
  EXPECT_EQ(MisuseCount(), misuse);
}

TEST_P(IdentityTest, WhatAHandlerOrACalledProgramLeavesIsTakenOut) {
  const std::uint64_t misuse = MisuseCount();
  const auto user = MakeUser();
  const auto left = MakeUser();
  kernel_.RunOn(0, [&] { ThreadIdentity::Exchange(left); });
  Caller caller(kernel_, mode_);
  // As though a verifier of the program's had impersonated, and not reverted.
  ASSERT_EQ(SubmitAs(kernel_, caller, user, Completing(0, [&] { ThreadIdentity::Exchange(left); })),
            Admission::kAccepted);
  caller.WaitForCallbacks();
  kernel_.Stop();
  EXPECT_EQ(MisuseCount(), misuse + 2);
  EXPECT_EQ(user.use_count(), 1);
  EXPECT_EQ(left.use_count(), 1);
}

TEST_P(IdentityTest, ASynchronousCallRunsAsItsCallerWhoStaysWhoHeIs) {
  const auto user = MakeUser();
  const ThreadIdentity::Scope as_user(user);
  SetLastError(17);
  Request* const request = kernel_.contexts().TakeRequest();
  ASSERT_NE(request, nullptr);
  const Identity* seen = nullptr;
  request->Prepare(Lane::kHandshake, &RunBody, nullptr, {});
  request->EmplacePayload<Body>(Completing(3, [&] {
    seen = ThreadIdentity::Present();
    SetLastError(18);
  }));
  request->CaptureIdentity();
  ASSERT_TRUE(kernel_.executive().SubmitAndWait(*request));
  EXPECT_EQ(seen, user.get());
  EXPECT_EQ(user.use_count(), 2) << "the slot's and this one's";
  kernel_.contexts().GiveBackRequest(*request);
  EXPECT_EQ(ThreadIdentity::Present(), user.get());
  EXPECT_EQ(LastError(), 17U) << "the last error is the thread's";
}

// Goal: no call ever runs as another one's user. Method: many callers, each a user of its own, on
// few processors; every call is suspended some times, and resumed by a thread that is somebody
// else; each run looks at who it is.
TEST_P(IdentityTest, HundredsOfUsersAreNeverMistaken) {
  constexpr std::uint32_t kUsers = 200;
  constexpr std::uint32_t kRounds = 5;
  struct Client {
    std::shared_ptr<User> user = MakeUser();
    std::unique_ptr<Caller> caller;
    int runs = 0;
  };
  std::mutex mutex;
  std::deque<ResumeToken> suspended;
  std::atomic<int> wrong{0};
  std::atomic<bool> over{false};
  std::vector<Client> clients(kUsers);
  for (Client& client : clients) {
    client.caller = std::make_unique<Caller>(kernel_, mode_, [&](AsyncHandle) {
      if (ThreadIdentity::IsSet()) ++wrong;
    });
  }
  std::jthread resumer([&] {
    const ThreadIdentity::Scope as_somebody(MakeUser());
    while (!over) {
      ResumeToken token;
      {
        const std::lock_guard lock(mutex);
        if (!suspended.empty()) {
          // The newest first: the order changes all the time.
          token = suspended.back();
          suspended.pop_back();
        }
      }
      token.Resume();
      std::this_thread::yield();
    }
  });
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    for (Client& client : clients) {
      client.runs = 0;
      const Body body = [&](Request& request) {
        if (ThreadIdentity::Present() != client.user.get()) ++wrong;
        if (++client.runs % 4 == 0) {
          request.set_status(0);
          return RunResult::kCompleted;
        }
        const std::lock_guard lock(mutex);
        suspended.emplace_back(request);
        return RunResult::kSuspended;
      };
      ASSERT_EQ(SubmitAs(kernel_, *client.caller, client.user, body), Admission::kAccepted);
    }
    for (const Client& client : clients) {
      client.caller->WaitForCallbacks(round);
      EXPECT_EQ(kernel_.contexts().Reinit(client.caller->handle()), AsyncResult::kOk);
    }
  }
  over = true;
  EXPECT_EQ(wrong, 0);
  for (const Client& client : clients) EXPECT_EQ(client.user.use_count(), 1);
}

// The same on schedules drawn from seeds, where each step may be another processor's, another
// client's, a callback's or a resume.
class SeededIdentityWorld {
 public:
  static constexpr int kUsers = 100;

  explicit SeededIdentityWorld(std::uint64_t seed)
      : network_(NetworkOptions(seed)),
        scheduler_(
            seed,
            {.ready = [](io::Ring& ring) { return static_cast<io::MemoryRing&>(ring).Ready(); },
             .advance_time = [this] { return network_.AdvanceToNextEvent(); }}) {
    ExecutiveOptions options;
    options.processors = 1 + static_cast<unsigned>(scheduler_.random().Below(3));
    options.placement = scheduler_.random().Below(2) == 0 ? Placement::kInline : Placement::kPool;
    options.clock = &network_;
    options.step = scheduler_.AsStep();
    options.ring_factory = [this]() -> Result<std::unique_ptr<io::Ring>> {
      Result<std::unique_ptr<io::MemoryRing>> ring = io::CreateMemoryRing(network_, {});
      if (!ring.ok()) return ring.status();
      return std::unique_ptr<io::Ring>(std::move(*ring));
    };
    EXPECT_TRUE(executive_.Start(options).ok());
    scheduler_.Attach(executive_);
    for (int i = 0; i < kUsers; ++i) AddClient();
    scheduler_.AddActor("resume", [this] {
      if (!suspended_.empty()) {
        const auto at = static_cast<std::ptrdiff_t>(scheduler_.random().Below(suspended_.size()));
        suspended_[static_cast<std::size_t>(at)].Resume();
        suspended_.erase(suspended_.begin() + at);
      }
      return ended_ < kUsers;
    });
  }

  void Run() {
    EXPECT_TRUE(scheduler_.Run(200'000)) << scheduler_.TraceText();
    executive_.Stop();
    EXPECT_EQ(wrong_, 0) << scheduler_.TraceText();
    EXPECT_EQ(ended_, kUsers);
    for (const auto& client : clients_) EXPECT_EQ(client->user.use_count(), 1);
  }

 private:
  struct Client {
    SeededIdentityWorld* world = nullptr;
    std::shared_ptr<User> user = MakeUser();
    AsyncHandle handle = 0;
    Strand* strand = nullptr;
    int calls_left = 3;
    bool idle = true;
  };

  static io::MemoryNetworkOptions NetworkOptions(std::uint64_t seed) {
    io::MemoryNetworkOptions options;
    options.seed = seed;
    return options;
  }

  static void Notify(_SspiAsyncContext* /*context*/, void* data) {
    auto* client = static_cast<Client*>(data);
    if (ThreadIdentity::IsSet()) ++client->world->wrong_;
    client->idle = true;
  }

  RunResult Leg(Request& request, const Client& client) {
    if (ThreadIdentity::Present() != client.user.get()) ++wrong_;
    if (scheduler_.random().Below(2) == 0) {
      request.set_status(0);
      return RunResult::kCompleted;
    }
    suspended_.emplace_back(request);
    return RunResult::kSuspended;
  }

  // An actor: a thread that submits its user's calls, one after the other.
  bool Submit(Client& client) {
    if (!client.idle) return true;
    if (client.calls_left-- == 0) {
      contexts_.Free(client.handle);
      ++ended_;
      return false;
    }
    EXPECT_EQ(contexts_.Reinit(client.handle), AsyncResult::kOk);
    client.idle = false;
    const ThreadIdentity::Scope as_user(client.user);
    EXPECT_EQ(
        SubmitCaptured(
            contexts_, executive_, client.handle,
            [this, &client](Request& request) { return Leg(request, client); }, client.strand),
        Admission::kAccepted);
    return true;
  }

  void AddClient() {
    auto client = std::make_unique<Client>();
    client->world = this;
    client->handle = contexts_.Create();
    // Some share a strand: their calls wait for each other.
    client->strand = scheduler_.random().Below(3) == 0 ? &shared_ : nullptr;
    const NotifyMode mode =
        scheduler_.random().Below(2) == 0 ? NotifyMode::kPool : NotifyMode::kOnProcessor;
    EXPECT_EQ(contexts_.SetMode(client->handle, mode), AsyncResult::kOk);
    EXPECT_EQ(contexts_.SetCallback(client->handle, &Notify, client.get()), AsyncResult::kOk);
    Client* const one = client.get();
    clients_.push_back(std::move(client));
    scheduler_.AddActor("client", [this, one] { return Submit(*one); });
  }

  io::MemoryNetwork network_;
  SeededScheduler scheduler_;
  AsyncContextTable contexts_{network_};
  Executive executive_{contexts_};
  Strand shared_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<ResumeToken> suspended_;
  int wrong_ = 0;
  int ended_ = 0;
};

TEST(SeededIdentityTest, HundredsOfUsersAreNeverMistaken) {
  const test::Seeds seeds = test::SeedsToRun(20);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    SCOPED_TRACE("KTLSIM_SEED=" + std::to_string(seed));
    SeededIdentityWorld world(seed);
    world.Run();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ThreadIdentityTest, ASlotEndsWithItsThread) {
  const auto user = MakeUser();
  std::jthread([&] {
    ThreadIdentity::Exchange(user);
    EXPECT_EQ(ThreadIdentity::Get(), user);
    EXPECT_EQ(user.use_count(), 2);
  }).join();
  EXPECT_EQ(user.use_count(), 1);
  EXPECT_FALSE(ThreadIdentity::IsSet());
  EXPECT_EQ(ThreadIdentity::Get(), nullptr);
}

TEST(ThreadIdentityTest, ScopesNest) {
  const auto user = MakeUser();
  const auto other = MakeUser();
  const ThreadIdentity::Scope outer(user);
  {
    const ThreadIdentity::Scope inner(other);
    EXPECT_EQ(ThreadIdentity::Present(), other.get());
    const ThreadIdentity::Scope process;
    EXPECT_FALSE(ThreadIdentity::IsSet());
  }
  EXPECT_EQ(ThreadIdentity::Present(), user.get());
}

TEST(ThreadIdentityTest, APassiveWorkerRunsAsWhoeverAskedOrAsTheProcess) {
  struct Item : WorkItem {
    Item()
        : WorkItem([](WorkItem& item) {
            auto& self = static_cast<Item&>(item);
            self.seen = ThreadIdentity::Present();
            self.ended.Add();
          }) {}
    const Identity* seen = nullptr;
    Counter ended;
    WorkItem refused{[](WorkItem& /*item*/) { ADD_FAILURE(); }};
  };
  const auto user = MakeUser();
  std::vector<std::unique_ptr<Item>> items;
  {
    PassiveWorker worker;
    for (int i = 0; i < 4; ++i) {
      items.push_back(std::make_unique<Item>());
      const ThreadIdentity::Scope as_user(user);
      ASSERT_TRUE(i % 2 == 0 ? worker.RunAsCaller(*items.back(), items.back()->refused)
                             : worker.Run(*items.back()));
    }
    for (const auto& item : items) item->ended.WaitFor(1);
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(items[static_cast<std::size_t>(i)]->seen, i % 2 == 0 ? user.get() : nullptr);
  }
  EXPECT_EQ(user.use_count(), 1);
}

}  // namespace
}  // namespace ktlsim::executive
