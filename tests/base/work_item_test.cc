#include "kernel_sim/base/work_item.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/member_item.h"

namespace ktlsim {
namespace {

struct Numbered : WorkItem {
  Numbered() : WorkItem(nullptr) {}
  int producer = 0;
  int number = 0;
};

TEST(WorkQueueTest, HandsOutInTheOrderOfOneProducer) {
  WorkQueue queue;
  std::vector<Numbered> items(3);
  for (int i = 0; i < 3; ++i) {
    items[static_cast<std::size_t>(i)].number = i;
    EXPECT_FALSE(queue.Push(items[static_cast<std::size_t>(i)]));
  }
  int expected = 0;
  for (WorkItem* item = queue.TakeAll(); item != nullptr;) {
    WorkItem* next = WorkQueue::Next(*item);
    EXPECT_EQ(static_cast<Numbered*>(item)->number, expected++);
    item = next;
  }
  EXPECT_EQ(expected, 3);
  EXPECT_TRUE(queue.empty());
}

TEST(WorkQueueTest, OnlyTheFirstPushAfterSleepOwesTheWake) {
  WorkQueue queue;
  Numbered first;
  Numbered second;
  EXPECT_TRUE(queue.PrepareToSleep());
  EXPECT_TRUE(queue.PrepareToSleep()) << "announcing twice is one sleep";
  EXPECT_TRUE(queue.Push(first));
  EXPECT_FALSE(queue.Push(second));
  EXPECT_FALSE(queue.PrepareToSleep()) << "there is work";
  EXPECT_EQ(queue.TakeAll(), &first);
}

TEST(WorkQueueTest, TakeAllEndsASleep) {
  WorkQueue queue;
  Numbered item;
  ASSERT_TRUE(queue.PrepareToSleep());
  EXPECT_EQ(queue.TakeAll(), nullptr);
  EXPECT_FALSE(queue.Push(item)) << "the consumer is awake";
}

// Producers push without pause, and the consumer sleeps whenever it may. Every wake-up goes through
// a semaphore-like counter, so a lost wake-up would hang, and a lost item would be missing from the
// count.
TEST(WorkQueueTest, LosesNothingBetweenThreads) {
  constexpr int kProducers = 3;
  constexpr int kEach = 20000;
  WorkQueue queue;
  std::atomic<int> wakes{0};
  std::vector<std::vector<Numbered>> items(kProducers);
  for (auto& row : items) row = std::vector<Numbered>(kEach);
  std::vector<std::thread> producers;
  producers.reserve(kProducers);
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i) {
        Numbered& item = items[static_cast<std::size_t>(p)][static_cast<std::size_t>(i)];
        item.producer = p;
        item.number = i;
        if (queue.Push(item)) {
          wakes.fetch_add(1);
          wakes.notify_one();
        }
      }
    });
  }
  std::vector<int> next(kProducers, 0);
  int taken = 0;
  int slept = 0;
  while (taken < kProducers * kEach) {
    if (queue.PrepareToSleep()) {
      wakes.wait(slept);
      ++slept;
    }
    for (WorkItem* item = queue.TakeAll(); item != nullptr;) {
      WorkItem* following = WorkQueue::Next(*item);
      auto* numbered = static_cast<Numbered*>(item);
      EXPECT_EQ(numbered->number, next[static_cast<std::size_t>(numbered->producer)]++);
      ++taken;
      item = following;
    }
  }
  for (auto& thread : producers) thread.join();
  EXPECT_EQ(wakes.load(), slept);
}

class Machine {
 public:
  void PostTo(WorkQueue& queue) {
    static_cast<void>(queue.Push(start_));
    static_cast<void>(queue.Push(stop_));
  }
  int started() const { return started_; }
  bool stopped() const { return stopped_; }

 private:
  void Start() { ++started_; }
  void Stop() { stopped_ = true; }

  MemberItem<&Machine::Start> start_{*this};
  MemberItem<&Machine::Stop> stop_{*this};
  int started_ = 0;
  bool stopped_ = false;
};

TEST(MemberItemTest, CallsTheFunctionOfItsOwner) {
  WorkQueue queue;
  Machine first;
  Machine second;
  first.PostTo(queue);
  WorkItem* const start = queue.TakeAll();
  WorkItem* const stop = WorkQueue::Next(*start);
  start->Run();
  EXPECT_EQ(first.started(), 1);
  EXPECT_FALSE(first.stopped());
  stop->Run();
  EXPECT_TRUE(first.stopped());
  EXPECT_EQ(second.started(), 0);
}

// The link to its queue, the routine and the owner.
static_assert(sizeof(Machine) <= 2 * (sizeof(WorkItem) + sizeof(void*)) + 2 * sizeof(int));

}  // namespace
}  // namespace ktlsim
