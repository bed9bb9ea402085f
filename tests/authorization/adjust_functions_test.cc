// Changing tokens through the C API: AdjustTokenPrivileges, AdjustTokenGroups, SetTokenInformation.
#include <array>
#include <cstring>
#include <vector>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Privilege;
using security::Sid;

constexpr DWORD kMandatory = SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED;

class AdjustFunctionsTest : public AuthorizationTest {
 protected:
  static LUID_AND_ATTRIBUTES Wish(Privilege privilege, DWORD attributes) {
    return {{static_cast<DWORD>(privilege), 0}, attributes};
  }

  struct Privileges {
    explicit Privileges(std::initializer_list<LUID_AND_ATTRIBUTES> wishes)
        : count(static_cast<DWORD>(wishes.size())) {
      std::copy(wishes.begin(), wishes.end(), all.begin());
    }
    Privileges() = default;
    PTOKEN_PRIVILEGES get() { return reinterpret_cast<PTOKEN_PRIVILEGES>(this); }

    DWORD count = 0;
    std::array<LUID_AND_ATTRIBUTES, 8> all{};
  };
  static_assert(offsetof(Privileges, all) == offsetof(TOKEN_PRIVILEGES, Privileges));

  static security::Token::Ref Privileged() {
    return MakeClient({.privileges = {.held = {Privilege::kSecurity, Privilege::kBackup},
                                      .enabled = {Privilege::kBackup},
                                      .enabled_by_default = {Privilege::kBackup}}});
  }
  static const security::TokenPrivileges Of(const TestHandle& handle) {
    return handle.token()->state()->privileges();
  }

  // S-1-5-21-1-2-3-2001 is mandatory, 2002 may be disabled, 2003 is disabled, 2004 only denies.
  static security::Token::Ref Grouped() {
    return MakeClient({.groups = {{ClientSid(2001), kMandatory},
                                  {ClientSid(2002), SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED},
                                  {ClientSid(2003), 0},
                                  {ClientSid(2004), SE_GROUP_USE_FOR_DENY_ONLY}}});
  }
  static DWORD AttributesOf(const TestHandle& handle, std::uint32_t number) {
    const security::TokenStateRef state = handle.token()->state();
    return state->attributes(state->IndexOf(ClientSid(number)).value_or(0));
  }

  struct Groups {
    explicit Groups(std::initializer_list<std::pair<const Sid*, DWORD>> wishes)
        : count(static_cast<DWORD>(wishes.size())) {
      std::size_t at = 0;
      for (const auto& [sid, attributes] : wishes) {
        all[at++] = {const_cast<Sid*>(sid), attributes};
      }
    }
    PTOKEN_GROUPS get() { return reinterpret_cast<PTOKEN_GROUPS>(this); }

    DWORD count = 0;
    std::array<SID_AND_ATTRIBUTES, 8> all{};
  };
  static_assert(offsetof(Groups, all) == offsetof(TOKEN_GROUPS, Groups));

  static inline const Sid k2001 = ClientSid(2001);
  static inline const Sid k2002 = ClientSid(2002);
  static inline const Sid k2003 = ClientSid(2003);
  static inline const Sid k2004 = ClientSid(2004);
  static inline const Sid kStranger = ClientSid(9999);
};

TEST_F(AdjustFunctionsTest, PrivilegesAreEnabledAndTheLastErrorIsAlwaysSet) {
  const TestHandle handle(Privileged());
  Privileges wanted({Wish(Privilege::kSecurity, SE_PRIVILEGE_ENABLED)});
  SetLastError(17);
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, wanted.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_SUCCESS});
  EXPECT_TRUE(Of(handle).enabled.Has(Privilege::kSecurity));
  // The token lacks one, and one is no privilege; the third is disabled.
  Privileges some({Wish(Privilege::kDebug, SE_PRIVILEGE_ENABLED),
                   {{8, 1}, SE_PRIVILEGE_ENABLED},
                   Wish(Privilege::kBackup, 0)});
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, some.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOT_ALL_ASSIGNED});
  EXPECT_FALSE(Of(handle).enabled.Has(Privilege::kBackup));
  EXPECT_FALSE(Of(handle).held.Has(Privilege::kDebug));
  Privileges stranger({{{99, 0}, SE_PRIVILEGE_ENABLED}});
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, stranger.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOT_ALL_ASSIGNED});
}

