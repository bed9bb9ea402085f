#include "kernel_sim/security/token.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::SidOf;

constexpr std::uint32_t kOptional = kGroupEnabled | kGroupEnabledByDefault;

const Sid& Anna() {
  static const Sid sid = SidOf("S-1-5-21-1-2-3-1001");
  return sid;
}
const Sid& Staff() {
  static const Sid sid = SidOf("S-1-5-21-1-2-3-2001");
  return sid;
}
const Sid& Owners() {
  static const Sid sid = SidOf("S-1-5-21-1-2-3-2002");
  return sid;
}
const Sid& Sleepers() {
  static const Sid sid = SidOf("S-1-5-21-1-2-3-2003");
  return sid;
}

bool AcceptPrivilegeChanges(std::span<const PrivilegeChange>) { return true; }
bool AcceptGroupChanges(std::span<const GroupChange>) { return true; }

// Anna, in World (mandatory), Staff, Owners (may own) and Sleepers (disabled).
Token::Ref MakeToken(TokenType type = TokenType::kPrimary,
                     ImpersonationLevel level = ImpersonationLevel::kImpersonation) {
  const TokenGroup groups[] = {
      {kWorldSid}, {Staff(), kOptional}, {Owners(), kOptional | kGroupOwner}, {Sleepers(), 0}};
  TokenContents contents;
  contents.user = Anna();
  contents.groups = groups;
  contents.privileges = {.held = {Privilege::kChangeNotify, Privilege::kSecurity, Privilege::kTcb},
                         .enabled = {Privilege::kChangeNotify},
                         .enabled_by_default = {Privilege::kChangeNotify}};
  contents.primary_group = Staff();
  contents.token_id = {1, 0};
  contents.authentication_id = {100, 0};
  contents.source.name = {'k', 't', 'l', 's', 'i', 'm', ' ', ' '};
  contents.type = type;
  contents.level = level;
  contents.session_id = 7;
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kNone);
  return token;
}

SidMatch MatchOf(const Token::Ref& token, const Sid& sid) {
  return token->state()->Match(sid, sid.view().hash());
}

TEST(TokenTest, HasWhatItWasMadeOf) {
  const TokenStateRef state = MakeToken()->state();
  EXPECT_TRUE(state->user() == Anna().view());
  EXPECT_TRUE(state->owner() == Anna().view()) << "the user, if nothing is said";
  EXPECT_TRUE(state->primary_group() == Staff().view());
  EXPECT_EQ(state->sids().size(), 5U);
  EXPECT_EQ(state->attributes(1), kGroupMandatory | kOptional);
  EXPECT_EQ(state->token_id(), (Luid{1, 0}));
  EXPECT_EQ(state->modified_id(), (Luid{1, 0}));
  EXPECT_EQ(state->identity().authentication_id, (Luid{100, 0}));
  EXPECT_EQ(state->identity().source.name[0], 'k');
  EXPECT_EQ(state->identity().expiration, INT64_MAX);
  EXPECT_EQ(state->type(), TokenType::kPrimary);
  EXPECT_EQ(state->session_id(), 7U);
  EXPECT_EQ(state->integrity(), kMediumIntegrity);
  EXPECT_FALSE(state->restricted() || state->write_restricted() || state->sandbox_inert());
  EXPECT_FALSE(state->default_dacl());
}

TEST(TokenTest, GroupsMatchByTheirAttributes) {
  const Token::Ref token = MakeToken();
  EXPECT_EQ(MatchOf(token, Anna()), SidMatch::kEnabled);
  EXPECT_EQ(MatchOf(token, kWorldSid), SidMatch::kEnabled);
  EXPECT_EQ(MatchOf(token, Sleepers()), SidMatch::kNone) << "disabled";
  EXPECT_EQ(MatchOf(token, kAdministratorsSid), SidMatch::kNone);
}

TEST(TokenTest, ASidIsThereOnce) {
  const TokenGroup groups[] = {
      {kWorldSid, kGroupEnabled}, {kWorldSid, kGroupDenyOnly}, {Anna(), 0}};
  TokenContents contents;
  contents.user = Anna();
  contents.groups = groups;
  const TokenStateRef state = test::StateOf(contents);
  ASSERT_EQ(state->sids().size(), 2U);
  EXPECT_EQ(state->attributes(1), kGroupEnabled);
}

