// What security/ does with memory: nothing in a check, and a status where there is none.
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/security/access_check.h"
#include "tests/security/security_test_support.h"
#include "tests/support/allocation_faults.h"

namespace ktlsim::security {
namespace {

using ktlsim::test::AllocationFaults;
using ktlsim::test::FaultExtent;

constexpr std::string_view kText =
    "O:S-1-5-21-1-2-3-1001G:BAD:PAI(D;;0x2;;;WD)(OA;;CC;bf967aba-0de6-11d0-a285-00aa003049e2;;OW)"
    "(A;;0x1;;;PS)(A;;GR;;;S-1-5-21-4294967295-4294967295-4294967295-4294967295)"
    "S:(AU;SAFA;GA;;;WD)(ML;;NW;;;LW)";

Token::Ref MakeRestrictedToken() {
  const TokenGroup groups[] = {{kWorldSid}, {kAdministratorsSid, kGroupEnabled}};
  TokenContents contents;
  contents.user = test::SidOf("S-1-5-21-1-2-3-1001");
  contents.groups = groups;
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kNone);
  const SidView restricting[] = {kWorldSid, contents.user};
  Token::Ref restricted;
  EXPECT_EQ(token->Restrict({.restricting = restricting}, {2, 0}, &restricted), Fault::kNone);
  return restricted;
}

TEST(MemoryTest, ACheckAllocatesNothing) {
  const Descriptor descriptor = test::DescriptorOf(kText);
  const Token::Ref token = MakeRestrictedToken();
  Guid guid;
  ASSERT_TRUE(ParseGuid("bf967aba-0de6-11d0-a285-00aa003049e2", &guid));
  const Guid root;
  const ObjectType types[] = {{.type = &root}, {.level = 1, .type = &guid}};
  TypeResult results[2];
  AccessResult result;
  Fault faults[3];
  AllocationFaults::Prepare(AllocationFaults::kNever, FaultExtent::kOne);
  {
    const AllocationFaults::Scope scope;
    const TokenStateRef state = token->state();
    const AccessRequest request{descriptor.view(), *state, kMaximumAllowed, kFileMapping,
                                state->user()};
    DescriptorView view;
    faults[0] = ReadDescriptor(descriptor.image(), &view);
    faults[1] = CheckAccess(request, &result);
    faults[2] = CheckAccessByType(request, types, results, &result);
  }
  EXPECT_EQ(AllocationFaults::Counted(), 0U);
  for (const Fault fault : faults) EXPECT_EQ(fault, Fault::kNone);
  EXPECT_TRUE(result.allowed);
}

// Fails each allocation of `work` once. It returns kNoMemory then, leaves nothing behind, and
// succeeds afterwards.
void FailEachAllocation(const std::function<Fault()>& work) {
  ASSERT_EQ(work(), Fault::kNone);
  // The first exception of a process, and the first walk through its stack, allocate for good.
  AllocationFaults::Prepare(0, FaultExtent::kOne);
  {
    const AllocationFaults::Scope scope;
    EXPECT_EQ(work(), Fault::kNoMemory);
  }
  for (std::uint64_t n = 0; n < 1000; ++n) {
    const std::int64_t before = AllocationFaults::LiveBlocks();
    AllocationFaults::Prepare(n, FaultExtent::kOne);
    Fault fault = Fault::kNone;
    {
      const AllocationFaults::Scope scope;
      fault = work();
    }
    EXPECT_EQ(AllocationFaults::LiveBlocks(), before) << n;
    if (!AllocationFaults::Fired()) {
      EXPECT_EQ(fault, Fault::kNone);
      EXPECT_GT(n, 0U) << "nothing was allocated";
      return;
    }
    EXPECT_EQ(fault, Fault::kNoMemory) << n << "\n" << AllocationFaults::Where();
  }
  FAIL() << "it never ends";
}

TEST(MemoryTest, TextsAreReadOrNot) {
  FailEachAllocation([] {
    std::optional<Descriptor> descriptor;
    const SddlError error = ParseSddl(kText, std::nullopt, &descriptor);
    EXPECT_EQ(descriptor.has_value(), error.fault == Fault::kNone);
    return error.fault;
  });
}

TEST(MemoryTest, TextsAreWrittenOrNot) {
  const Descriptor descriptor = test::DescriptorOf(kText);
  FailEachAllocation([&] {
    std::string text;
    const Fault fault = FormatSddl(descriptor.view(), 0xF, std::nullopt, &text);
    EXPECT_EQ(text.empty(), fault != Fault::kNone);
    return fault;
  });
  FailEachAllocation([&] {
    std::string text;
    return FormatAce(*++descriptor.view().dacl->begin(), std::nullopt, &text);
  });
}

TEST(MemoryTest, TokensAreMadeOrNot) {
  const Descriptor descriptor = test::DescriptorOf("D:(A;;GA;;;SY)");
  FailEachAllocation([&] {
    const TokenGroup groups[] = {{kWorldSid}, {kAdministratorsSid}, {kSelfSid}, {kLocalSystemSid}};
    TokenContents contents;
    contents.groups = groups;
    contents.default_dacl = descriptor.view().dacl;
    Token::Ref token;
    const Fault fault = Token::Create(contents, &token);
    EXPECT_EQ(token != nullptr, fault == Fault::kNone);
    return fault;
  });
  const Token::Ref token = MakeRestrictedToken();
  FailEachAllocation([&] {
    Token::Ref copy;
    return token->Duplicate(TokenType::kImpersonation, ImpersonationLevel::kIdentification, {3, 0},
                            &copy);
  });
  FailEachAllocation([&] {
    const SidView restricting[] = {kWorldSid};
    Token::Ref copy;
    return token->Restrict({.disable = restricting, .restricting = restricting}, {3, 0}, &copy);
  });
}

TEST(MemoryTest, TokensAreChangedOrNot) {
  const Token::Ref token = MakeRestrictedToken();
  const auto accept_groups = [](std::span<const GroupChange>) { return true; };
  // Forth and back, so that it leaves nothing behind.
  FailEachAllocation([&] {
    const Token::GroupWish off[] = {{kAdministratorsSid, false}};
    const Token::GroupWish on[] = {{kAdministratorsSid, true}};
    const TokenStateRef before = token->state();
    Fault fault = token->AdjustGroups(off, {4, 0}, accept_groups);
    EXPECT_EQ(token->state() == before, fault != Fault::kNone);
    if (fault == Fault::kNone) fault = token->AdjustGroups(on, {5, 0}, accept_groups);
    return fault;
  });
}

}  // namespace
}  // namespace ktlsim::security
