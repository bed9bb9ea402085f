// Which groups administer.
#include "kernel_sim/security/standard_user.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace ktlsim::security {
namespace {

TEST(StandardUserTest, GroupsThatAdminister) {
  for (const std::uint32_t number : {544U, 547U, 548U, 549U, 550U, 551U, 553U, 554U, 556U, 569U}) {
    EXPECT_TRUE(IsAdministrative(Sid(5, {32, number}))) << number;
    EXPECT_FALSE(IsAdministrative(Sid(5, {21, 1, 2, 3, number}))) << number;
  }
  for (const std::uint32_t number : {498U, 512U, 516U, 517U, 518U, 519U, 520U, 521U}) {
    EXPECT_TRUE(IsAdministrative(Sid(5, {21, 1, 2, 3, number}))) << number;
    EXPECT_FALSE(IsAdministrative(Sid(5, {32, number}))) << number;
    EXPECT_FALSE(IsAdministrative(Sid(5, {21, 1, 2, number}))) << "no account's";
    EXPECT_FALSE(IsAdministrative(Sid(5, {21, 1, 2, 3, 4, number}))) << "no account's";
    EXPECT_FALSE(IsAdministrative(Sid(22, {21, 1, 2, 3, number}))) << "no domain's";
  }
}

TEST(StandardUserTest, GroupsThatDoNot) {
  for (const Sid& sid :
       {Sid(5, {32, 545}), Sid(5, {32, 546}), Sid(5, {32}), Sid(5, {544}), Sid(5, {}),
        Sid(5, {21, 1, 2, 3, 513}), Sid(1, {32, 544}), Sid(5, {32, 544, 544})}) {
    EXPECT_FALSE(IsAdministrative(sid)) << SidText(sid).view();
  }
}

}  // namespace
}  // namespace ktlsim::security
