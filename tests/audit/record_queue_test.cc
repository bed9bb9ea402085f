#include "kernel_sim/audit/record_queue.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::audit {
namespace {

TEST(RecordQueueTest, KeepsOrderAndRefusesWhenFull) {
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(4);
  EXPECT_EQ(queue->Front(), nullptr);
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(queue->Push({.object = std::to_string(i)}, i));
    }
    EXPECT_FALSE(queue->Push({}, 9));
    for (std::uint64_t i = 0; i < 4; ++i) {
      const QueuedRecord* const record = queue->Front();
      ASSERT_NE(record, nullptr);
      EXPECT_EQ(record->unix_ns, i);
      EXPECT_EQ(record->object(), std::to_string(i));
      queue->Pop();
    }
    EXPECT_EQ(queue->Front(), nullptr);
    EXPECT_EQ(queue->pushed(), queue->popped());
  }
}

TEST(RecordQueueTest, TextsOfAnyLengthStayApart) {
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(2);
  const std::string longest(kObjectBytesMax, 'o');
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{80}, std::size_t{81},
                                  std::size_t{1024}, std::size_t{1025}}) {
    const std::string text(bytes, 't');
    ASSERT_TRUE(queue->Push(
        {.client_name = text, .subsystem = "s", .object_type = text, .object = longest}, 0));
    const QueuedRecord* const record = queue->Front();
    EXPECT_EQ(record->client_name(), text.substr(0, kNameBytesMax));
    EXPECT_EQ(record->subsystem(), "s");
    EXPECT_EQ(record->object_type(), text.substr(0, kNameBytesMax));
    EXPECT_EQ(record->object(), longest);
    EXPECT_EQ(record->cut, bytes > kNameBytesMax);
    queue->Pop();
  }
}

// Anybody can make failed log-ons: they leave room for the others.
TEST(RecordQueueTest, FailedLogonsHaveHalfOfThePlacesAndOfTheMemory) {
  const AuditRecord guess = {.event = AuditEvent::kLogon, .reason = LogonFailure::kDenied};
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(8);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue->Push(guess, 0));
    EXPECT_FALSE(queue->Push(guess, 0));
    EXPECT_TRUE(queue->Push({.event = AuditEvent::kLogon, .success = true}, 0))
        << "not by guessing";
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue->Push({}, 0));
    EXPECT_FALSE(queue->Push({}, 0)) << "it is full";
    for (int i = 0; i < 8; ++i) {
      ASSERT_NE(queue->Front(), nullptr);
      queue->Pop();
    }
  }
  constexpr std::size_t kPlaces = 512;
  const std::string longest(kObjectBytesMax, 'o');
  const std::unique_ptr<RecordQueue> memory = RecordQueue::Create(kPlaces);
  AuditRecord long_guess = guess;
  long_guess.object = longest;
  const std::size_t whole = RecordQueue::LongBytesMax(kPlaces) / kObjectBytesMax;
  for (int round = 0; round < 2; ++round) {
    std::size_t guesses = 0;
    while (memory->Push(long_guess, 0)) ++guesses;
    EXPECT_EQ(guesses, whole / 2);
    std::size_t others = 0;
    while (memory->Push({.object = longest}, 0)) ++others;
    EXPECT_EQ(others, whole - whole / 2);
    EXPECT_TRUE(memory->Push({.object = "short"}, 0)) << "which takes no memory";
    for (; memory->Front() != nullptr; memory->Pop()) {
    }
  }
}

TEST(RecordQueueTest, ManyThreadsPushAndEachRecordComesOnce) {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEach = 5000;
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(64);
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&queue, t] {
      for (std::uint64_t i = 0; i < kEach;) {
        if (queue->Push({.object = "x", .handle_id = t}, i)) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<std::uint64_t> next(kThreads, 0);
  for (std::uint64_t taken = 0; taken < kThreads * kEach;) {
    const QueuedRecord* const record = queue->Front();
    if (record == nullptr) {
      std::this_thread::yield();
      continue;
    }
    EXPECT_EQ(record->unix_ns, next[record->handle_id]++);
    queue->Pop();
    ++taken;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(queue->Front(), nullptr);
}

}  // namespace
}  // namespace ktlsim::audit
