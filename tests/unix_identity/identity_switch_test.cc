#include "kernel_sim/unix_identity/identity_switch.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/unix_identity/real_impersonation.h"
#include "tests/unix_identity/scripted_calls.h"

namespace ktlsim::unix_identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const UnixIdentity kAlice{.uid = 1001, .gid = 1002, .groups = {7, 8}};

class IdentitySwitchTest : public testing::Test {
 protected:
  IdentitySwitchTest() {
    EXPECT_EQ(switch_.Prepare(), "");
    before_ = calls_.now;
    calls_.log.clear();
  }

  ScriptedCalls calls_;
  IdentitySwitch switch_{calls_};
  ThreadCredentials before_;
};

TEST_F(IdentitySwitchTest, TakesGroupsGroupUserAndThenNoCapability) {
  EXPECT_EQ(switch_.Take(kAlice), 0);
  EXPECT_THAT(calls_.log, ElementsAre("read", "groups 7 8", "group 1002", "user 1001",
                                      "capabilities 0", "read"));
  EXPECT_EQ(calls_.now.user, (UserIds{.real = 33, .effective = 1001, .saved = 33, .file = 1001}));
  EXPECT_EQ(calls_.now.group, (GroupIds{.real = 34, .effective = 1002, .saved = 34, .file = 1002}));
  EXPECT_EQ(calls_.now.capabilities.effective, 0U);
  EXPECT_EQ(calls_.now.capabilities.permitted, before_.capabilities.permitted);
  EXPECT_EQ(switch_.figures().taken, 1U);
}

TEST_F(IdentitySwitchTest, ReturnsInReverse) {
  ASSERT_EQ(switch_.Take(kAlice), 0);
  calls_.log.clear();
  switch_.Return();
  EXPECT_THAT(calls_.log, ElementsAre("capabilities 194", "user 33", "group 34", "groups 5 6",
                                      "capabilities 194", "read"));
  EXPECT_TRUE(calls_.now == before_);
}

TEST_F(IdentitySwitchTest, EachFailureLeavesTheThreadAsTheProcess) {
  for (std::size_t i = 0; i < 6; ++i) {
    for (const int error_number : {EPERM, ENOMEM, EAGAIN, EINVAL}) {
      calls_.log.clear();
      calls_.fail_at = i;
      calls_.error_number = error_number;
      // The last one is the look at the result, which nobody knows then.
      EXPECT_EQ(switch_.Take(kAlice), i == 5 ? EPERM : error_number) << i;
      EXPECT_TRUE(calls_.now == before_) << i;
    }
  }
  EXPECT_EQ(switch_.figures().refused, 24U);
  EXPECT_EQ(switch_.figures().taken, 0U);
}

TEST_F(IdentitySwitchTest, WhatIsNotAsAskedForIsNotTaken) {
  calls_.wrong_file_user = 1003;  // for once
  EXPECT_EQ(switch_.Take(kAlice), EPERM);
  EXPECT_TRUE(calls_.now == before_);
}

TEST_F(IdentitySwitchTest, TheKernelMayKeepGroupsInAnotherOrder) {
  calls_.reverses_groups = true;
  EXPECT_EQ(switch_.Take(kAlice), 0);
  switch_.Return();
  EXPECT_EQ(calls_.now.groups_memory[0], 6U);
  EXPECT_EQ(switch_.Take(kAlice), 0);  // 6 5 are the process's 5 6
}

using IdentitySwitchDeathTest = IdentitySwitchTest;

TEST_F(IdentitySwitchDeathTest, AFailedReturnEndsTheProcess) {
  ASSERT_EQ(switch_.Take(kAlice), 0);
  const std::vector<std::string> calls = {"capset",    "setresuid", "setresgid",
                                          "setgroups", "capset",    "getresuid"};
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls_.fail_at = calls_.log.size() + i;
    EXPECT_DEATH(switch_.Return(), calls[i] + ": .*the process ends");
  }
}

// The user is refused, and so is the way back.
TEST_F(IdentitySwitchDeathTest, AFailedReturnAfterAFailedTakeEndsTheProcess) {
  EXPECT_DEATH(
      {
        calls_.fail_at = 3;
        calls_.fail_next = true;
        static_cast<void>(switch_.Take(kAlice));
      },
      "capset: .*the process ends");
}