TEST(TokenTest, ManySidsAreFound) {
  std::vector<TokenGroup> groups;
  for (std::uint32_t i = 0; i + 1 < kTokenSidsMax; ++i) groups.push_back({Sid(5, {21, i, i / 7})});
  TokenContents contents;
  contents.user = Anna();
  contents.groups = groups;
  const TokenStateRef state = test::StateOf(contents);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    EXPECT_EQ(state->IndexOf(groups[i].sid), i + 1);
  }
  EXPECT_EQ(state->IndexOf(Sid(5, {21, 5, 5})), std::nullopt);
  groups.push_back({kWorldSid});
  contents.groups = groups;
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kInvalidParameter);
}

TEST(TokenTest, OwnerAndPrimaryGroupAreItsOwn) {
  const TokenGroup groups[] = {{Staff()}, {Owners(), kOptional | kGroupOwner}};
  TokenContents contents;
  contents.user = Anna();
  contents.groups = groups;
  Token::Ref token;
  contents.owner = Staff();
  EXPECT_EQ(Token::Create(contents, &token), Fault::kInvalidOwner);
  contents.owner = Owners();
  contents.primary_group = kWorldSid;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kInvalidPrimaryGroup);
  contents.primary_group = Staff();
  ASSERT_EQ(Token::Create(contents, &token), Fault::kNone);
  EXPECT_TRUE(token->state()->owner() == Owners().view());

  EXPECT_EQ(token->SetOwner(Staff(), {2, 0}), Fault::kInvalidOwner);
  EXPECT_EQ(token->SetPrimaryGroup(kWorldSid, {2, 0}), Fault::kInvalidPrimaryGroup);
  EXPECT_EQ(token->state()->modified_id(), (Luid{0, 0})) << "nothing was changed";
  EXPECT_EQ(token->SetOwner(Anna(), {2, 0}), Fault::kNone);
  EXPECT_EQ(token->SetPrimaryGroup(Owners(), {3, 0}), Fault::kNone);
  EXPECT_EQ(token->SetSessionId(9, {4, 0}), Fault::kNone);
  EXPECT_TRUE(token->state()->owner() == Anna().view());
  EXPECT_TRUE(token->state()->primary_group() == Owners().view());
  EXPECT_EQ(token->state()->session_id(), 9U);
  EXPECT_EQ(token->state()->modified_id(), (Luid{4, 0}));
}

TEST(TokenTest, DefaultDaclIsCopied) {
  const Token::Ref token = MakeToken();
  {
    const Descriptor descriptor = test::DescriptorOf("D:(A;;GA;;;SY)");
    EXPECT_EQ(token->SetDefaultDacl(descriptor.view().dacl, {2, 0}), Fault::kNone);
  }
  ASSERT_TRUE(token->state()->default_dacl());
  EXPECT_EQ(token->state()->default_dacl()->count(), 1U);
  EXPECT_EQ(token->SetDefaultDacl(std::nullopt, {3, 0}), Fault::kNone);
  EXPECT_FALSE(token->state()->default_dacl());
}

TEST(TokenTest, DuplicatesNeverGainALevel) {
  using Level = ImpersonationLevel;
  Token::Ref copy;
  for (const Level from :
       {Level::kAnonymous, Level::kIdentification, Level::kImpersonation, Level::kDelegation}) {
    const Token::Ref token = MakeToken(TokenType::kImpersonation, from);
    for (const Level to :
         {Level::kAnonymous, Level::kIdentification, Level::kImpersonation, Level::kDelegation}) {
      EXPECT_EQ(token->Duplicate(TokenType::kImpersonation, to, {5, 0}, &copy),
                to > from ? Fault::kBadImpersonationLevel : Fault::kNone);
    }
    EXPECT_EQ(token->Duplicate(TokenType::kPrimary, Level::kAnonymous, {5, 0}, &copy),
              from < Level::kImpersonation ? Fault::kBadImpersonationLevel : Fault::kNone);
  }
  ASSERT_EQ(MakeToken()->Duplicate(TokenType::kImpersonation, Level::kDelegation, {5, 0}, &copy),
            Fault::kNone);
  EXPECT_EQ(copy->state()->type(), TokenType::kImpersonation);
  EXPECT_EQ(copy->state()->level(), Level::kDelegation);
  EXPECT_EQ(copy->state()->token_id(), (Luid{5, 0}));
  EXPECT_EQ(copy->state()->identity().authentication_id, (Luid{100, 0}));
}

