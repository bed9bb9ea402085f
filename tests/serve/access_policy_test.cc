#include "kernel_sim/serve/access_policy.h"

#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/security/access_check.h"
#include "kernel_sim/security/sddl.h"
#include "kernel_sim/serve/access_guard.h"

namespace ktlsim::serve {
namespace {

std::string Add(AccessPolicy& policy, const std::string& prefix) {
  std::optional<security::Descriptor> descriptor;
  EXPECT_EQ(security::ParseSddl("O:BAG:BAD:(A;;FR;;;WD)", std::nullopt, &descriptor).fault,
            security::Fault::kNone);
  return policy.Add({prefix, std::move(*descriptor), "acl.toml:" + prefix});
}

// The prefix that decides for a target; "" for none.
std::string Decides(const AccessPolicy& policy, const std::string& target) {
  const AccessObject object = policy.Find(target);
  if (object.refusal != 0) return std::to_string(object.refusal);
  if (object.other_case) return "case";
  return object.rule != nullptr ? object.rule->prefix : "";
}

TEST(AccessPolicyTest, TheLongestPrefixDecides) {
  AccessPolicy policy;
  for (const char* prefix : {"/", "/a", "/a/b", "/x/y"}) EXPECT_EQ(Add(policy, prefix), "");
  EXPECT_EQ(Decides(policy, "/a/b/c"), "/a/b");
  EXPECT_EQ(Decides(policy, "/a/bc"), "/a");
  EXPECT_EQ(Decides(policy, "/ab"), "/");
  EXPECT_EQ(Decides(policy, "/x"), "/");
  EXPECT_EQ(Decides(policy, "/x/y?q"), "/x/y");
  EXPECT_EQ(Decides(policy, "http://h/a/b"), "/a/b");
}

TEST(AccessPolicyTest, WhatNoPrefixMatchesIsNobodys) {
  AccessPolicy policy;
  EXPECT_EQ(Add(policy, "/a"), "");
  const AccessObject object = policy.Find("/b");
  EXPECT_EQ(object.rule, nullptr);
  EXPECT_EQ(object.name, "/b");
  // Nothing is granted, and attempts are recorded.
  ASSERT_TRUE(object.descriptor().dacl.has_value());
  EXPECT_EQ(object.descriptor().dacl->count(), 0U);
  EXPECT_TRUE(object.descriptor().sacl.has_value());
}

TEST(AccessPolicyTest, NoSpellingLeadsAround) {
  AccessPolicy policy;
  for (const char* prefix : {"/", "/secret", "/open", "/open/index.html"}) {
    EXPECT_EQ(Add(policy, prefix), "");
  }
  for (const char* target :
       {"/secret", "/secret/", "//secret///x", "/%73ecret/x", "/secre%74", "http://h//secret"}) {
    EXPECT_EQ(Decides(policy, target), "/secret") << target;
  }
  EXPECT_EQ(Decides(policy, "/open/../secret"), "400");
  EXPECT_EQ(Decides(policy, "/open/%2e%2E/secret"), "400");
  EXPECT_EQ(Decides(policy, "/./secret"), "400");
  EXPECT_EQ(Decides(policy, "/open%2fsecret"), "404");
  EXPECT_EQ(Decides(policy, "/secret%00"), "400");
  EXPECT_EQ(Decides(policy, "*"), "400");
  // What is served for a folder.
  EXPECT_EQ(Decides(policy, "/open/"), "/open/index.html");
  EXPECT_EQ(policy.Find("/open/").name, "/open/index.html");
  EXPECT_EQ(policy.Find("/").name, "/index.html");
}

TEST(AccessPolicyTest, APathThatDiffersInCaseOnlyIsRefused) {
  AccessPolicy policy;
  for (const char* prefix : {"/", "/secret", "/Other", "/other"}) {
    EXPECT_EQ(Add(policy, prefix), "");
  }
  EXPECT_EQ(Decides(policy, "/SECRET/x"), "case");
  EXPECT_EQ(Decides(policy, "/sEcret"), "case");
  EXPECT_EQ(Decides(policy, "/secrets"), "/");
  EXPECT_EQ(Decides(policy, "/Other/x"), "/Other");
  EXPECT_EQ(Decides(policy, "/other/x"), "/other");
  EXPECT_EQ(Decides(policy, "/OTHER/x"), "case");
}

TEST(AccessPolicyTest, APrefixIsWrittenPlainlyAndOnce) {
  AccessPolicy policy;
  EXPECT_EQ(Add(policy, "/a/"), "");
  EXPECT_NE(Add(policy, "//a").find("acl.toml:/a/"), std::string::npos);
  for (const char* wrong : {"", "a", "/%61", "/a?b", "/a#b", "/a/../b", "/."}) {
    EXPECT_NE(Add(policy, wrong), "") << wrong;
  }
  EXPECT_EQ(policy.size(), 1U);
}

TEST(AccessPolicyTest, MethodsAskForRights) {
  for (const char* reading : {"GET", "HEAD", "OPTIONS"}) {
    EXPECT_EQ(RightsOfMethod(reading), 0x120089U);
  }
  for (const char* writing : {"POST", "PUT", "PATCH"}) {
    EXPECT_EQ(RightsOfMethod(writing), 0x120116U);
  }
  EXPECT_EQ(RightsOfMethod("DELETE"), security::kDelete);
  for (const char* other : {"get", "", "PROPFIND", "GETX"}) {
    EXPECT_EQ(RightsOfMethod(other), 0x1F01FFU) << other;
  }
}

TEST(AccessGuardTest, EveryVerdictHasAName) {
  for (std::size_t i = 0; i < kAccessVerdicts; ++i) {
    EXPECT_STRNE(AccessVerdictName(static_cast<AccessVerdict>(i)), "?");
  }
}

TEST(AccessGuardTest, NobodyIsInNoGroup) {
  const security::Token::Ref token = MakeAnonymousToken();
  ASSERT_NE(token, nullptr);
  const security::TokenStateRef state = token->state();
  EXPECT_EQ(security::SidText(state->user()).view(), "S-1-5-7");
  EXPECT_EQ(state->sids().size(), 1U);
  EXPECT_EQ(security::CheckClientToken(*state), security::Fault::kNone);
}

}  // namespace
}  // namespace ktlsim::serve
