#include "kernel_sim/executive/object_table.h"

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::executive {
namespace {

class Counted : public Object {
 public:
  Counted(std::atomic<int>& destroyed, int value) : value_(value), destroyed_(destroyed) {}
  ~Counted() override { destroyed_.fetch_add(1); }
  int value() const { return value_; }

 private:
  int value_;
  std::atomic<int>& destroyed_;
};

class ObjectTableTest : public testing::Test {
 protected:
  ObjectTable::Handle Insert(ObjectTable& table, int value = 0) {
    std::unique_ptr<Object> object = std::make_unique<Counted>(destroyed_, value);
    return table.Insert(object);
  }
  // True: this caller closed the handle, and gave up its reference.
  static bool CloseAndRelease(ObjectTable& table, ObjectTable::Handle handle) {
    Object* object = nullptr;
    if (!table.Close(handle, &object)) return false;
    object->Release();
    return true;
  }

  std::atomic<int> destroyed_{0};
};

TEST_F(ObjectTableTest, LookupAnswersTheObjectAndCounts) {
  ObjectTable table;
  const ObjectTable::Handle handle = Insert(table, 17);
  EXPECT_NE(handle, 0U);
  EXPECT_EQ(table.live(), 1U);
  Reference<Counted> reference(static_cast<Counted*>(table.Lookup(handle)));
  ASSERT_TRUE(reference);
  EXPECT_EQ(reference->value(), 17);
  EXPECT_TRUE(CloseAndRelease(table, handle));
  EXPECT_EQ(destroyed_.load(), 0) << "a reference is left";
  EXPECT_EQ(reference->value(), 17);
  Reference<Counted> copy = reference;
  reference.Reset();
  EXPECT_EQ(destroyed_.load(), 0);
  Reference<Counted> moved = std::move(copy);
  moved.Reset();
  EXPECT_EQ(destroyed_.load(), 1);
  EXPECT_EQ(table.live(), 0U);
}

TEST_F(ObjectTableTest, ClosedHandleIsDeadWhileTheObjectLives) {
  ObjectTable table;
  const ObjectTable::Handle handle = Insert(table);
  Reference<Object> reference(table.Lookup(handle));
  EXPECT_TRUE(CloseAndRelease(table, handle));
  EXPECT_EQ(table.Lookup(handle), nullptr);
  Object* object = nullptr;
  EXPECT_FALSE(table.Close(handle, &object));
  EXPECT_EQ(object, nullptr);
}

TEST_F(ObjectTableTest, MadeUpHandlesAreRefused) {
  ObjectTable table;
  const ObjectTable::Handle handle = Insert(table);
  const ObjectTable::Handle made_up[] = {0,     handle + 1, handle + (1ULL << 32), 1ULL << 32,
                                         ~0ULL, 1ULL << 31, handle | (1ULL << 63)};
  for (const ObjectTable::Handle other : made_up) {
    SCOPED_TRACE(other);
    Object* object = nullptr;
    EXPECT_EQ(table.Lookup(other), nullptr);
    EXPECT_FALSE(table.Close(other, &object));
  }
  EXPECT_TRUE(CloseAndRelease(table, handle));
}

TEST_F(ObjectTableTest, ReusedSlotHasAnotherHandle) {
  ObjectTable table(1);
  std::set<ObjectTable::Handle> seen;
  for (int i = 0; i < 1000; ++i) {
    const ObjectTable::Handle handle = Insert(table, i);
    EXPECT_TRUE(seen.insert(handle).second) << "handed out twice";
    EXPECT_NE(handle >> 32, 0xffffffffU);
    EXPECT_NE(handle & 0xffffffffU, 0xffffffffU);
    EXPECT_TRUE(CloseAndRelease(table, handle));
    EXPECT_EQ(table.Lookup(handle), nullptr);
  }
  EXPECT_EQ(destroyed_.load(), 1000);
}

TEST_F(ObjectTableTest, FullTableRefusesAndLeavesTheObject) {
  ObjectTable table(3);
  std::vector<ObjectTable::Handle> handles;
  for (int i = 0; i < 3; ++i) handles.push_back(Insert(table, i));
  std::unique_ptr<Object> object = std::make_unique<Counted>(destroyed_, 3);
  EXPECT_EQ(table.Insert(object), 0U);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(static_cast<Counted*>(object.get())->value(), 3);
  EXPECT_EQ(table.live(), 3U);
  EXPECT_TRUE(CloseAndRelease(table, handles[1]));
  handles[1] = table.Insert(object);
  EXPECT_NE(handles[1], 0U);
  EXPECT_EQ(object, nullptr);
  for (const ObjectTable::Handle handle : handles) EXPECT_TRUE(CloseAndRelease(table, handle));
  EXPECT_EQ(destroyed_.load(), 4);
}

// A closed handle whose object is still referenced keeps its place.
TEST_F(ObjectTableTest, PlaceIsFreeOnlyWhenTheObjectIsGone) {
  ObjectTable table(1);
  const ObjectTable::Handle handle = Insert(table);
  Reference<Object> reference(table.Lookup(handle));
  EXPECT_TRUE(CloseAndRelease(table, handle));
  std::unique_ptr<Object> object = std::make_unique<Counted>(destroyed_, 1);
  EXPECT_EQ(table.Insert(object), 0U);
  reference.Reset();
  const ObjectTable::Handle second = table.Insert(object);
  EXPECT_NE(second, 0U);
  EXPECT_TRUE(CloseAndRelease(table, second));
}

TEST_F(ObjectTableTest, OneOfManyClosesWinsAgainstLookups) {
  ObjectTable table;
  constexpr int kRounds = 300;
  for (int round = 0; round < kRounds; ++round) {
    const ObjectTable::Handle handle = Insert(table, round);
    std::atomic<int> closed{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          Reference<Counted> reference(static_cast<Counted*>(table.Lookup(handle)));
          if (reference) {
            EXPECT_EQ(reference->value(), round);
          }
        }
        if (t % 2 == 0 && CloseAndRelease(table, handle)) closed.fetch_add(1);
      });
    }
    threads.clear();
    EXPECT_EQ(closed.load(), 1);
    EXPECT_EQ(destroyed_.load(), round + 1);
  }
  EXPECT_EQ(table.live(), 0U);
}