TEST(TokenTest, ACopyIsAdjustedByItself) {
  const Token::Ref token = MakeToken();
  Token::Ref copy;
  ASSERT_EQ(token->Duplicate(TokenType::kPrimary, ImpersonationLevel::kAnonymous, {5, 0}, &copy),
            Fault::kNone);
  const TokenStateRef before = copy->state();
  const PrivilegeChange enable[] = {{Privilege::kSecurity, kPrivilegeEnabled}};
  EXPECT_EQ(copy->AdjustPrivileges(enable, {6, 0}, AcceptPrivilegeChanges), Fault::kNone);
  EXPECT_TRUE(copy->state()->privileges().enabled.Has(Privilege::kSecurity));
  EXPECT_FALSE(token->state()->privileges().enabled.Has(Privilege::kSecurity));
  EXPECT_FALSE(before->privileges().enabled.Has(Privilege::kSecurity)) << "a state does not change";
}

TEST(TokenTest, PrivilegesAreEnabledDisabledAndRemoved) {
  const Token::Ref token = MakeToken();
  std::vector<PrivilegeChange> seen;
  const AcceptPrivileges accept = [&](std::span<const PrivilegeChange> changes) {
    seen.assign(changes.begin(), changes.end());
    return true;
  };
  const PrivilegeChange changes[] = {
      {Privilege::kSecurity, kPrivilegeEnabled},
      {Privilege::kChangeNotify, kPrivilegeEnabled},             // it is
      {Privilege::kTcb, kPrivilegeEnabled | kPrivilegeRemoved},  // removing beats enabling
      {Privilege::kDebug, kPrivilegeEnabled},                    // the token has none
  };
  EXPECT_EQ(token->AdjustPrivileges(changes, {2, 0}, accept), Fault::kNotAllAssigned);
  ASSERT_EQ(seen.size(), 1U) << "what changed, without what is gone";
  EXPECT_EQ(seen[0].privilege, Privilege::kSecurity);
  EXPECT_EQ(seen[0].attributes, 0U) << "as it was";
  EXPECT_EQ(token->state()->privileges().held,
            (PrivilegeSet{Privilege::kChangeNotify, Privilege::kSecurity}));
  EXPECT_EQ(token->state()->privileges().enabled, token->state()->privileges().held);
  const PrivilegeChange again[] = {{Privilege::kTcb, kPrivilegeEnabled}};
  EXPECT_EQ(token->AdjustPrivileges(again, {3, 0}, accept), Fault::kNotAllAssigned) << "for good";
  EXPECT_FALSE(token->state()->privileges().held.Has(Privilege::kTcb));

  EXPECT_EQ(token->DisableAllPrivileges({4, 0}, accept), Fault::kNone);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].privilege, Privilege::kSecurity);
  EXPECT_EQ(seen[0].attributes, kPrivilegeEnabled);
  EXPECT_EQ(seen[1].attributes, kPrivilegeEnabled | kPrivilegeEnabledByDefault);
  EXPECT_TRUE(token->state()->privileges().enabled.empty());
  // What was handed out restores it.
  const std::vector<PrivilegeChange> previous = seen;
  EXPECT_EQ(token->AdjustPrivileges(previous, {5, 0}, accept), Fault::kNone);
  EXPECT_EQ(token->state()->privileges().enabled.count(), 2);
}

TEST(TokenTest, WhatIsNotAcceptedChangesNothing) {
  const Token::Ref token = MakeToken();
  const TokenStateRef before = token->state();
  const PrivilegeChange change[] = {{Privilege::kSecurity, kPrivilegeEnabled}};
  EXPECT_EQ(token->AdjustPrivileges(change, {2, 0}, [](auto) { return false; }),
            Fault::kInsufficientBuffer);
  EXPECT_EQ(token->DisableAllPrivileges({2, 0}, [](auto) { return false; }),
            Fault::kInsufficientBuffer);
  const Token::GroupWish wish[] = {{Staff(), false}};
  EXPECT_EQ(token->AdjustGroups(wish, {2, 0}, [](auto) { return false; }),
            Fault::kInsufficientBuffer);
  EXPECT_EQ(token->state(), before);
}