TEST_F(AdjustFunctionsTest, ThePreviousStateIsWhatChanged) {
  const TestHandle handle(Privileged());
  Privileges wanted({Wish(Privilege::kSecurity, SE_PRIVILEGE_ENABLED),
                     Wish(Privilege::kBackup, SE_PRIVILEGE_ENABLED)});
  Privileges before;
  DWORD length = 0;
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, wanted.get(), sizeof(before), before.get(),
                                  &length),
            TRUE);
  EXPECT_EQ(length, 16U);
  ASSERT_EQ(before.count, 1U) << "the other one was enabled";
  EXPECT_EQ(before.all[0].Luid.LowPart, 8U);
  EXPECT_EQ(before.all[0].Attributes, 0U);
  // It is what undoes the change, and may be where the wishes are.
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, before.get(), sizeof(before), before.get(),
                                  &length),
            TRUE);
  EXPECT_EQ(before.all[0].Attributes, DWORD{SE_PRIVILEGE_ENABLED});
  EXPECT_FALSE(Of(handle).enabled.Has(Privilege::kSecurity));
  // Nothing has changed: a count and no element.
  Privileges same({Wish(Privilege::kSecurity, 0)});
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, same.get(), 4, before.get(), &length), TRUE);
  EXPECT_EQ(length, 4U);
  EXPECT_EQ(before.count, 0U);
}

TEST_F(AdjustFunctionsTest, WithoutRoomForThePreviousStateNothingChanges) {
  const TestHandle handle(Privileged());
  Privileges before;
  before.count = 77;
  DWORD length = 0;
  ExpectError(AdjustTokenPrivileges(handle.get(), TRUE, nullptr, 15, before.get(), &length),
              ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(length, 16U);
  EXPECT_EQ(before.count, 77U);
  EXPECT_TRUE(Of(handle).enabled.Has(Privilege::kBackup));
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), TRUE, nullptr, 16, before.get(), &length), TRUE);
  EXPECT_TRUE(Of(handle).enabled.empty());
  EXPECT_EQ(before.count, 1U);
  EXPECT_EQ(before.all[0].Attributes,
            DWORD{SE_PRIVILEGE_ENABLED | SE_PRIVILEGE_ENABLED_BY_DEFAULT});
  length = 33;
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), TRUE, nullptr, 0, nullptr, &length), TRUE);
  EXPECT_EQ(length, 33U) << "not looked at without a place for what was before";
}

TEST_F(AdjustFunctionsTest, ARemovedPrivilegeIsGoneForGood) {
  const TestHandle handle(Privileged());
  Privileges both({Wish(Privilege::kBackup, SE_PRIVILEGE_REMOVED | SE_PRIVILEGE_ENABLED)});
  Privileges before;
  DWORD length = 0;
  ASSERT_EQ(
      AdjustTokenPrivileges(handle.get(), FALSE, both.get(), sizeof(before), before.get(), &length),
      TRUE);
  EXPECT_EQ(before.count, 0U) << "not among the changes";
  EXPECT_FALSE(Of(handle).held.Has(Privilege::kBackup));
  Privileges again({Wish(Privilege::kBackup, SE_PRIVILEGE_ENABLED)});
  ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE, again.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOT_ALL_ASSIGNED});
}