TEST_F(ObjectTableTest, AClaimKeepsTheObject) {
  ObjectTable table(4);
  const ObjectTable::Handle handle = Insert(table, 7);
  std::jthread closer;
  {
    const Claimed<Counted, Claim::kFirst> first(
        static_cast<Counted*>(table.Lookup(handle, Claim::kFirst)));
    ASSERT_TRUE(first);
    // The other claim is independent.
    const Claimed<Counted, Claim::kSecond> second(
        static_cast<Counted*>(table.Lookup(handle, Claim::kSecond)));
    ASSERT_TRUE(second);
    Object* closed = nullptr;
    ASSERT_TRUE(table.Close(handle, &closed));
    closer = std::jthread([closed] { closed->Release(); });
    EXPECT_EQ(first->value(), 7);
    EXPECT_EQ(table.Lookup(handle), nullptr);
    EXPECT_EQ(destroyed_.load(), 0);
  }
  closer.join();
  EXPECT_EQ(destroyed_.load(), 1);
  EXPECT_EQ(table.live(), 0U);
  EXPECT_EQ(table.Lookup(handle, Claim::kFirst), nullptr);
}

// Goal: a claim has one holder at a time, until the last user destroys the object. Method: plain
// numbers, one for each claim, counted up by handle and by reference while another thread closes.
TEST_F(ObjectTableTest, ClaimsExcludeEachOther) {
  constexpr int kRounds = 200;
  constexpr int kThreads = 4;
  ObjectTable table(4);
  for (int round = 0; round < kRounds; ++round) {
    const ObjectTable::Handle handle = Insert(table, round);
    int numbers[2] = {};
    std::atomic<int> counted[2] = {};
    const auto count = [&](int which) {
      const int before = numbers[which];
      numbers[which] = before + 1;
      counted[which].fetch_add(1);
    };
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          if (const Claimed<Counted, Claim::kFirst> claimed(
                  static_cast<Counted*>(table.Lookup(handle, Claim::kFirst)));
              claimed) {
            count(0);
          }
          const Reference<Counted> reference(static_cast<Counted*>(table.Lookup(handle)));
          if (!reference) return;
          reference->Take(Claim::kFirst);
          reference->Take(Claim::kSecond);
          count(0);
          count(1);
          reference->Return(Claim::kSecond);
          reference->Return(Claim::kFirst);
        }
        if (t == 0) CloseAndRelease(table, handle);
      });
    }
    threads.clear();
    EXPECT_EQ(numbers[0], counted[0].load());
    EXPECT_EQ(numbers[1], counted[1].load());
    EXPECT_GE(numbers[1], 50);
    EXPECT_EQ(destroyed_.load(), round + 1);
  }
  EXPECT_EQ(table.live(), 0U);
}