TEST_F(IdentitySwitchTest, TheSuperuserIsNotTakenOn) {
  const std::vector<UnixIdentity> refused = {
      {.uid = 0, .gid = 1, .groups = {}},
      {.uid = 1, .gid = 0, .groups = {}},
      {.uid = 1, .gid = 1, .groups = {0, 5}},
      {.uid = 1, .gid = 1, .groups = std::vector<gid_t>(1025, 4)}};
  for (const UnixIdentity& identity : refused) {
    EXPECT_EQ(switch_.Take(identity), EPERM);
    EXPECT_TRUE(calls_.log.empty());
  }
}

TEST_F(IdentitySwitchTest, AThreadThatIsNotAsTheProcessIsNotTouched) {
  calls_.now.user.effective = 1003;
  const ThreadCredentials as_found = calls_.now;
  EXPECT_EQ(switch_.Take(kAlice), EPERM);
  EXPECT_THAT(calls_.log, ElementsAre("read"));
  EXPECT_TRUE(calls_.now == as_found);
}

TEST_F(IdentitySwitchTest, ItIsPreparedForOneProcess) {
  EXPECT_EQ(switch_.Prepare(), "");
  calls_.now.groups_count = 1;
  EXPECT_THAT(switch_.Prepare(), HasSubstr("not those of the first start"));
}

TEST(IdentitySwitchPrepareTest, TellsWhatIsMissing) {
  ScriptedCalls calls;
  calls.now.user.saved = 1;
  EXPECT_THAT(IdentitySwitch(calls).Prepare(), HasSubstr("the saved user or group id"));

  ScriptedCalls weak;
  weak.now.capabilities.effective = kSetUid;
  EXPECT_THAT(IdentitySwitch(weak).Prepare(), HasSubstr("a trial to act as uid 65534 failed"));

  ScriptedCalls filtered;
  filtered.fail_at = 1;
  filtered.error_number = EPERM;
  EXPECT_THAT(IdentitySwitch(filtered).Prepare(), HasSubstr("SystemCallFilter="));
  EXPECT_THAT(filtered.log, ElementsAre("read", "capabilities 194"));

  ScriptedCalls unrestorable;
  unrestorable.now.capabilities.inheritable = 1;  // and not permitted
  EXPECT_THAT(IdentitySwitch(unrestorable).Prepare(), HasSubstr("what is inheritable has to be"));

  ScriptedCalls many;
  many.fail_at = 0;
  many.error_number = EINVAL;
  EXPECT_THAT(IdentitySwitch(many).Prepare(), HasSubstr("more than 1024 supplementary groups"));
}

// uid 0 gets and loses capabilities by itself, also those that were not in effect before.
TEST(IdentitySwitchPrepareTest, TheSuperuserReturnsToWhatWasInEffect) {
  ScriptedCalls calls;
  calls.now.user = {};
  calls.now.group = {};
  calls.now.capabilities.effective = kSetGid | kSetUid;
  IdentitySwitch root(calls);
  ASSERT_EQ(root.Prepare(), "");
  const ThreadCredentials before = calls.now;
  ASSERT_EQ(root.Take(kAlice), 0);
  EXPECT_EQ(calls.now.capabilities.effective, 0U);
  root.Return();
  EXPECT_TRUE(calls.now == before);
}

TEST(IdentitySwitchPrepareTest, ProgramsInheritNoCapabilityMeanwhile) {
  ScriptedCalls calls;
  calls.now.capabilities.inheritable = kSetGid | kSetUid;
  calls.now.capabilities.ambient = kSetUid;
  IdentitySwitch service(calls);
  ASSERT_EQ(service.Prepare(), "");
  const ThreadCredentials before = calls.now;
  EXPECT_EQ(before.capabilities.ambient, kSetUid);
  ASSERT_EQ(service.Take(kAlice), 0);
  EXPECT_EQ(calls.now.capabilities.inheritable, 0U);
  EXPECT_EQ(calls.now.capabilities.ambient, 0U);
  service.Return();
  EXPECT_TRUE(calls.now == before);
}