TEST(TokenTest, GroupsAreEnabledAndDisabled) {
  const Token::Ref token = MakeToken();
  std::vector<GroupChange> seen;
  const AcceptGroups accept = [&](std::span<const GroupChange> changes) {
    seen.assign(changes.begin(), changes.end());
    return true;
  };
  const Token::GroupWish wishes[] = {{Staff(), false}, {Sleepers(), true}, {Owners(), true}};
  EXPECT_EQ(token->AdjustGroups(wishes, {2, 0}, accept), Fault::kNone);
  EXPECT_EQ(MatchOf(token, Staff()), SidMatch::kNone);
  EXPECT_EQ(MatchOf(token, Sleepers()), SidMatch::kEnabled);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].index, 2U);
  EXPECT_EQ(seen[0].attributes, kOptional);
  EXPECT_EQ(seen[1].attributes, 0U);

  const Token::GroupWish mandatory[] = {{Staff(), true}, {kWorldSid, false}};
  EXPECT_EQ(token->AdjustGroups(mandatory, {3, 0}, accept), Fault::kCantDisableMandatory);
  EXPECT_EQ(MatchOf(token, Staff()), SidMatch::kNone) << "nothing was changed";
  const Token::GroupWish stranger[] = {
      {kAdministratorsSid, true}, {Staff(), true}, {Anna(), false}};
  EXPECT_EQ(token->AdjustGroups(stranger, {3, 0}, accept), Fault::kNotAllAssigned);
  EXPECT_EQ(MatchOf(token, Staff()), SidMatch::kEnabled) << "the rest was done";
  EXPECT_EQ(MatchOf(token, Anna()), SidMatch::kEnabled) << "the user is no group";

  EXPECT_EQ(token->AdjustGroups(wishes, {4, 0}, accept), Fault::kNone);
  EXPECT_EQ(token->ResetGroups({5, 0}, accept), Fault::kNone);
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_EQ(MatchOf(token, Staff()), SidMatch::kEnabled);
  EXPECT_EQ(MatchOf(token, Sleepers()), SidMatch::kNone);
}

TEST(TokenTest, RestrictedTokensCanDoLess) {
  const Token::Ref token = MakeToken(TokenType::kImpersonation);
  const SidView disable[] = {kWorldSid, Anna(), kAdministratorsSid};
  const SidView restricting[] = {Staff(), kAdministratorsSid};
  Token::Ref copy;
  ASSERT_EQ(token->Restrict({.disable = disable,
                             .remove = {Privilege::kTcb, Privilege::kDebug},
                             .restricting = restricting,
                             .sandbox_inert = true},
                            {8, 0}, &copy),
            Fault::kNone);
  EXPECT_EQ(MatchOf(copy, kWorldSid), SidMatch::kDenyOnly) << "mandatory ones, too";
  EXPECT_EQ(MatchOf(copy, Anna()), SidMatch::kDenyOnly) << "the user, too";
  EXPECT_EQ(copy->state()->attributes(1) & kOptional, 0U);
  EXPECT_EQ(copy->state()->privileges().held,
            (PrivilegeSet{Privilege::kChangeNotify, Privilege::kSecurity}));
  EXPECT_TRUE(copy->state()->restricted() && copy->state()->sandbox_inert());
  EXPECT_FALSE(copy->state()->write_restricted());
  EXPECT_EQ(copy->state()->type(), TokenType::kImpersonation) << "the same type";
  EXPECT_TRUE(copy->state()->IsMember(Staff()));
  EXPECT_FALSE(copy->state()->IsMember(Owners())) << "no restricting SID";
  EXPECT_FALSE(copy->state()->IsMember(kAdministratorsSid)) << "not in the token";
  const Token::GroupWish enable[] = {{kWorldSid, true}};
  EXPECT_EQ(copy->AdjustGroups(enable, {9, 0}, AcceptGroupChanges), Fault::kNotAllAssigned);
  EXPECT_EQ(MatchOf(copy, kWorldSid), SidMatch::kDenyOnly);
  EXPECT_FALSE(token->state()->restricted());
  EXPECT_TRUE(token->state()->IsMember(Owners()));
}

