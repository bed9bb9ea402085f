// GetTokenInformation: each class with its layout, its size, and one byte less.
#include <array>
#include <cstring>
#include <vector>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Privilege;

class TokenInformationTest : public AuthorizationTest {
 protected:
  TokenInformationTest()
      : handle_(MakeClient(
            {.groups = {{security::kWorldSid},
                        {security::Sid(5, {5, 0, 7}),
                         security::kGroupMandatory | security::kGroupEnabled | SE_GROUP_LOGON_ID}},
             .privileges = {.held = {Privilege::kAudit, Privilege::kImpersonate},
                            .enabled = {Privilege::kAudit}}})) {}

  // The block of a class; asked for with too little room first.
  std::vector<std::uint64_t> Get(TOKEN_INFORMATION_CLASS which) {
    return Get(handle_.get(), which);
  }
  static std::vector<std::uint64_t> Get(HANDLE handle, TOKEN_INFORMATION_CLASS which) {
    DWORD needed = 0;
    ExpectError(GetTokenInformation(handle, which, nullptr, 0, &needed), ERROR_INSUFFICIENT_BUFFER);
    EXPECT_GT(needed, 0U);
    std::vector<std::uint64_t> block((needed + 7) / 8 + 1, 0x5555);
    DWORD again = 0;
    ExpectError(GetTokenInformation(handle, which, block.data(), needed - 1, &again),
                ERROR_INSUFFICIENT_BUFFER);
    EXPECT_EQ(again, needed);
    EXPECT_EQ(block.front(), 0x5555U) << "untouched";
    EXPECT_EQ(GetTokenInformation(handle, which, block.data(), needed, &again), TRUE);
    EXPECT_EQ(block.back(), 0x5555U) << "not beyond the end";
    return block;
  }
  static security::Sid SidAt(PSID sid) {
    return security::Sid(*security::SidView::ReadUnbounded(static_cast<const std::byte*>(sid)));
  }
  DWORD Number(TOKEN_INFORMATION_CLASS which) {
    DWORD number = 99;
    DWORD bytes = 0;
    EXPECT_EQ(GetTokenInformation(handle_.get(), which, &number, sizeof(number), &bytes), TRUE);
    EXPECT_EQ(bytes, 4U);
    return number;
  }

  const TestHandle handle_;
};

TEST_F(TokenInformationTest, UserOwnerAndGroups) {
  auto block = Get(TokenUser);
  EXPECT_EQ(SidAt(reinterpret_cast<TOKEN_USER*>(block.data())->User.Sid), ClientSid(1001));
  block = Get(TokenOwner);
  EXPECT_EQ(SidAt(reinterpret_cast<TOKEN_OWNER*>(block.data())->Owner), ClientSid(1001));
  block = Get(TokenPrimaryGroup);
  EXPECT_EQ(SidAt(reinterpret_cast<TOKEN_PRIMARY_GROUP*>(block.data())->PrimaryGroup),
            ClientSid(1001));
  block = Get(TokenGroups);
  const auto* groups = reinterpret_cast<TOKEN_GROUPS*>(block.data());
  ASSERT_EQ(groups->GroupCount, 2U);
  EXPECT_EQ(SidAt(groups->Groups[0].Sid), security::kWorldSid);
  EXPECT_EQ(groups->Groups[0].Attributes, 7U);
  // Each pointer leads into the block.
  const auto* sid = static_cast<const std::uint64_t*>(groups->Groups[1].Sid);
  EXPECT_TRUE(sid > block.data() && sid < block.data() + block.size());
  block = Get(TokenLogonSid);
  groups = reinterpret_cast<TOKEN_GROUPS*>(block.data());
  ASSERT_EQ(groups->GroupCount, 1U);
  EXPECT_EQ(SidAt(groups->Groups[0].Sid), security::Sid(5, {5, 0, 7}));
  block = Get(TokenRestrictedSids);
  EXPECT_EQ(reinterpret_cast<TOKEN_GROUPS*>(block.data())->GroupCount, 0U);
}

// The array begins at 4, its elements have 12 bytes.
TEST_F(TokenInformationTest, Privileges) {
  const auto block = Get(TokenPrivileges);
  std::array<std::uint32_t, 7> words{};
  std::memcpy(words.data(), block.data(), sizeof(words));
  EXPECT_EQ(words, (std::array<std::uint32_t, 7>{2, 21, 0, SE_PRIVILEGE_ENABLED, 29, 0, 0}));
}

