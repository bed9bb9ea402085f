// What tokens have, and copies that can do less, through the C API.
#include <array>
#include <cstring>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::ImpersonationLevel;
using security::Privilege;
using security::Sid;
using security::TokenType;

class RestrictionFunctionsTest : public AuthorizationTest {
 protected:
  struct Required {
    PPRIVILEGE_SET get() { return reinterpret_cast<PPRIVILEGE_SET>(this); }

    DWORD count = 2;
    DWORD control = PRIVILEGE_SET_ALL_NECESSARY;
    std::array<LUID_AND_ATTRIBUTES, 2> all = {{{{8, 0}, 0}, {{17, 0}, 0}}};
  };
  static_assert(offsetof(Required, all) == offsetof(PRIVILEGE_SET, Privilege));

  static security::Token::Ref Backup(TokenType type = TokenType::kImpersonation) {
    return MakeClient({.type = type,
                       .privileges = {.held = {Privilege::kSecurity, Privilege::kBackup,
                                               Privilege::kChangeNotify},
                                      .enabled = {Privilege::kBackup, Privilege::kChangeNotify}}});
  }
  static PSID Pointer(const Sid& sid) { return const_cast<Sid*>(&sid); }
  // Shorter than the function's nine arguments.
  static BOOL Restrict(HANDLE handle, DWORD flags, DWORD disabled, PSID_AND_ATTRIBUTES disable,
                       DWORD restricted, PSID_AND_ATTRIBUTES restrict, PHANDLE made) {
    return CreateRestrictedToken(handle, flags, disabled, disable, 0, nullptr, restricted, restrict,
                                 made);
  }

  static inline const Sid kUser = ClientSid(1001);
  static inline const Sid kGroup = ClientSid(2001);
  static inline const Sid kOther = ClientSid(2002);
};

TEST_F(RestrictionFunctionsTest, PrivilegesAllOrAny) {
  for (const TokenType type : {TokenType::kImpersonation, TokenType::kPrimary}) {
    const TestHandle handle(Backup(type), TOKEN_QUERY);
    Required required;
    BOOL result = 77;
    ASSERT_EQ(PrivilegeCheck(handle.get(), required.get(), &result), TRUE);
    EXPECT_EQ(result, FALSE) << "one of them is not enabled";
    EXPECT_EQ(required.all[0].Attributes, 0U);
    EXPECT_EQ(required.all[1].Attributes, DWORD{SE_PRIVILEGE_USED_FOR_ACCESS});
    required = {.control = 0};
    ASSERT_EQ(PrivilegeCheck(handle.get(), required.get(), &result), TRUE);
    EXPECT_EQ(result, TRUE);
    required.all[0].Luid.LowPart = 23;
    required.control = PRIVILEGE_SET_ALL_NECESSARY;
    ASSERT_EQ(PrivilegeCheck(handle.get(), required.get(), &result), TRUE);
    EXPECT_EQ(result, TRUE);
    required.all[0].Luid.HighPart = 1;  // no privilege
    ASSERT_EQ(PrivilegeCheck(handle.get(), required.get(), &result), TRUE);
    EXPECT_EQ(result, FALSE);
  }
}

TEST_F(RestrictionFunctionsTest, PrivilegesWithWrongArguments) {
  const TestHandle handle(Backup());
  Required required;
  BOOL result = 77;
  ExpectError(PrivilegeCheck(handle.get(), nullptr, &result), ERROR_NOACCESS);
  ExpectError(PrivilegeCheck(handle.get(), required.get(), nullptr), ERROR_NOACCESS);
  ExpectError(PrivilegeCheck(nullptr, required.get(), &result), ERROR_INVALID_HANDLE);
  const TestHandle blind(handle.token(), TOKEN_IMPERSONATE);
  ExpectError(PrivilegeCheck(blind.get(), required.get(), &result), ERROR_ACCESS_DENIED);
  const TestHandle anonymous(MakeClient({.level = ImpersonationLevel::kAnonymous}));
  ExpectError(PrivilegeCheck(anonymous.get(), required.get(), &result),
              ERROR_BAD_IMPERSONATION_LEVEL);
  const TestHandle identified(MakeClient({.level = ImpersonationLevel::kIdentification}));
  EXPECT_EQ(PrivilegeCheck(identified.get(), required.get(), &result), TRUE);
  result = 77;
  for (const DWORD count : {DWORD{65}, DWORD{0xFFFFFFFF}}) {
    required.count = count;
    ExpectError(PrivilegeCheck(handle.get(), required.get(), &result), ERROR_INVALID_PARAMETER);
  }
  EXPECT_EQ(result, 77);
}

