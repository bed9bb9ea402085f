// The token of the process, as README.md has it.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Privilege;

security::TokenStateRef TokenOf(uid_t user, const std::vector<gid_t>& groups) {
  const security::Token::Ref token = MakeProcessToken({.user = user, .groups = groups});
  EXPECT_NE(token, nullptr);
  return token->state();
}

TEST(ProcessTokenTest, IsMadeOfUnixIds) {
  const auto state = TokenOf(1000, {100, 27, 100});
  EXPECT_EQ(security::Sid(state->user()), security::Sid(22, {1, 1000}));
  EXPECT_EQ(security::Sid(state->primary_group()), security::Sid(22, {2, 100}));
  EXPECT_EQ(state->type(), security::TokenType::kPrimary);
  for (const security::Sid& sid :
       {security::Sid(22, {2, 100}), security::Sid(22, {2, 27}), security::kWorldSid,
        security::kAuthenticatedUserSid, security::Sid(5, {32, 545}), security::Sid(2, {0}),
        security::Sid(5, {6})}) {
    EXPECT_TRUE(state->IsMember(sid)) << security::SidText(sid).view();
  }
  EXPECT_EQ(state->sids().size(), 8U) << "the user, and a group once";
  EXPECT_FALSE(state->IsMember(security::kAdministratorsSid));
  EXPECT_EQ(state->integrity(), security::kMediumIntegrity);
  EXPECT_EQ(state->default_dacl()->count(), 2U);
  EXPECT_EQ(state->identity().authentication_id, security::kSystemSession);
}

TEST(ProcessTokenTest, HasThePrivilegesOfAService) {
  const security::PrivilegeSet enabled = {Privilege::kAudit, Privilege::kChangeNotify,
                                          Privilege::kImpersonate, Privilege::kCreateGlobal};
  const auto user = TokenOf(1000, {100});
  EXPECT_EQ(user->privileges().enabled, enabled);
  EXPECT_EQ(user->privileges().held.count(), 6);
  EXPECT_TRUE(user->privileges().held.Has(Privilege::kAssignPrimaryToken));
  EXPECT_FALSE(user->privileges().held.Has(Privilege::kTcb));
  const auto root = TokenOf(0, {0});
  EXPECT_EQ(root->privileges().enabled, enabled);
  EXPECT_EQ(root->privileges().held.count(), 12);
  EXPECT_TRUE(root->IsMember(security::kAdministratorsSid));
  EXPECT_EQ(root->integrity(), security::kHighIntegrity);
}

TEST(ProcessTokenTest, TooManyGroupsAreNoToken) {
  std::vector<gid_t> groups(security::kTokenSidsMax + 1);
  std::ranges::generate(groups, [next = gid_t{1}]() mutable { return next++; });
  EXPECT_EQ(MakeProcessToken({.user = 1, .groups = groups}), nullptr);
}

TEST(ProcessTokenTest, DoesNotChangeOnceItIsUsed) {
  const security::Token::Ref& used = ProcessToken();
  ASSERT_NE(used, nullptr);
  EXPECT_FALSE(UseProcessToken(MakeProcessToken({.user = 5, .groups = {}})));
  EXPECT_FALSE(UseProcessToken(MakeClient()));
  EXPECT_FALSE(UseProcessToken(nullptr));
  EXPECT_EQ(ProcessToken(), used);
}

// No thread holds the token's lock while the process forks.
TEST(ProcessTokenTest, AChildAsksForItsState) {
  const security::Token::Ref& token = ProcessToken();
  ASSERT_NE(token, nullptr);
  std::atomic<bool> ended{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!ended) static_cast<void>(token->state());
    });
  }
  int failed = 0;
  for (int i = 0; i < 200 && failed == 0; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      _exit(token->state()->type() == security::TokenType::kPrimary ? 0 : 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) ++failed;
  }
  ended = true;
  EXPECT_EQ(failed, 0);
}

TEST(ProcessTokenTest, LuidsAreGivenOnce) {
  const security::Luid first = NextLuid();
  const security::Luid second = NextLuid();
  EXPECT_NE(first, second);
  EXPECT_GE(first.low, 0x10000U) << "below are those that mean something";
}

}  // namespace
}  // namespace ktlsim::authorization
