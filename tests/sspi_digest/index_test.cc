// The index of contexts by opaque value: who is found, and who has to go.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/packages/digest_index.h"

namespace ktlsim::test {
namespace {

using sspi::DigestIndex;

DigestIndex::Place PlaceOf(ULONG_PTR number, bool established = false) {
  return {.handle = {1, number}, .established = established, .local = false};
}

std::vector<ULONG_PTR> NumbersOf(const DigestIndex::Ended& ended) {
  std::vector<ULONG_PTR> numbers;
  for (std::size_t i = 0; i < ended.count; ++i) numbers.push_back(ended.handles[i].dwUpper);
  return numbers;
}

TEST(DigestIndexTest, ValueIsFoundForItsServerAndRealmOnly) {
  DigestIndex index;
  DigestIndex::Ended ended;
  const digest::Opaque opaque = *digest::Opaque::Draw();
  ASSERT_TRUE(index.Add(opaque, "a", PlaceOf(1), 0, 10, &ended));
  EXPECT_FALSE(index.Add(opaque, "b", PlaceOf(2), 0, 10, &ended));
  EXPECT_EQ(index.Find(opaque, "a", 9, &ended)->handle.dwUpper, 1U);
  EXPECT_FALSE(index.Find(opaque, "b", 9, &ended).has_value());
  EXPECT_FALSE(index.Find(*digest::Opaque::Draw(), "a", 9, &ended).has_value());
  EXPECT_EQ(ended.count, 0U);
}

TEST(DigestIndexTest, WhatIsOverIsToldOnce) {
  DigestIndex index;
  DigestIndex::Ended ended;
  const digest::Opaque opaque = *digest::Opaque::Draw();
  ASSERT_TRUE(index.Add(opaque, "a", PlaceOf(1), 0, 10, &ended));
  EXPECT_FALSE(index.Find(opaque, "a", 10, &ended).has_value());
  EXPECT_EQ(NumbersOf(ended), std::vector<ULONG_PTR>{1});
  EXPECT_FALSE(index.Remove(opaque, PlaceOf(1).handle));
  EXPECT_FALSE(index.Update(opaque, PlaceOf(1), 20));
}

TEST(DigestIndexTest, OldestPartialMakesRoomAndNoEstablishedOneDoes) {
  DigestIndex index(2, 1);
  DigestIndex::Ended ended;
  const digest::Opaque established = *digest::Opaque::Draw();
  ASSERT_TRUE(index.Add(established, "a", PlaceOf(100, true), 0, 1000, &ended));
  for (ULONG_PTR i = 1; i <= 10; ++i) {
    ASSERT_TRUE(index.Add(*digest::Opaque::Draw(), "a", PlaceOf(i), 0, 1000, &ended));
    EXPECT_EQ(NumbersOf(ended), i > 2 ? std::vector<ULONG_PTR>{i - 2} : std::vector<ULONG_PTR>{});
    ended = {};
  }
  EXPECT_EQ(index.partial(), 2U);
  EXPECT_EQ(index.established(), 1U);
  EXPECT_TRUE(index.Find(established, "a", 0, &ended).has_value());
}

TEST(DigestIndexTest, EstablishedOneThatWasUsedLeastRecentlyMakesRoom) {
  DigestIndex index(1, 2);
  DigestIndex::Ended ended;
  const digest::Opaque first = *digest::Opaque::Draw();
  ASSERT_TRUE(index.Add(first, "a", PlaceOf(1), 0, 1000, &ended));
  ASSERT_TRUE(index.Update(first, PlaceOf(1, true), 1000));
  ASSERT_TRUE(index.Add(*digest::Opaque::Draw(), "a", PlaceOf(2, true), 0, 1000, &ended));
  ASSERT_TRUE(index.Update(first, PlaceOf(1, true), 1000));
  ASSERT_TRUE(index.Add(*digest::Opaque::Draw(), "a", PlaceOf(3, true), 0, 1000, &ended));
  EXPECT_EQ(NumbersOf(ended), std::vector<ULONG_PTR>{2});
}

TEST(DigestIndexTest, OnlyItsOwnContextChangesOrRemovesAValue) {
  DigestIndex index;
  DigestIndex::Ended ended;
  const digest::Opaque opaque = *digest::Opaque::Draw();
  ASSERT_TRUE(index.Add(opaque, "a", PlaceOf(1), 0, 10, &ended));
  EXPECT_FALSE(index.Update(opaque, PlaceOf(2, true), 10));
  EXPECT_FALSE(index.Remove(opaque, PlaceOf(2).handle));
  EXPECT_TRUE(index.Remove(opaque, PlaceOf(1).handle));
  EXPECT_EQ(index.partial(), 0U);
}

}  // namespace
}  // namespace ktlsim::test
