// Access checks of an object with property sets and properties.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/security/access_check.h"
#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

constexpr GenericMapping kTypeMapping = {0x1, 0x2, 0x4, 0xF};

// GUIDs that differ in their first digit.
std::string GuidNumber(int number) {
  return std::to_string(number) + "0000000-0000-0000-0000-000000000000";
}

// An object (0) with two property sets (1, 4); the first has the properties 2 and 3.
class TypeListTest : public testing::Test {
 protected:
  TypeListTest() : guids_(5) {
    static constexpr std::uint16_t levels[] = {0, 1, 2, 2, 1};
    for (std::size_t i = 0; i < guids_.size(); ++i) {
      EXPECT_TRUE(ParseGuid(GuidNumber(static_cast<int>(i)), &guids_[i]));
      types_.push_back({.level = levels[i], .type = &guids_[i]});
    }
  }

  // An object ACE for the type of this number.
  static std::string Ace(const char* type, const char* rights, int number) {
    return "(" + std::string(type) + ";;" + rights + ";" + GuidNumber(number) + ";;WD)";
  }

  Fault Check(const std::string& aces, AccessMask desired) {
    const Descriptor descriptor = test::DescriptorOf("O:BAG:BAD:" + aces);
    const TokenGroup groups[] = {{kWorldSid}};
    TokenContents contents;
    contents.groups = groups;
    const TokenStateRef token = test::StateOf(contents);
    results_.assign(types_.size(), {});
    return CheckAccessByType({descriptor.view(), *token, desired, kTypeMapping, std::nullopt},
                             types_, results_, &result_);
  }

  // Which types are allowed, such as "10010".
  std::string Allowed(const std::string& aces, AccessMask desired) {
    EXPECT_EQ(Check(aces, desired), Fault::kNone);
    EXPECT_EQ(result_.allowed, results_[0].allowed);
    std::string allowed;
    for (const TypeResult& one : results_) allowed += one.allowed ? '1' : '0';
    return allowed;
  }

  std::vector<Guid> guids_;
  std::vector<ObjectType> types_;
  std::vector<TypeResult> results_;
  AccessResult result_;
};

TEST_F(TypeListTest, AnAceCountsForItsTypeAndAllBelow) {
  EXPECT_EQ(Allowed("(A;;0x1;;;WD)", 1), "11111") << "without a type: the whole object";
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 0), 1), "11111");
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 1), 1), "01110");
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 2), 1), "00100");
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 9), 1), "00000") << "a type that is not listed";
}

TEST_F(TypeListTest, WhatAllBelowHaveIsHad) {
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 2) + Ace("OA", "0x1", 3), 1), "01110");
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 2) + Ace("OA", "0x1", 3) + Ace("OA", "0x1", 4), 1), "11111");
}

TEST_F(TypeListTest, DeniedBelowIsDeniedAbove) {
  EXPECT_EQ(Allowed(Ace("OD", "0x1", 2) + "(A;;0x1;;;WD)", 1), "00011");
  EXPECT_EQ(Allowed(Ace("OD", "0x1", 1) + "(A;;0x1;;;WD)", 1), "00001");
  EXPECT_EQ(Allowed(Ace("OD", "0x1", 9) + "(A;;0x1;;;WD)", 1), "11111");
  EXPECT_EQ(Allowed("(A;;0x1;;;WD)" + Ace("OD", "0x1", 2), 1), "11111") << "too late";
  // What the property has already is not denied, and so the object is not.
  EXPECT_EQ(Allowed(Ace("OA", "0x1", 2) + Ace("OD", "0x1", 2) + "(A;;0x1;;;WD)", 1), "11111");
}

TEST_F(TypeListTest, MaximumForEach) {
  ASSERT_EQ(Check(Ace("OA", "0x3", 2) + Ace("OD", "0x2", 4) + "(A;;0x7;;;WD)", kMaximumAllowed),
            Fault::kNone);
  EXPECT_EQ(results_[0].granted, 5U);
  EXPECT_EQ(results_[2].granted, 7U);
  EXPECT_EQ(results_[3].granted, 7U);
  EXPECT_EQ(results_[4].granted, 5U);
  EXPECT_EQ(result_.granted, 5U);
}

TEST_F(TypeListTest, WithoutAListTypesAreNotListed) {
  types_.clear();
  EXPECT_EQ(Check(Ace("OA", "0x1", 0), 1), Fault::kNone);
  EXPECT_FALSE(result_.allowed);
  EXPECT_EQ(Check("(OD;;0x1;;" + GuidNumber(1) + ";WD)(A;;0x1;;;WD)", 1), Fault::kNone);
  EXPECT_FALSE(result_.allowed) << "an object ACE without a type counts for everything";
}

TEST_F(TypeListTest, ListsThatAreNoTrees) {
  const std::vector<ObjectType> good = types_;
  const auto with_level = [&](std::size_t index, std::uint16_t level) {
    types_ = good;
    types_[index].level = level;
    return Check("(A;;0x1;;;WD)", 1);
  };
  EXPECT_EQ(with_level(0, 1), Fault::kInvalidParameter);
  EXPECT_EQ(with_level(1, 0), Fault::kInvalidParameter) << "a second object";
  EXPECT_EQ(with_level(1, 2), Fault::kInvalidParameter) << "two levels deeper";
  EXPECT_EQ(with_level(3, 3), Fault::kNone);
  types_ = good;
  types_[4].type = &guids_[2];
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kInvalidParameter) << "a type twice";
  types_[4].type = nullptr;
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kInvalidParameter);
  types_ = good;
  types_[2].level = 3;
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kInvalidParameter);
}

TEST_F(TypeListTest, LevelsAndTypesHaveABound) {
  std::vector<Guid> guids(kObjectTypesMax + 1);
  types_.clear();
  for (std::size_t i = 0; i < guids.size(); ++i) {
    guids[i].data1 = static_cast<std::uint32_t>(i);
    types_.push_back(
        {.level = static_cast<std::uint16_t>(std::min<std::size_t>(i, 4)), .type = &guids[i]});
  }
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kInvalidParameter);
  types_.pop_back();
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kNone);
  EXPECT_TRUE(results_.back().allowed);
  types_.resize(6);
  types_[5].level = 5;
  EXPECT_EQ(Check("(A;;0x1;;;WD)", 1), Fault::kInvalidParameter);
}

}  // namespace
}  // namespace ktlsim::security
