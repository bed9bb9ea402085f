// Who a response to a challenge claims to be from.
#include "kernel_sim/serve/digest_user.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

TEST(ClaimedUserTest, WhereverItStands) {
  EXPECT_EQ(ClaimedUser(R"(username="alice", realm="r")"), "alice");
  EXPECT_EQ(ClaimedUser(R"(realm="username=bob, x", USERNAME = "a b")"), "a b");
  EXPECT_EQ(ClaimedUser(R"(qop=auth,nc=00000001,,username=alice,uri="/")"), "alice");
  EXPECT_EQ(ClaimedUser(R"(username*=UTF-8''%C3%85lice, qop=auth)"), "UTF-8''%C3%85lice");
  EXPECT_EQ(ClaimedUser(R"(username="a\"b\\c")"), R"(a"b\c)");
}

TEST(ClaimedUserTest, WhereItIsMissingOrMalformed) {
  for (const char* const token :
       {"", ",", "=", "realm=\"r\"", "username", "username=", "username=\"\"", "usernames=\"x\"",
        "\"username=x", "realm=\"username=x", "realm=\"\\"}) {
    EXPECT_EQ(ClaimedUser(token), "") << token;
  }
  EXPECT_EQ(ClaimedUser("username=\"ali"), "ali");
  EXPECT_EQ(ClaimedUser("username=\"ali\\"), "ali\\");
  EXPECT_EQ(ClaimedUser("username = , realm=x"), "");
}

}  // namespace
}  // namespace ktlsim::serve