TEST_F(RestrictionFunctionsTest, Membership) {
  const TestHandle handle(MakeClient({.groups = {{kGroup}, {kOther, SE_GROUP_USE_FOR_DENY_ONLY}}}),
                          TOKEN_QUERY);
  BOOL is = 77;
  SetLastError(17);
  ASSERT_EQ(CheckTokenMembership(handle.get(), Pointer(kGroup), &is), TRUE);
  EXPECT_EQ(is, TRUE);
  ASSERT_EQ(CheckTokenMembership(handle.get(), Pointer(kUser), &is), TRUE);
  EXPECT_EQ(is, TRUE);
  ASSERT_EQ(CheckTokenMembership(handle.get(), Pointer(kOther), &is), TRUE);
  EXPECT_EQ(is, FALSE) << "it only denies";
  EXPECT_EQ(GetLastError(), 17U);
  const TestHandle primary(MakeClient({.type = TokenType::kPrimary}));
  is = 77;
  ExpectError(CheckTokenMembership(primary.get(), Pointer(kUser), &is),
              ERROR_NO_IMPERSONATION_TOKEN);
  EXPECT_EQ(is, FALSE);
  ExpectError(CheckTokenMembership(handle.get(), Pointer(kUser), nullptr), ERROR_NOACCESS);
  ExpectError(CheckTokenMembership(handle.get(), nullptr, &is), ERROR_INVALID_SID);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  ExpectError(CheckTokenMembership(handle.get(), endless.data(), &is), ERROR_INVALID_SID);
  const TestHandle blind(handle.token(), TOKEN_IMPERSONATE);
  ExpectError(CheckTokenMembership(blind.get(), Pointer(kUser), &is), ERROR_ACCESS_DENIED);
  const TestHandle anonymous(MakeClient({.level = ImpersonationLevel::kAnonymous}));
  ExpectError(CheckTokenMembership(anonymous.get(), Pointer(kUser), &is),
              ERROR_BAD_IMPERSONATION_LEVEL);
}

// The result lies where the SID is.
TEST_F(RestrictionFunctionsTest, MembershipOverTheSid) {
  const TestHandle handle(MakeClient({.groups = {{kGroup}}}), TOKEN_QUERY);
  for (const std::size_t offset : {0U, 24U}) {
    Sid sid = kGroup;
    auto* const is = reinterpret_cast<PBOOL>(reinterpret_cast<std::byte*>(&sid) + offset);
    ASSERT_EQ(CheckTokenMembership(handle.get(), &sid, is), TRUE) << offset;
    EXPECT_EQ(*is, TRUE) << offset;
  }
}

TEST_F(RestrictionFunctionsTest, MembershipOfWhoeverActs) {
  BOOL is = FALSE;
  const Sid own(ProcessToken()->state()->user());
  ASSERT_EQ(CheckTokenMembership(nullptr, Pointer(own), &is), TRUE);
  EXPECT_EQ(is, TRUE);
  ASSERT_EQ(Impersonate(MakeClient()), security::Fault::kNone);
  ASSERT_EQ(CheckTokenMembership(nullptr, Pointer(own), &is), TRUE);
  EXPECT_EQ(is, FALSE);
  ASSERT_EQ(CheckTokenMembership(nullptr, Pointer(kUser), &is), TRUE);
  EXPECT_EQ(is, TRUE);
}

TEST_F(RestrictionFunctionsTest, ARestrictedTokenPassesBothLists) {
  const TestHandle handle(MakeClient({.groups = {{kGroup}, {kOther}}}));
  SID_AND_ATTRIBUTES restrict = {Pointer(kGroup), 0};
  TestHandle made;
  ASSERT_EQ(Restrict(handle.get(), 0, 0, nullptr, 1, & restrict, made.out()), TRUE);
  EXPECT_EQ(IsTokenRestricted(made.get()), TRUE);
  EXPECT_EQ(made.access(), DWORD{TOKEN_ALL_ACCESS}) << "that of the old handle";
  EXPECT_EQ(made.token()->state()->type(), TokenType::kImpersonation);
  BOOL is = FALSE;
  ASSERT_EQ(CheckTokenMembership(made.get(), Pointer(kGroup), &is), TRUE);
  EXPECT_EQ(is, TRUE);
  ASSERT_EQ(CheckTokenMembership(made.get(), Pointer(kOther), &is), TRUE);
  EXPECT_EQ(is, FALSE);
  // Lists intersect, to nothing here, and it stays restricted.
  restrict.Sid = Pointer(kOther);
  TestHandle both;
  ASSERT_EQ(Restrict(made.get(), 0, 0, nullptr, 1, & restrict, both.out()), TRUE);
  EXPECT_EQ(IsTokenRestricted(both.get()), TRUE);
  ASSERT_EQ(CheckTokenMembership(both.get(), Pointer(kGroup), &is), TRUE);
  EXPECT_EQ(is, FALSE);
  TestHandle writes;
  ASSERT_EQ(Restrict(handle.get(), WRITE_RESTRICTED | SANDBOX_INERT, 0, nullptr, 1, & restrict,
                     writes.out()),
            TRUE);
  EXPECT_TRUE(writes.token()->state()->write_restricted());
  EXPECT_TRUE(writes.token()->state()->sandbox_inert());
}