TEST_F(AdjustFunctionsTest, PrivilegesWithWrongArguments) {
  const TestHandle handle(Privileged());
  Privileges wanted({Wish(Privilege::kSecurity, SE_PRIVILEGE_ENABLED)});
  Privileges before;
  DWORD length = 0;
  ExpectError(AdjustTokenPrivileges(handle.get(), FALSE, nullptr, 0, nullptr, nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(AdjustTokenPrivileges(handle.get(), FALSE, wanted.get(), sizeof(before), before.get(),
                                    nullptr),
              ERROR_NOACCESS);
  ExpectError(AdjustTokenPrivileges(nullptr, FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_INVALID_HANDLE);
  const TestHandle no_query(handle.token(), TOKEN_ADJUST_PRIVILEGES);
  EXPECT_EQ(AdjustTokenPrivileges(no_query.get(), FALSE, wanted.get(), 0, nullptr, nullptr), TRUE);
  ExpectError(AdjustTokenPrivileges(no_query.get(), FALSE, wanted.get(), sizeof(before),
                                    before.get(), &length),
              ERROR_ACCESS_DENIED);
  const TestHandle queries(handle.token(), TOKEN_QUERY);
  ExpectError(AdjustTokenPrivileges(queries.get(), FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_ACCESS_DENIED);
  for (const DWORD count : {DWORD{65}, DWORD{0x80000000}, DWORD{0xFFFFFFFF}}) {
    wanted.count = count;
    ExpectError(AdjustTokenPrivileges(handle.get(), FALSE, wanted.get(), 0, nullptr, nullptr),
                ERROR_INVALID_PARAMETER);
  }
}

// At every distance from an aligned address.
TEST_F(AdjustFunctionsTest, PrivilegesNeedNotBeAligned) {
  for (std::size_t offset = 1; offset < 8; ++offset) {
    const TestHandle handle(Privileged());
    const Privileges wanted({Wish(Privilege::kSecurity, SE_PRIVILEGE_ENABLED)});
    std::array<std::byte, 64> in{};
    std::array<std::byte, 64> out{};
    std::array<std::byte, 16> length{};
    std::memcpy(in.data() + offset, &wanted, 16);
    ASSERT_EQ(AdjustTokenPrivileges(handle.get(), FALSE,
                                    reinterpret_cast<PTOKEN_PRIVILEGES>(in.data() + offset), 16,
                                    reinterpret_cast<PTOKEN_PRIVILEGES>(out.data() + offset),
                                    reinterpret_cast<PDWORD>(length.data() + offset)),
              TRUE);
    EXPECT_EQ(out[offset], std::byte{1});
    EXPECT_EQ(out[offset + 4], std::byte{8});
    EXPECT_EQ(length[offset], std::byte{16});
    EXPECT_TRUE(Of(handle).enabled.Has(Privilege::kSecurity));
  }
}

TEST_F(AdjustFunctionsTest, GroupsAreEnabledAndDisabled) {
  const TestHandle handle(Grouped());
  Groups wanted({{&k2002, 0}, {&k2003, SE_GROUP_ENABLED}, {&k2001, SE_GROUP_ENABLED}});
  alignas(8) std::array<std::byte, 256> before{};
  DWORD length = 0;
  SetLastError(17);
  ASSERT_EQ(AdjustTokenGroups(handle.get(), FALSE, wanted.get(), sizeof(before),
                              reinterpret_cast<PTOKEN_GROUPS>(before.data()), &length),
            TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U);
  EXPECT_NE(AttributesOf(handle, 2003) & SE_GROUP_ENABLED, 0U);
  const auto* const groups = reinterpret_cast<const TOKEN_GROUPS*>(before.data());
  ASSERT_EQ(groups->GroupCount, 2U);
  const SID_AND_ATTRIBUTES* const all = groups->Groups;
  EXPECT_EQ(std::memcmp(all[0].Sid, k2002.view().image().data(), 28), 0);
  EXPECT_EQ(all[0].Attributes, DWORD{SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED});
  EXPECT_EQ(all[1].Attributes, 0U);
  EXPECT_EQ(length, 8 + 2 * 16 + 32 + 28U) << "the second SID begins at a multiple of eight";
  // Back to the default: what was before is what it undoes.
  ASSERT_EQ(AdjustTokenGroups(handle.get(), TRUE, nullptr, 0, nullptr, nullptr), TRUE);
  EXPECT_NE(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U);
  EXPECT_EQ(AttributesOf(handle, 2003) & SE_GROUP_ENABLED, 0U);
}

TEST_F(AdjustFunctionsTest, GroupsThatCannotBeAdjusted) {
  const TestHandle handle(Grouped());
  Groups mandatory({{&k2002, 0}, {&k2001, 0}});
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, mandatory.get(), 0, nullptr, nullptr),
              ERROR_CANT_DISABLE_MANDATORY);
  EXPECT_NE(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U) << "nothing has changed";
  Groups strangers({{&kStranger, SE_GROUP_ENABLED}, {&k2004, SE_GROUP_ENABLED}, {&k2002, 0}});
  ASSERT_EQ(AdjustTokenGroups(handle.get(), FALSE, strangers.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_NOT_ALL_ASSIGNED});
  EXPECT_EQ(AttributesOf(handle, 2004), DWORD{SE_GROUP_USE_FOR_DENY_ONLY});
  EXPECT_EQ(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U);
  DWORD length = 0;
  alignas(8) std::array<std::byte, 24> small{};
  Groups one({{&k2002, SE_GROUP_ENABLED}});
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, one.get(), sizeof(small),
                                reinterpret_cast<PTOKEN_GROUPS>(small.data()), &length),
              ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(length, 8 + 16 + 28U);
  EXPECT_EQ(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U) << "nothing has changed";
}

TEST_F(AdjustFunctionsTest, GroupsWithWrongArguments) {
  const TestHandle handle(Grouped());
  Groups wanted({{&k2002, 0}});
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, nullptr, 0, nullptr, nullptr),
              ERROR_INVALID_PARAMETER);
  ExpectError(AdjustTokenGroups(nullptr, FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_INVALID_HANDLE);
  const TestHandle queries(handle.token(), TOKEN_QUERY);
  ExpectError(AdjustTokenGroups(queries.get(), FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_ACCESS_DENIED);
  Groups null({{nullptr, 0}});
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, null.get(), 0, nullptr, nullptr),
              ERROR_INVALID_SID);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  wanted.all[0].Sid = endless.data();
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_INVALID_SID);
  wanted.count = 1025;
  ExpectError(AdjustTokenGroups(handle.get(), FALSE, wanted.get(), 0, nullptr, nullptr),
              ERROR_INVALID_PARAMETER);
  EXPECT_NE(AttributesOf(handle, 2002) & SE_GROUP_ENABLED, 0U);
}

