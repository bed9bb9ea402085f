// A mapping wakes the one who waits for it, once, whichever comes first.
#include "kernel_sim/security/identity_mapper.h"

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

class PendingMapping final : public IdentityMapping {
 public:
  PendingMapping() : IdentityMapping(1000) {}
  using IdentityMapping::Finish;
  int given_up = 0;

 private:
  void OnGivenUp() override { ++given_up; }
};

Token::Ref MakeClientToken() {
  TokenContents contents;
  contents.user = test::SidOf("S-1-5-21-1-2-3-1001");
  contents.type = TokenType::kImpersonation;
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kNone);
  return token;
}

TEST(IdentityMappingTest, TheEndWakesTheLastOneToWait) {
  PendingMapping mapping;
  EXPECT_EQ(mapping.limit_ms(), 1000U);
  EXPECT_FALSE(mapping.done());
  int first = 0;
  int second = 0;
  ASSERT_TRUE(mapping.WakeBy([&] { ++first; }));
  ASSERT_TRUE(mapping.WakeBy([&] {
    ++second;
    EXPECT_TRUE(mapping.done());
  }));
  const Token::Ref token = MakeClientToken();
  mapping.Finish(MappingOutcome::kToken, token);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  EXPECT_EQ(mapping.outcome(), MappingOutcome::kToken);
  EXPECT_EQ(mapping.token(), token);
}

TEST(IdentityMappingTest, EndsOnce) {
  PendingMapping mapping;
  int woken = 0;
  ASSERT_TRUE(mapping.WakeBy([&] { ++woken; }));
  mapping.Finish(MappingOutcome::kDisabled);
  mapping.Finish(MappingOutcome::kToken, MakeClientToken());
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(mapping.outcome(), MappingOutcome::kDisabled);
  EXPECT_EQ(mapping.token(), nullptr);
}

TEST(IdentityMappingTest, NobodyWaitsForWhatIsDone) {
  FinishedMapping mapping(MappingOutcome::kTwoMatches);
  EXPECT_TRUE(mapping.done());
  EXPECT_FALSE(mapping.WakeBy([] { ADD_FAILURE(); }));
  EXPECT_EQ(mapping.outcome(), MappingOutcome::kTwoMatches);
  EXPECT_EQ(mapping.token(), nullptr);
  mapping.GiveUp();
}

TEST(IdentityMappingTest, WhatIsGivenUpWakesNobodyAndMayStillEnd) {
  PendingMapping mapping;
  ASSERT_TRUE(mapping.WakeBy([] { ADD_FAILURE(); }));
  mapping.GiveUp();
  mapping.GiveUp();
  EXPECT_EQ(mapping.given_up, 1);
  mapping.Finish(MappingOutcome::kNoMatch);
  EXPECT_TRUE(mapping.done());
}

}  // namespace
}  // namespace ktlsim::security