TEST_F(RestrictionFunctionsTest, DisabledSidsOnlyDeny) {
  const TestHandle handle(MakeClient({.groups = {{kGroup}}}));
  const Sid stranger = ClientSid(9999);
  std::array<SID_AND_ATTRIBUTES, 3> disable = {
      {{Pointer(kUser), 5}, {Pointer(kGroup), 0}, {Pointer(stranger), 0}}};
  TestHandle made;
  ASSERT_EQ(Restrict(handle.get(), 0, 3, disable.data(), 0, nullptr, made.out()), TRUE);
  const security::TokenStateRef state = made.token()->state();
  EXPECT_EQ(state->attributes(0), DWORD{SE_GROUP_USE_FOR_DENY_ONLY}) << "the user, too";
  EXPECT_EQ(state->attributes(1), DWORD{SE_GROUP_MANDATORY | SE_GROUP_USE_FOR_DENY_ONLY});
  EXPECT_EQ(state->sids().size(), 2U);
  EXPECT_FALSE(state->restricted());
  EXPECT_EQ(handle.token()->state()->attributes(0), 0U) << "the old one is as it was";
}

TEST_F(RestrictionFunctionsTest, PrivilegesAreTakenAway) {
  const TestHandle handle(Backup());
  std::array<LUID_AND_ATTRIBUTES, 2> remove = {{{{8, 0}, 0}, {{99, 0}, 0}}};
  TestHandle made;
  ASSERT_EQ(
      CreateRestrictedToken(handle.get(), 0, 0, nullptr, 2, remove.data(), 0, nullptr, made.out()),
      TRUE);
  EXPECT_EQ(made.token()->state()->privileges().held,
            security::PrivilegeSet({Privilege::kBackup, Privilege::kChangeNotify}));
  remove[0].Luid.LowPart = 23;
  TestHandle least;
  ASSERT_EQ(CreateRestrictedToken(handle.get(), DISABLE_MAX_PRIVILEGE, 0, nullptr, 1, remove.data(),
                                  0, nullptr, least.out()),
            TRUE);
  EXPECT_EQ(least.token()->state()->privileges().held,
            security::PrivilegeSet({Privilege::kChangeNotify}))
      << "whatever is named";
}

// What User Account Control takes from an administrator.
TEST_F(RestrictionFunctionsTest, AnAdministratorAsAStandardUser) {
  const Sid domain_administrators(5, {21, 1, 2, 3, 512});
  const Sid users(5, {32, 545});
  constexpr DWORD kUsual = SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED;
  security::TokenContents contents;
  contents.user = kUser;
  const std::array<security::TokenGroup, 4> groups = {
      {{security::kAdministratorsSid, kUsual | SE_GROUP_OWNER},
       {domain_administrators, kUsual},
       {users, kUsual},
       {kGroup, kUsual}}};
  contents.groups = groups;
  contents.owner = security::kAdministratorsSid;
  contents.privileges.held = {Privilege::kSecurity, Privilege::kImpersonate, Privilege::kTimeZone,
                              Privilege::kShutdown, Privilege::kChangeNotify};
  contents.privileges.enabled = contents.privileges.held;
  contents.integrity = security::kHighIntegrity;
  contents.token_id = NextLuid();
  security::Token::Ref token;
  ASSERT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  const TestHandle handle(token);
  LUID_AND_ATTRIBUTES remove = {{19, 0}, 0};  // SeShutdownPrivilege, named as well
  TestHandle made;
  ASSERT_EQ(CreateRestrictedToken(handle.get(), LUA_TOKEN, 0, nullptr, 1, &remove, 0, nullptr,
                                  made.out()),
            TRUE);
  const security::TokenStateRef state = made.token()->state();
  EXPECT_EQ(state->privileges().held,
            security::PrivilegeSet({Privilege::kTimeZone, Privilege::kChangeNotify}));
  EXPECT_EQ(state->privileges().enabled, state->privileges().held);
  EXPECT_EQ(state->integrity(), security::kMediumIntegrity);
  EXPECT_FALSE(state->IsMember(security::kAdministratorsSid));
  EXPECT_FALSE(state->IsMember(domain_administrators));
  EXPECT_TRUE(state->IsMember(users));
  EXPECT_TRUE(state->IsMember(kGroup));
  EXPECT_EQ(Sid(state->owner()), kUser) << "who only denies owns nothing";
  EXPECT_EQ(state->attributes(1),
            DWORD{SE_GROUP_MANDATORY | SE_GROUP_OWNER | SE_GROUP_USE_FOR_DENY_ONLY});
  EXPECT_EQ(IsTokenRestricted(made.get()), FALSE);
  EXPECT_EQ(token->state()->integrity(), security::kHighIntegrity) << "the old one is as it was";
  // Low integrity stays low, and DISABLE_MAX_PRIVILEGE leaves one privilege only.
  contents.integrity = security::kLowIntegrity;
  ASSERT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  const TestHandle low(token);
  TestHandle least;
  ASSERT_EQ(
      Restrict(low.get(), LUA_TOKEN | DISABLE_MAX_PRIVILEGE, 0, nullptr, 0, nullptr, least.out()),
      TRUE);
  EXPECT_EQ(least.token()->state()->integrity(), security::kLowIntegrity);
  EXPECT_EQ(least.token()->state()->privileges().held,
            security::PrivilegeSet({Privilege::kChangeNotify}));
}