TEST_F(AdjustFunctionsTest, OwnerAndPrimaryGroup) {
  const TestHandle handle(MakeClient(
      {.groups = {{ClientSid(2001), kMandatory | SE_GROUP_OWNER}, {ClientSid(2002), kMandatory}}}));
  const Sid user = ClientSid(1001);
  TOKEN_OWNER owner = {const_cast<Sid*>(&k2001)};
  SetLastError(17);
  ASSERT_EQ(SetTokenInformation(handle.get(), TokenOwner, &owner, sizeof(owner)), TRUE);
  EXPECT_EQ(GetLastError(), 17U);
  EXPECT_EQ(Sid(handle.token()->state()->owner()), k2001);
  for (const Sid* const bad : {&k2002, &kStranger}) {
    owner.Owner = const_cast<Sid*>(bad);
    ExpectError(SetTokenInformation(handle.get(), TokenOwner, &owner, sizeof(owner)),
                ERROR_INVALID_OWNER);
  }
  owner.Owner = nullptr;
  ExpectError(SetTokenInformation(handle.get(), TokenOwner, &owner, sizeof(owner)),
              ERROR_INVALID_SID);
  owner.Owner = const_cast<Sid*>(&user);
  EXPECT_EQ(SetTokenInformation(handle.get(), TokenOwner, &owner, sizeof(owner)), TRUE);
  TOKEN_PRIMARY_GROUP group = {const_cast<Sid*>(&k2002)};
  ASSERT_EQ(SetTokenInformation(handle.get(), TokenPrimaryGroup, &group, sizeof(group)), TRUE);
  EXPECT_EQ(Sid(handle.token()->state()->primary_group()), k2002);
  group.PrimaryGroup = const_cast<Sid*>(&kStranger);
  ExpectError(SetTokenInformation(handle.get(), TokenPrimaryGroup, &group, sizeof(group)),
              ERROR_INVALID_PRIMARY_GROUP);
}