// A file with capabilities lends them to everybody who may run it.
TEST(JudgeStartTest, RefusesRightsThatTheCallerLacks) {
  EXPECT_EQ(JudgeStart({.cleansed = false, .may_set_user = true, .may_set_group = true}), "");
  EXPECT_THAT(JudgeStart({.cleansed = true, .may_set_user = true, .may_set_group = true}),
              HasSubstr("setcap"));
  const std::string missing = JudgeStart({});
  EXPECT_THAT(missing, HasSubstr("CAP_SETUID and CAP_SETGID are missing: run as root"));
  EXPECT_THAT(missing, testing::Not(HasSubstr("setcap")));
}

// ---- What the slot of a thread does with a switch

class SlotTest : public IdentitySwitchTest {
 protected:
  SlotTest() { ThreadIdentity::UseSwitch(&switch_); }
  ~SlotTest() override {
    ThreadIdentity::Exchange(nullptr);
    ThreadIdentity::UseSwitch(nullptr);
  }
  uid_t file_user() const { return calls_.now.user.file; }

  const IdentityRef alice_ = std::make_shared<ClientIdentity>(kAlice);
  const IdentityRef bob_ =
      std::make_shared<ClientIdentity>(UnixIdentity{.uid = 1003, .gid = 1004, .groups = {}});
};

TEST_F(SlotTest, TheThreadIsWhomItActsAs) {
  EXPECT_EQ(ThreadIdentity::Assume(alice_), 0);
  EXPECT_EQ(file_user(), 1001U);
  {
    const ThreadIdentity::Scope as_process;
    EXPECT_TRUE(calls_.now == before_);
    EXPECT_EQ(ThreadIdentity::Assume(bob_), 0);
    EXPECT_EQ(file_user(), 1003U);
  }
  EXPECT_EQ(file_user(), 1001U);
  EXPECT_EQ(ThreadIdentity::Assume(bob_), 0);
  EXPECT_EQ(file_user(), 1003U);
  ThreadIdentity::Exchange(nullptr);
  EXPECT_TRUE(calls_.now == before_);
}

TEST_F(SlotTest, TheSameUnixUserIsTakenOnOnce) {
  const IdentityRef again = std::make_shared<ClientIdentity>(kAlice);
  EXPECT_EQ(ThreadIdentity::Assume(alice_), 0);
  const std::size_t calls = calls_.log.size();
  EXPECT_EQ(ThreadIdentity::Assume(again), 0);
  EXPECT_EQ(ThreadIdentity::Present(), again.get());
  EXPECT_EQ(calls_.log.size(), calls);
}

TEST_F(SlotTest, AfterAFailureTheProcessActsAlsoInsteadOfAnEarlierClient) {
  EXPECT_EQ(ThreadIdentity::Assume(alice_), 0);
  calls_.log.clear();
  calls_.fail_at = 6 + 3;  // the return has six calls
  EXPECT_EQ(ThreadIdentity::Assume(bob_), ENOMEM);
  EXPECT_FALSE(ThreadIdentity::IsSet());
  EXPECT_TRUE(calls_.now == before_);
  EXPECT_EQ(alice_.use_count(), 1);
  EXPECT_EQ(bob_.use_count(), 1);
}

TEST_F(SlotTest, WhoHasAUnixUserReturnsWhenNobodyBeginsToAnyMore) {
  EXPECT_EQ(ThreadIdentity::Assume(alice_), 0);
  ThreadIdentity::UseSwitch(nullptr);
  EXPECT_EQ(ThreadIdentity::Assume(bob_), 0);
  EXPECT_TRUE(calls_.now == before_);
  EXPECT_EQ(ThreadIdentity::RightsOf(bob_.get()), nullptr);
}

TEST_F(SlotTest, AThreadThatEndsReturnsFirst) {
  std::thread ends([this] { EXPECT_EQ(ThreadIdentity::Assume(alice_), 0); });
  ends.join();
  EXPECT_TRUE(calls_.now == before_);
  EXPECT_EQ(alice_.use_count(), 1);
}

using SlotDeathTest = SlotTest;

TEST_F(SlotDeathTest, WhomAScopeCannotReturnToEndsTheProcess) {
  EXPECT_EQ(ThreadIdentity::Assume(alice_), 0);
  EXPECT_DEATH(
      {
        const ThreadIdentity::Scope as_process;
        calls_.fail_at = calls_.log.size() + 1;
      },
      "error_number == 0");
}

}  // namespace
}  // namespace ktlsim::unix_identity