TEST_F(RestrictionFunctionsTest, RestrictingWithWrongArguments) {
  const TestHandle handle(MakeClient());
  HANDLE none = nullptr;
  SID_AND_ATTRIBUTES sid = {Pointer(kGroup), 1};
  ExpectError(Restrict(handle.get(), 0, 0, nullptr, 1, &sid, &none), ERROR_INVALID_PARAMETER);
  for (const DWORD flags : {DWORD{0x10}, DWORD{0x80000000}}) {
    ExpectError(Restrict(handle.get(), flags, 0, nullptr, 0, nullptr, &none),
                ERROR_INVALID_PARAMETER);
  }
  ExpectError(Restrict(handle.get(), 0, 0, nullptr, 0, nullptr, nullptr), ERROR_NOACCESS);
  ExpectError(Restrict(handle.get(), 0, 1, nullptr, 0, nullptr, &none), ERROR_NOACCESS);
  ExpectError(Restrict(handle.get(), 0, 0, nullptr, 1, nullptr, &none), ERROR_NOACCESS);
  ExpectError(CreateRestrictedToken(handle.get(), 0, 0, nullptr, 1, nullptr, 0, nullptr, &none),
              ERROR_NOACCESS);
  for (const DWORD count : {DWORD{1025}, DWORD{0xFFFFFFFF}}) {
    ExpectError(Restrict(handle.get(), 0, count, &sid, 0, nullptr, &none), ERROR_INVALID_PARAMETER);
    ExpectError(Restrict(handle.get(), 0, 0, nullptr, count, &sid, &none), ERROR_INVALID_PARAMETER);
  }
  sid = {nullptr, 0};
  ExpectError(Restrict(handle.get(), 0, 1, &sid, 0, nullptr, &none), ERROR_INVALID_SID);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  sid.Sid = endless.data();
  ExpectError(Restrict(handle.get(), 0, 0, nullptr, 1, &sid, &none), ERROR_INVALID_SID);
  const TestHandle queries(handle.token(), TOKEN_QUERY);
  ExpectError(Restrict(queries.get(), 0, 0, nullptr, 0, nullptr, &none), ERROR_ACCESS_DENIED);
  ExpectError(Restrict(nullptr, 0, 0, nullptr, 0, nullptr, &none), ERROR_INVALID_HANDLE);
  EXPECT_EQ(none, nullptr);
}

TEST_F(RestrictionFunctionsTest, ActingAsNobody) {
  ASSERT_EQ(ImpersonateAnonymousToken(GetCurrentThread()), TRUE);
  const security::Token::Ref token = ThreadToken();
  ASSERT_NE(token, nullptr);
  const security::TokenStateRef state = token->state();
  EXPECT_EQ(Sid(state->user()), Sid(5, {7}));
  EXPECT_EQ(state->sids().size(), 1U);
  EXPECT_EQ(state->privileges().held, security::PrivilegeSet({Privilege::kChangeNotify}));
  EXPECT_EQ(state->integrity(), security::kUntrustedIntegrity);
  EXPECT_TRUE(state->default_dacl().has_value());
  EXPECT_EQ(state->identity().authentication_id, (security::Luid{0x3E6, 0}));
  HANDLE none = nullptr;
  ExpectError(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &none), ERROR_ACCESS_DENIED);
  ExpectError(ImpersonateAnonymousToken(GetCurrentProcess()), ERROR_INVALID_HANDLE);
  ExpectError(ImpersonateAnonymousToken(nullptr), ERROR_INVALID_HANDLE);
  EXPECT_EQ(ThreadToken(), token) << "a failure leaves the thread as it was";
  EXPECT_EQ(RevertToSelf(), TRUE);
}

}  // namespace
}  // namespace ktlsim::authorization