TEST_F(AdjustFunctionsTest, TheDefaultDacl) {
  const TestHandle handle(MakeClient());
  std::array<std::byte, 8> empty{};
  ASSERT_EQ(security::InitializeAcl(empty, ACL_REVISION), security::Fault::kNone);
  TOKEN_DEFAULT_DACL dacl = {reinterpret_cast<PACL>(empty.data())};
  ASSERT_EQ(SetTokenInformation(handle.get(), TokenDefaultDacl, &dacl, sizeof(dacl)), TRUE);
  empty = {};
  ASSERT_TRUE(handle.token()->state()->default_dacl().has_value()) << "it was copied";
  ExpectError(SetTokenInformation(handle.get(), TokenDefaultDacl, &dacl, sizeof(dacl)),
              ERROR_INVALID_ACL);
  dacl.DefaultDacl = nullptr;
  ASSERT_EQ(SetTokenInformation(handle.get(), TokenDefaultDacl, &dacl, sizeof(dacl)), TRUE);
  EXPECT_FALSE(handle.token()->state()->default_dacl().has_value());
}

TEST_F(AdjustFunctionsTest, TheSessionNeedsTheSystemsPrivilege) {
  const TestHandle handle(MakeClient());
  DWORD session = 7;
  TestHandle process;
  ASSERT_EQ(OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, process.out()), TRUE);
  const bool may = ProcessToken()->state()->privileges().held.Has(Privilege::kTcb);
  ExpectError(SetTokenInformation(handle.get(), TokenSessionId, &session, sizeof(session)),
              ERROR_PRIVILEGE_NOT_HELD);
  EXPECT_EQ(handle.token()->state()->session_id(), 0U);
  Privileges tcb({Wish(Privilege::kTcb, SE_PRIVILEGE_ENABLED)});
  ASSERT_EQ(AdjustTokenPrivileges(process.get(), FALSE, tcb.get(), 0, nullptr, nullptr), TRUE);
  EXPECT_EQ(SetTokenInformation(handle.get(), TokenSessionId, &session, sizeof(session)),
            may ? TRUE : FALSE);
  EXPECT_EQ(handle.token()->state()->session_id(), may ? 7U : 0U);
  tcb.all[0].Attributes = 0;
  ASSERT_EQ(AdjustTokenPrivileges(process.get(), FALSE, tcb.get(), 0, nullptr, nullptr), TRUE);
}

TEST_F(AdjustFunctionsTest, InformationWithWrongArguments) {
  const TestHandle handle(MakeClient());
  std::array<std::byte, 64> zeros{};
  for (const auto which : {TokenOwner, TokenPrimaryGroup, TokenDefaultDacl}) {
    ExpectError(SetTokenInformation(handle.get(), which, nullptr, 0), ERROR_BAD_LENGTH);
    ExpectError(SetTokenInformation(handle.get(), which, zeros.data(), 7), ERROR_BAD_LENGTH);
    ExpectError(SetTokenInformation(handle.get(), which, nullptr, 8), ERROR_NOACCESS);
    const TestHandle queries(handle.token(), TOKEN_QUERY);
    ExpectError(SetTokenInformation(queries.get(), which, zeros.data(), 8), ERROR_ACCESS_DENIED);
    ExpectError(SetTokenInformation(nullptr, which, zeros.data(), 8), ERROR_INVALID_HANDLE);
  }
  ExpectError(SetTokenInformation(handle.get(), TokenSessionId, zeros.data(), 3), ERROR_BAD_LENGTH);
  for (const int which : {0, 1, 2, 3, 7, 8, 10, 41, 63}) {
    ExpectError(SetTokenInformation(handle.get(), static_cast<TOKEN_INFORMATION_CLASS>(which),
                                    zeros.data(), sizeof(zeros)),
                ERROR_INVALID_PARAMETER);
  }
}

}  // namespace
}  // namespace ktlsim::authorization
