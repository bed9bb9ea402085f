#include "kernel_sim/serve/digest_contexts.h"

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

constexpr std::uint64_t kSecond = kNsPerSecond;

// Dead handles: what is deleted at the end is deleted in vain, and that is no fault.
CtxtHandle Handle(std::uint64_t number) {
  return {.dwLower = number, .dwUpper = 0xdead000000000000ULL + number};
}

TEST(DigestContextsTest, AHandleIsRememberedOnce) {
  DigestContexts contexts;
  contexts.NoteChallenge(Handle(1), 0);
  contexts.NoteChallenge(Handle(1), 1);
  contexts.NoteUse(Handle(1), 2);
  contexts.NoteUse(Handle(1), 3);
  EXPECT_EQ(contexts.size(), 1u);
  contexts.NoteUse(Handle(2), 4);
  EXPECT_EQ(contexts.size(), 2u);
  contexts.DeleteAll();
  EXPECT_EQ(contexts.size(), 0u);
}

TEST(DigestContextsTest, ChallengesAreBoundedAndPushNoEstablishedContextOut) {
  DigestContexts contexts({.challenges_max = 10});
  contexts.NoteUse(Handle(1), 0);
  for (std::uint64_t i = 2; i < 1000; ++i) contexts.NoteChallenge(Handle(i), i);
  EXPECT_EQ(contexts.size(), 11u);
  contexts.NoteUse(Handle(1), 1000);  // known: no other comes
  EXPECT_EQ(contexts.size(), 11u);
}

TEST(DigestContextsTest, WhatHasHadItsTimeIsDropped) {
  DigestContexts contexts({.challenge_ns = 10 * kSecond, .idle_ns = 100 * kSecond});
  for (std::uint64_t i = 0; i < 10; ++i) contexts.NoteChallenge(Handle(i), 0);
  for (std::uint64_t i = 0; i < 5; ++i) contexts.NoteUse(Handle(i), kSecond);
  EXPECT_EQ(contexts.size(), 10u);
  // One is used all the time, and no challenge is left.
  for (std::uint64_t s = 12; s < 60; ++s) contexts.NoteUse(Handle(0), s * kSecond);
  EXPECT_EQ(contexts.size(), 5u);
  for (std::uint64_t s = 60; s < 200; ++s) contexts.NoteUse(Handle(0), s * kSecond);
  EXPECT_EQ(contexts.size(), 1u);
}

TEST(DigestContextsTest, AnEstablishedContextThatIsChallengedStaysOne) {
  DigestContexts contexts({.challenge_ns = 10 * kSecond, .idle_ns = 100 * kSecond});
  contexts.NoteUse(Handle(1), 0);
  contexts.NoteChallenge(Handle(1), kSecond);
  contexts.NoteChallenge(Handle(2), 50 * kSecond);
  EXPECT_EQ(contexts.size(), 2u);
}

}  // namespace
}  // namespace ktlsim::serve
