// Posted work and the wake-up: what other threads do to a ring that may be asleep.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/member_timer.h"
#include "io/passive_job.h"
#include "io/uring.h"
#include "kernel_sim/base/level.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

struct Counted : WorkItem {
  Counted() : WorkItem([](WorkItem& item) { static_cast<Counted&>(item).Count(); }) {}
  void Count() {
    EXPECT_EQ(CurrentLevel(), Level::kDispatch);
    if (expected_next != nullptr) {
      EXPECT_EQ((*expected_next)++, number);
    }
    ++*ran;
  }
  std::size_t* ran = nullptr;
  std::size_t* expected_next = nullptr;
  std::size_t number = 0;
};

TEST(PostTest, FromTheLoopsOwnThreadNeedsNoSystemCall) {
  auto ring = MakeRing();
  std::size_t ran = 0;
  Counted item;
  item.ran = &ran;
  ring->Turn(0);
  const std::uint64_t enters = ring->Statistics().enters;
  for (std::size_t i = 0; i < 100; ++i) {
    ring->Post(item);
    EXPECT_EQ(ran, i);
    EXPECT_EQ(ring->Turn(kWaitForever), 1u);
  }
  EXPECT_EQ(ran, 100u);
  EXPECT_EQ(ring->Statistics().wakes_sent, 0u);
  EXPECT_EQ(ring->Statistics().enters, enters);
}

TEST(PostTest, ItemsPostedByItemsRunInLaterTurns) {
  auto ring = MakeRing();
  struct Again : WorkItem {
    explicit Again(Ring& r)
        : WorkItem([](WorkItem& item) {
            auto& self = static_cast<Again&>(item);
            if (++self.ran < 10) self.ring.Post(self);
          }),
          ring(r) {}
    Ring& ring;
    int ran = 0;
  } item(*ring);
  ring->Post(item);
  for (int i = 1; i <= 10; ++i) {
    EXPECT_EQ(ring->Turn(kWaitForever), 1u);
    EXPECT_EQ(item.ran, i);
  }
  EXPECT_EQ(ring->Turn(0), 0u);
}

// Several producers without pause; the loop sleeps whenever nothing is there. A lost wake-up hangs,
// a lost item is missing from the count, a reordered one is noticed by its number.
TEST(PostTest, ManyProducersWakeTheLoopAndLoseNothing) {
  constexpr std::size_t kProducers = 4;
  constexpr std::size_t kEach = 60000;
  auto ring = MakeRing();
  std::size_t ran = 0;
  std::vector<std::size_t> next(kProducers, 0);
  std::vector<std::vector<Counted>> items;
  for (std::size_t p = 0; p < kProducers; ++p) {
    items.emplace_back(kEach);
    for (std::size_t i = 0; i < kEach; ++i) {
      items[p][i].ran = &ran;
      items[p][i].expected_next = &next[p];
      items[p][i].number = i;
    }
  }
  std::vector<std::thread> producers;
  for (std::size_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (Counted& item : items[p]) ring->Post(item);
    });
  }
  while (ran < kProducers * kEach) ring->Turn(kWaitForever);
  for (auto& producer : producers) producer.join();
  EXPECT_EQ(ring->Statistics().posted, kProducers * kEach);
  EXPECT_LE(ring->Statistics().wakes_sent, kProducers * kEach);
}

// One item at a time, posted only after the one before has run: nearly every post meets a sleeping
// loop.
TEST(PostTest, WakesFromSleepEachTime) {
  constexpr std::size_t kTimes = 20000;
  auto ring = MakeRing();
  std::atomic<std::size_t> seen{0};
  std::thread poster([&] {
    struct Pong : WorkItem {
      explicit Pong(std::atomic<std::size_t>& s)
          : WorkItem([](WorkItem& item) {
              auto& self = static_cast<Pong&>(item);
              self.seen.fetch_add(1);
              self.seen.notify_one();
            }),
            seen(s) {}
      std::atomic<std::size_t>& seen;
    } item(seen);
    for (std::size_t i = 0; i < kTimes; ++i) {
      ring->Post(item);
      seen.wait(i);
    }
  });
  while (seen.load() < kTimes) ring->Turn(kWaitForever);
  poster.join();
  EXPECT_GT(ring->Statistics().wakes_sent, 0u);
}