TEST(TokenTest, WhatOnlyDeniesOwnsNothing) {
  const Token::Ref token = MakeToken();
  ASSERT_EQ(token->SetOwner(Owners(), {7, 0}), Fault::kNone);
  const SidView disable[] = {Owners()};
  Token::Ref copy;
  ASSERT_EQ(token->Restrict({.disable = disable}, {8, 0}, &copy), Fault::kNone);
  EXPECT_TRUE(copy->state()->owner() == Anna().view()) << "the group only denies";
  EXPECT_TRUE(token->state()->owner() == Owners().view());
  EXPECT_EQ(copy->SetOwner(Owners(), {9, 0}), Fault::kInvalidOwner);
  const SidView user[] = {Anna()};
  ASSERT_EQ(token->Restrict({.disable = user}, {8, 0}, &copy), Fault::kNone);
  EXPECT_TRUE(copy->state()->owner() == Owners().view()) << "it may own still";
  EXPECT_EQ(copy->SetOwner(Anna(), {9, 0}), Fault::kInvalidOwner) << "the user only denies";
}

TEST(TokenTest, ChangeNotifyAloneIsLeft) {
  Token::Ref copy;
  ASSERT_EQ(
      MakeToken()->Restrict({.remove = {Privilege::kChangeNotify}, .keep_change_notify_only = true},
                            {8, 0}, &copy),
      Fault::kNone);
  EXPECT_EQ(copy->state()->privileges().held, PrivilegeSet{Privilege::kChangeNotify});
  EXPECT_FALSE(copy->state()->restricted());
}

TEST(TokenTest, RestrictingListsIntersect) {
  const SidView first[] = {Staff(), Owners()};
  const SidView second[] = {Owners(), Sleepers()};
  const SidView third[] = {Sleepers()};
  Token::Ref one;
  Token::Ref two;
  Token::Ref three;
  Token::Ref same;
  ASSERT_EQ(MakeToken()->Restrict({.restricting = first}, {2, 0}, &one), Fault::kNone);
  ASSERT_EQ(one->Restrict({.restricting = second}, {3, 0}, &two), Fault::kNone);
  ASSERT_EQ(two->state()->identity().restricting->all().size(), 1U);
  EXPECT_EQ(two->state()->identity().restricting->all()[0], Owners());
  ASSERT_EQ(two->Restrict({.restricting = third}, {4, 0}, &three), Fault::kNone);
  EXPECT_TRUE(three->state()->restricted()) << "nothing passes, rather than everything";
  EXPECT_EQ(three->state()->identity().restricting->all().size(), 0U);
  ASSERT_EQ(two->Restrict({}, {4, 0}, &same), Fault::kNone);
  EXPECT_EQ(same->state()->identity().restricting->all().size(), 1U);
}

TEST(TokenTest, WriteRestrictionNeverLiftsARestriction) {
  const SidView sids[] = {Staff()};
  const Restriction full{.restricting = sids};
  const Restriction write{.restricting = sids, .write_restricted = true};
  Token::Ref one;
  Token::Ref two;
  const auto twice = [&](const Restriction& first, const Restriction& second) {
    EXPECT_EQ(MakeToken()->Restrict(first, {2, 0}, &one), Fault::kNone);
    EXPECT_EQ(one->Restrict(second, {3, 0}, &two), Fault::kNone);
    return two->state()->write_restricted();
  };
  EXPECT_TRUE(twice(write, write));
  EXPECT_FALSE(twice(full, write));
  EXPECT_FALSE(twice(write, full));
  EXPECT_TRUE(twice(write, {})) << "as it was";
  EXPECT_FALSE(twice({.write_restricted = true}, {}))
      << "without restricting SIDs it means nothing";
}