TEST_F(ObjectTableTest, EveryBitOfAHandleCounts) {
  ObjectTable table;
  const ObjectTable::Handle handle = Insert(table);
  for (unsigned bit = 0; bit < 64; ++bit) {
    SCOPED_TRACE(bit);
    const ObjectTable::Handle other = handle ^ (ObjectTable::Handle{1} << bit);
    EXPECT_EQ(table.Lookup(other), nullptr);
    EXPECT_EQ(table.Lookup(other, Claim::kFirst), nullptr);
    Object* object = nullptr;
    EXPECT_FALSE(table.Close(other, &object));
  }
  {
    const Claimed<Object, Claim::kFirst> claimed(table.Lookup(handle, Claim::kFirst));
    EXPECT_TRUE(claimed);
  }
  EXPECT_TRUE(CloseAndRelease(table, handle));
}

TEST_F(ObjectTableTest, PlacesAreUsedAgainFirstInFirstOut) {
  ObjectTable table;
  std::vector<ObjectTable::Handle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(Insert(table));
  for (const std::size_t i : {3U, 0U, 4U}) EXPECT_TRUE(CloseAndRelease(table, handles[i]));
  for (const std::size_t i : {3U, 0U, 4U}) {
    const ObjectTable::Handle next = Insert(table);
    EXPECT_EQ(next & 0xffffffff, handles[i] & 0xffffffff);
    EXPECT_NE(next, handles[i]);
    handles[i] = next;
  }
  for (const ObjectTable::Handle handle : handles) EXPECT_TRUE(CloseAndRelease(table, handle));
}

// A slot whose generations are used up is abandoned; its numbers do not start again.
TEST_F(ObjectTableTest, NoHandleIsGivenOutTwice) {
  constexpr std::uint32_t kCapacity = 3;
  constexpr std::uint64_t kGenerations = 5;
  ObjectTable table(kCapacity, kGenerations);
  std::set<ObjectTable::Handle> dead;
  while (const ObjectTable::Handle handle = Insert(table)) {
    EXPECT_TRUE(dead.insert(handle).second);
    EXPECT_TRUE(CloseAndRelease(table, handle));
    for (const ObjectTable::Handle other : dead) EXPECT_EQ(table.Lookup(other), nullptr);
    ASSERT_LE(dead.size(), kCapacity * kGenerations);
  }
  EXPECT_EQ(dead.size(), kCapacity * kGenerations);
  EXPECT_EQ(table.live(), 0U);
}

// Goal: slots are reused all the time while other threads look up handles that may be stale.
TEST_F(ObjectTableTest, StaleHandlesNeverAnswerAnotherObject) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  ObjectTable table(2 * kThreads);
  std::atomic<ObjectTable::Handle> newest[kThreads] = {};
  std::atomic<int> inserted{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          const ObjectTable::Handle handle = Insert(table, t);
          if (handle != 0) {
            inserted.fetch_add(1);
            newest[t].store(handle);
          }
          const int other = (t + 1 + i) % kThreads;
          Reference<Counted> reference(static_cast<Counted*>(table.Lookup(newest[other].load())));
          if (reference) {
            EXPECT_EQ(reference->value(), other);
          }
          reference.Reset();
          if (handle != 0) {
            EXPECT_TRUE(CloseAndRelease(table, handle));
          }
        }
      });
    }
  }
  EXPECT_EQ(table.live(), 0U);
  // What Insert refused was destroyed by its owner here.
  EXPECT_EQ(destroyed_.load(), kThreads * kRounds);
  EXPECT_GT(inserted.load(), 0);
}

}  // namespace
}  // namespace ktlsim::executive