// The item itself ends the ring, while its poster may still be writing the wake-up.
TEST(PostTest, RingMayEndWhileItsLastPosterIsStillWaking) {
  for (int round = 0; round < 300; ++round) {
    struct Stop : WorkItem {
      Stop() : WorkItem([](WorkItem& item) { static_cast<Stop&>(item).asked = true; }) {}
      bool asked = false;
    } stop;
    std::atomic<Ring*> shared{nullptr};
    std::thread loop([&] {
      auto ring = MakeRing({.submission_entries = 8, .receive_buffers = 1});
      shared = ring.get();
      shared.notify_one();
      while (!stop.asked) ring->Turn(round % 2 == 0 ? kWaitForever : 20 * kNsPerUs);
    });
    shared.wait(nullptr);
    shared.load()->Post(stop);
    loop.join();
  }
}

// Posting and socket traffic at once: completions end sleeps too.
TEST(PostTest, MixesWithCompletions) {
  constexpr std::size_t kItems = 100000;
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  std::size_t ran = 0;
  std::vector<Counted> items(kItems);
  for (Counted& item : items) item.ran = &ran;
  std::thread poster([&] {
    for (Counted& item : items) ring->Post(item);
  });
  Receiver receive;
  ring->StartReceive(receive, pair.server);
  const std::string text = "ping";
  std::size_t rounds = 0;
  while (ran < kItems || rounds < 500) {
    Sender send;
    receive.text.clear();
    ring->StartSend(send, pair.client, AsBytes(text));
    while (!send.ended || receive.text != text) ring->Turn(kWaitForever);
    ++rounds;
  }
  poster.join();
  ring->Cancel(receive);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return receive.ended; }));
  ring->Close(pair.client);
  ring->Close(pair.server);
}

class Clock {
 public:
  explicit Clock(Ring& ring) : ring_(ring) {}
  void Wind(std::uint64_t deadline_ns) { ring_.StartTimer(bell_, deadline_ns); }
  int struck() const { return struck_; }

 private:
  void Strike() {
    if (++struck_ < 3) Wind(0);
  }

  Ring& ring_;
  MemberTimer<&Clock::Strike> bell_{*this};
  int struck_ = 0;
};

TEST(MemberTimerTest, CallsTheFunctionOfItsOwner) {
  auto ring = MakeRing();
  Clock clock(*ring);
  clock.Wind(0);
  for (int i = 1; i <= 3; ++i) {
    ring->Turn(0);
    EXPECT_EQ(clock.struck(), i);
  }
  ring->Turn(0);
  EXPECT_EQ(clock.struck(), 3);
}

class Errand {
 public:
  explicit Errand(Ring& ring) : job_(ring, *this) {}
  bool Start(PassiveWorker& workers) { return job_.Start(workers); }
  int returned() const { return returned_; }

 private:
  void Go() {
    EXPECT_EQ(CurrentLevel(), Level::kPassive);
    EXPECT_NE(std::this_thread::get_id(), home_);
    ++gone_;
  }
  void Refused() { ADD_FAILURE(); }
  void Return() {
    EXPECT_EQ(std::this_thread::get_id(), home_);
    EXPECT_EQ(gone_, ++returned_);
  }

  const std::thread::id home_ = std::this_thread::get_id();
  PassiveJob<&Errand::Go, &Errand::Return, &Errand::Refused> job_;
  int gone_ = 0;  // handed over with the job
  int returned_ = 0;
};

TEST(PassiveJobTest, WorksOnAnotherThreadAndReturnsToTheLoop) {
  auto ring = MakeRing();
  PassiveWorker workers;
  Errand errand(*ring);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(errand.Start(workers));
    while (errand.returned() < i) ring->Turn(kWaitForever);
  }
}

}  // namespace
}  // namespace ktlsim::io
