#include "kernel_sim/serve/digest_guard.h"

#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

TEST(DigestTokenTest, OnlyTheSchemeDigestHasOne) {
  std::string_view token;
  EXPECT_TRUE(DigestTokenOf("Digest username=\"a\"", &token));
  EXPECT_EQ(token, "username=\"a\"");
  EXPECT_TRUE(DigestTokenOf("dIGEST \t nc=1", &token));
  EXPECT_EQ(token, "nc=1");
  for (const char* nothing : {"Digest", "Digest  "}) {
    EXPECT_TRUE(DigestTokenOf(nothing, &token));
    EXPECT_EQ(token, "");
  }
  for (const char* other : {"", "Basic YTpi", "Digestive nc=1", "Dig"}) {
    EXPECT_FALSE(DigestTokenOf(other, &token)) << other;
  }
}

TEST(DigestGuardTest, EverythingIsProtectedUnlessPathsAreNamed) {
  const DigestGuard guard({});
  for (const char* target : {"/", "/a", "*", "/../x", "http://h/a"}) {
    EXPECT_TRUE(guard.Covers(target)) << target;
  }
}

TEST(DigestGuardTest, APathProtectsItselfAndWhatIsBelowIt) {
  const DigestGuard guard({.paths = {"/private", "//deep///er/"}});
  for (const char* target :
       {"/private", "/private/", "/private/x?y", "/private?x", "//private/x", "/%70rivate",
        "/priv%61te/x", "http://h/private/x", "/deep/er", "/deep//er/x"}) {
    EXPECT_TRUE(guard.Covers(target)) << target;
  }
  for (const char* target : {"/", "/x", "/privateer", "/x/private", "/deep", "/PRIVATE"}) {
    EXPECT_FALSE(guard.Covers(target)) << target;
  }
}

// Whatever it would lead to, it leads there for users only.
TEST(DigestGuardTest, ATargetThatCannotBeResolvedIsProtected) {
  const DigestGuard guard({.paths = {"/private"}});
  for (const char* target : {"/x/../private", "/%2e%2e/private", "/a%2fb", "/%00", "*", "/%zz"}) {
    EXPECT_TRUE(guard.Covers(target)) << target;
  }
}

TEST(DigestGuardTest, TheRootProtectsEverything) {
  const DigestGuard guard({.paths = {"/"}});
  EXPECT_TRUE(guard.Covers("/"));
  EXPECT_TRUE(guard.Covers("/x/y"));
}

TEST(DigestGuardTest, EveryOutcomeHasAName) {
  for (std::size_t i = 0; i < kDigestOutcomes; ++i) {
    EXPECT_STRNE(DigestOutcomeName(static_cast<DigestOutcome>(i)), "?");
  }
}

}  // namespace
}  // namespace ktlsim::serve