TEST(TokenTest, PrivilegeCheck) {
  const TokenStateRef state = MakeToken()->state();
  bool held = false;
  PrivilegeSet used;
  const PrivilegeSet both = {Privilege::kChangeNotify, Privilege::kSecurity};
  EXPECT_EQ(CheckPrivileges(*state, both, true, &held, &used), Fault::kNone);
  EXPECT_FALSE(held) << "one of them is not enabled";
  EXPECT_EQ(used, PrivilegeSet{Privilege::kChangeNotify});
  EXPECT_EQ(CheckPrivileges(*state, both, false, &held, &used), Fault::kNone);
  EXPECT_TRUE(held);
  EXPECT_EQ(CheckPrivileges(*state, {}, true, &held, &used), Fault::kNone);
  EXPECT_TRUE(held);
  EXPECT_EQ(CheckPrivileges(*state, {Privilege::kTcb}, false, &held, &used), Fault::kNone);
  EXPECT_FALSE(held);
  const auto at = [&](ImpersonationLevel level) {
    return CheckPrivileges(*MakeToken(TokenType::kImpersonation, level)->state(), both, true, &held,
                           &used);
  };
  EXPECT_EQ(at(ImpersonationLevel::kAnonymous), Fault::kBadImpersonationLevel);
  EXPECT_EQ(at(ImpersonationLevel::kIdentification), Fault::kNone);
}

// Who may act as whom, and who may only look.
TEST(TokenTest, PermittedLevels) {
  using Level = ImpersonationLevel;
  TokenContents server;
  server.user = SidOf("S-1-5-21-1-2-3-9");
  server.authentication_id = {50, 0};
  TokenContents client;
  client.user = Anna();
  client.type = TokenType::kImpersonation;
  const auto level = [&] { return PermittedLevel(*test::StateOf(client), *test::StateOf(server)); };
  EXPECT_EQ(level(), Level::kIdentification) << "nothing permits more";
  client.level = Level::kAnonymous;
  EXPECT_EQ(level(), Level::kAnonymous) << "lower than that is always permitted";
  client.level = Level::kDelegation;
  server.privileges.held = {Privilege::kImpersonate};
  EXPECT_EQ(level(), Level::kIdentification) << "held, but not enabled";
  server.privileges.enabled = {Privilege::kImpersonate};
  EXPECT_EQ(level(), Level::kDelegation);
  server.privileges = {};
  client.origin = {50, 0};
  EXPECT_EQ(level(), Level::kDelegation) << "explicit credentials in the caller's session";
  client.origin = {51, 0};
  EXPECT_EQ(level(), Level::kIdentification);
  client.origin = {};
  server.authentication_id = {};
  EXPECT_EQ(level(), Level::kIdentification) << "0 is no session";
  server.user = Anna();
  EXPECT_EQ(level(), Level::kDelegation) << "the same identity";
  client.type = TokenType::kPrimary;
  EXPECT_EQ(level(), Level::kImpersonation);

  const SidView sids[] = {Staff()};
  Token::Ref caller;
  ASSERT_EQ(MakeToken()->Restrict({.restricting = sids}, {2, 0}, &caller), Fault::kNone);
  EXPECT_EQ(PermittedLevel(*MakeToken()->state(), *caller->state()), Level::kIdentification)
      << "no way out of a restriction";
  EXPECT_EQ(PermittedLevel(*caller->state(), *caller->state()), Level::kImpersonation);
}

// Changes from several threads are all made, one after the other.
TEST(TokenTest, ChangesFromSeveralThreads) {
  const Token::Ref token = MakeToken();
  constexpr int kRounds = 2000;
  std::atomic<int> changed{0};
  std::vector<std::thread> threads;
  for (const Privilege mine : {Privilege::kSecurity, Privilege::kTcb}) {
    threads.emplace_back([&token, &changed, mine] {
      for (int i = 0; i < kRounds; ++i) {
        const PrivilegeChange change[] = {{mine, i % 2 == 0 ? kPrivilegeEnabled : 0}};
        std::size_t changes = 0;
        const Fault fault = token->AdjustPrivileges(change, {}, [&](auto seen) {
          changes = seen.size();
          return true;
        });
        if (fault == Fault::kNone && changes == 1) ++changed;
      }
    });
  }
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done.load()) EXPECT_EQ(token->state()->privileges().held.count(), 3);
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  reader.join();
  EXPECT_EQ(changed, 2 * kRounds);
  EXPECT_EQ(token->state()->privileges().enabled, PrivilegeSet{Privilege::kChangeNotify});
}

}  // namespace
}  // namespace ktlsim::security