TEST_F(TokenInformationTest, NumbersAndTheRest) {
  EXPECT_EQ(Number(::TokenType), DWORD{TokenImpersonation});
  EXPECT_EQ(Number(TokenImpersonationLevel), DWORD{SecurityImpersonation});
  EXPECT_EQ(Number(TokenSessionId), 0U);
  EXPECT_EQ(Number(TokenSandBoxInert), 0U);
  EXPECT_EQ(Number(TokenElevationType), DWORD{TokenElevationTypeDefault});
  EXPECT_EQ(Number(TokenElevation), 0U);
  EXPECT_EQ(Number(TokenHasRestrictions), 0U);
  EXPECT_EQ(Number(TokenIsRestricted), 0U);
  EXPECT_EQ(Number(TokenMandatoryPolicy), 1U);
  EXPECT_EQ(Number(TokenIsAppContainer), 0U);
  auto block = Get(TokenDefaultDacl);
  EXPECT_EQ(reinterpret_cast<TOKEN_DEFAULT_DACL*>(block.data())->DefaultDacl, nullptr);
  block = Get(TokenSource);
  EXPECT_EQ(std::memcmp(block.data(), "test    ", 8), 0);
  block = Get(TokenStatistics);
  const auto* statistics = reinterpret_cast<TOKEN_STATISTICS*>(block.data());
  EXPECT_EQ(statistics->TokenId.LowPart, handle_.token()->state()->token_id().low);
  EXPECT_EQ(statistics->GroupCount, 2U);
  EXPECT_EQ(statistics->PrivilegeCount, 2U);
  EXPECT_EQ(statistics->ExpirationTime.QuadPart, INT64_MAX);
  block = Get(TokenIntegrityLevel);
  EXPECT_EQ(SidAt(reinterpret_cast<TOKEN_MANDATORY_LABEL*>(block.data())->Label.Sid),
            security::Sid(16, {8192}));
  block = Get(TokenOrigin);
  EXPECT_EQ(block.front(), 0U);
  block = Get(TokenGroupsAndPrivileges);
  const auto* all = reinterpret_cast<TOKEN_GROUPS_AND_PRIVILEGES*>(block.data());
  EXPECT_EQ(all->SidCount, 3U);
  EXPECT_EQ(SidAt(all->Sids[2].Sid), security::Sid(5, {5, 0, 7}));
  EXPECT_EQ(all->RestrictedSids, nullptr);
  ASSERT_EQ(all->PrivilegeCount, 2U);
  EXPECT_EQ(all->Privileges[1].Luid.LowPart, 29U);
}

TEST_F(TokenInformationTest, OfTheProcess) {
  const auto block = Get(reinterpret_cast<HANDLE>(kCurrentProcessToken), TokenDefaultDacl);
  const auto* dacl = reinterpret_cast<const TOKEN_DEFAULT_DACL*>(block.data())->DefaultDacl;
  ASSERT_NE(dacl, nullptr);
  EXPECT_EQ(dacl->AceCount, 2U);
  DWORD bytes = 0;
  DWORD number = 0;
  ExpectError(GetTokenInformation(reinterpret_cast<HANDLE>(kCurrentProcessToken),
                                  TokenImpersonationLevel, &number, 4, &bytes),
              ERROR_INVALID_PARAMETER);
  ExpectError(GetTokenInformation(reinterpret_cast<HANDLE>(kCurrentThreadToken), ::TokenType,
                                  &number, 4, &bytes),
              ERROR_NO_TOKEN);
  ASSERT_EQ(GetTokenInformation(reinterpret_cast<HANDLE>(kCurrentThreadEffectiveToken), ::TokenType,
                                &number, 4, &bytes),
            TRUE);
  EXPECT_EQ(number, DWORD{TokenPrimary});
}

TEST_F(TokenInformationTest, WrongArguments) {
  DWORD bytes = 0;
  DWORD number = 0;
  for (const int which : {0, 14, 16, 19, 22, 26, 30, 39, 41, 63}) {
    ExpectError(GetTokenInformation(handle_.get(), static_cast<TOKEN_INFORMATION_CLASS>(which),
                                    &number, 4, &bytes),
                ERROR_INVALID_PARAMETER);
  }
  ExpectError(GetTokenInformation(handle_.get(), ::TokenType, nullptr, 4, &bytes), ERROR_NOACCESS);
  ExpectError(GetTokenInformation(handle_.get(), ::TokenType, &number, 4, nullptr), ERROR_NOACCESS);
  ExpectError(GetTokenInformation(nullptr, ::TokenType, &number, 4, &bytes), ERROR_INVALID_HANDLE);
  const TestHandle blind(MakeClient(), TOKEN_QUERY_SOURCE);
  ExpectError(GetTokenInformation(blind.get(), ::TokenType, &number, 4, &bytes),
              ERROR_ACCESS_DENIED);
  const TestHandle sourceless(MakeClient(), TOKEN_QUERY);
  std::array<std::uint64_t, 2> source{};
  ExpectError(GetTokenInformation(sourceless.get(), ::TokenSource, source.data(), 16, &bytes),
              ERROR_ACCESS_DENIED);
}

}  // namespace
}  // namespace ktlsim::authorization
