#include "io/personalities.h"

#include <cerrno>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/unix_identity/identity_switch.h"
#include "tests/unix_identity/scripted_calls.h"

namespace ktlsim::io {
namespace {

using unix_identity::IdentitySwitch;
using unix_identity::ScriptedCalls;

UnixIdentity UserOf(uid_t uid) { return {.uid = uid, .gid = uid + 1, .groups = {}}; }

// Registers as whom the thread is at that moment.
class Kernel final : public PersonalityCalls {
 public:
  explicit Kernel(const ScriptedCalls& thread) : thread_(thread) {}

  int Register() noexcept override {
    if (error_number != 0) return -error_number;
    registered[++last_] = thread_.now.user.file;
    EXPECT_EQ(thread_.now.capabilities.effective, 0U);
    return last_;
  }
  void Unregister(int number) noexcept override { EXPECT_EQ(registered.erase(number), 1U); }

  std::map<int, uid_t> registered;
  int error_number = 0;

 private:
  const ScriptedCalls& thread_;
  int last_ = 0;
};

class PersonalitiesTest : public testing::Test {
 protected:
  PersonalitiesTest() {
    EXPECT_EQ(switch_.Prepare(), "");
    before_ = thread_.now;
    ThreadIdentity::UseSwitch(&switch_);
  }
  ~PersonalitiesTest() override {
    ThreadIdentity::UseSwitch(nullptr);
    EXPECT_TRUE(thread_.now == before_);
  }

  Personality* Take(uid_t uid, std::uint64_t now_ns = 0) {
    Personality* taken = nullptr;
    EXPECT_EQ(personalities_.Acquire(UserOf(uid), now_ns, &taken), 0);
    return taken;
  }

  ScriptedCalls thread_;
  IdentitySwitch switch_{thread_};
  unix_identity::ThreadCredentials before_;
  Kernel kernel_{thread_};
  Personalities personalities_{kernel_, {.count = 3, .unused_ns = 100}};
};

TEST_F(PersonalitiesTest, OneIsRegisteredForEachUserAndKept) {
  Personality* const alice = Take(1001);
  Personality* const bob = Take(1003);
  EXPECT_EQ(kernel_.registered.at(alice->number), 1001U);
  EXPECT_EQ(kernel_.registered.at(bob->number), 1003U);
  EXPECT_EQ(Take(1001), alice);
  personalities_.Release(*alice, 0);
  personalities_.Release(*alice, 0);
  personalities_.Release(*bob, 0);
  EXPECT_EQ(Take(1001, 50), alice);
  EXPECT_EQ(switch_.figures().taken, 2U);
  personalities_.Release(*alice, 50);
}

// Other groups are another identity: a client whose account has changed gets a personality anew.
TEST_F(PersonalitiesTest, GroupsMakeADifference) {
  Personality* const alone = Take(1001);
  UnixIdentity in_group = UserOf(1001);
  in_group.groups = {7};
  Personality* other = nullptr;
  ASSERT_EQ(personalities_.Acquire(in_group, 0, &other), 0);
  EXPECT_NE(alone->number, other->number);
}

TEST_F(PersonalitiesTest, WhatIsUnusedForLongIsDropped) {
  Personality* const alice = Take(1001, 0);
  Personality* const bob = Take(1003, 0);
  personalities_.Release(*alice, 10);
  personalities_.Release(*bob, 20);
  Personality* const carol = Take(1005, 110);
  EXPECT_EQ(personalities_.registered(), 2U);
  EXPECT_EQ(kernel_.registered.size(), 2U);
  personalities_.Release(*carol, 110);
  Take(1007, 500);
  EXPECT_EQ(kernel_.registered.size(), 1U);
}

TEST_F(PersonalitiesTest, TheOneUnusedForLongestMakesRoom) {
  Personality* const alice = Take(1001);
  Personality* const bob = Take(1003);
  Take(1005);
  Personality* none = nullptr;
  EXPECT_EQ(personalities_.Acquire(UserOf(1007), 0, &none), EAGAIN);
  personalities_.Release(*bob, 1);
  personalities_.Release(*alice, 2);
  const int bobs = bob->number;
  Take(1007, 3);
  EXPECT_EQ(personalities_.registered(), 3U);
  EXPECT_FALSE(kernel_.registered.contains(bobs));
  EXPECT_EQ(Take(1001, 3), alice);
}

TEST_F(PersonalitiesTest, NothingIsKeptOfAFailure) {
  Personality* taken = nullptr;
  kernel_.error_number = ENOMEM;
  EXPECT_EQ(personalities_.Acquire(UserOf(1001), 0, &taken), ENOMEM);
  kernel_.error_number = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    thread_.log.clear();
    thread_.fail_at = i;
    thread_.error_number = EINVAL;
    EXPECT_NE(personalities_.Acquire(UserOf(1001), 0, &taken), 0) << i;
  }
  thread_.fail_at = static_cast<std::size_t>(-1);
  ThreadIdentity::UseSwitch(nullptr);
  EXPECT_EQ(personalities_.Acquire(UserOf(1001), 0, &taken), EPERM);
  EXPECT_EQ(personalities_.registered(), 0U);
  EXPECT_TRUE(kernel_.registered.empty());
  EXPECT_EQ(taken, nullptr);
}

}  // namespace
}  // namespace ktlsim::io
