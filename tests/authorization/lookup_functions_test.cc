// Names of privileges and accounts through the C API.
#include <unistd.h>

#include <array>
#include <string>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::Sid;

class LookupFunctionsTest : public AuthorizationTest {
 protected:
  struct Names {
    std::array<char, 64> name{};
    DWORD name_units = 64;
    std::array<char, 64> domain{};
    DWORD domain_units = 64;
    SID_NAME_USE use = SidTypeUnknown;
  };
  static BOOL NameOf(const Sid& sid, Names* names) {
    return LookupAccountSidA(nullptr, const_cast<Sid*>(&sid), names->name.data(),
                             &names->name_units, names->domain.data(), &names->domain_units,
                             &names->use);
  }
  // "domain\name" of a SID.
  static std::string FullNameOf(const Sid& sid) {
    Names names;
    if (NameOf(sid, &names) != TRUE) return "";
    return std::string(names.domain.data()) + "\\" + names.name.data();
  }

  static BOOL SidOf(const char* name, std::array<std::byte, 68>* sid) {
    DWORD bytes = sizeof(*sid);
    std::array<char, 64> domain{};
    DWORD domain_units = domain.size();
    SID_NAME_USE use = SidTypeUnknown;
    return LookupAccountNameA("", name, sid->data(), &bytes, domain.data(), &domain_units, &use);
  }
};

TEST_F(LookupFunctionsTest, PrivilegesByNameAndNumber) {
  LUID luid{};
  ASSERT_EQ(LookupPrivilegeValueA(nullptr, "seSECURITYprivilege", &luid), TRUE);
  EXPECT_EQ(luid.LowPart, 8U);
  ASSERT_EQ(LookupPrivilegeValueW(u"", u"SeAuditPrivilege", &luid), TRUE);
  EXPECT_EQ(luid.LowPart, 21U);
  EXPECT_EQ(luid.HighPart, 0);
  std::array<char, 32> name{};
  DWORD units = 16;
  ExpectError(LookupPrivilegeNameA(nullptr, &luid, name.data(), &units), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(units, 17U) << "with the null";
  EXPECT_EQ(name[0], 0);
  ASSERT_EQ(LookupPrivilegeNameA("", &luid, name.data(), &units), TRUE);
  EXPECT_EQ(units, 16U) << "without it";
  EXPECT_STREQ(name.data(), "SeAuditPrivilege");
  std::array<WCHAR, 32> wide{};
  units = wide.size();
  ASSERT_EQ(LookupPrivilegeNameW(nullptr, &luid, wide.data(), &units), TRUE);
  EXPECT_EQ(std::u16string(wide.data()), u"SeAuditPrivilege");
}

TEST_F(LookupFunctionsTest, PrivilegesWithWrongArguments) {
  LUID luid = {8, 1};
  std::array<char, 32> name{};
  DWORD units = 32;
  ExpectError(LookupPrivilegeNameA(nullptr, &luid, name.data(), &units), ERROR_NO_SUCH_PRIVILEGE);
  luid = {1, 0};
  ExpectError(LookupPrivilegeNameA(nullptr, &luid, name.data(), &units), ERROR_NO_SUCH_PRIVILEGE);
  luid = {8, 0};
  ExpectError(LookupPrivilegeNameA(nullptr, nullptr, name.data(), &units), ERROR_NOACCESS);
  ExpectError(LookupPrivilegeNameA(nullptr, &luid, nullptr, &units), ERROR_NOACCESS);
  ExpectError(LookupPrivilegeNameA(nullptr, &luid, name.data(), nullptr), ERROR_NOACCESS);
  ExpectError(LookupPrivilegeNameA("other", &luid, name.data(), &units), ERROR_INVALID_PARAMETER);
  ExpectError(LookupPrivilegeValueA(nullptr, "SeNothingPrivilege", &luid), ERROR_NO_SUCH_PRIVILEGE);
  ExpectError(LookupPrivilegeValueA(nullptr, "", &luid), ERROR_NO_SUCH_PRIVILEGE);
  ExpectError(LookupPrivilegeValueA(nullptr, nullptr, &luid), ERROR_INVALID_PARAMETER);
  ExpectError(LookupPrivilegeValueA(nullptr, "SeAuditPrivilege", nullptr), ERROR_NOACCESS);
  ExpectError(LookupPrivilegeValueA("other", "SeAuditPrivilege", &luid), ERROR_INVALID_PARAMETER);
  EXPECT_EQ(luid.LowPart, 8U);
}

TEST_F(LookupFunctionsTest, AccountsThatMeanTheSameEverywhere) {
  EXPECT_EQ(FullNameOf(security::kWorldSid), "\\Everyone");
  EXPECT_EQ(FullNameOf(security::kAdministratorsSid), "BUILTIN\\Administrators");
  EXPECT_EQ(FullNameOf(security::kLocalSystemSid), "NT AUTHORITY\\SYSTEM");
  Names names;
  ASSERT_EQ(NameOf(security::kAdministratorsSid, &names), TRUE);
  EXPECT_EQ(names.use, SidTypeAlias);
  EXPECT_EQ(names.name_units, 14U);
  EXPECT_EQ(names.domain_units, 7U);
  for (const char* const name :
       {"Administrators", "administrators", "BUILTIN\\Administrators", "Administrators@builtin"}) {
    std::array<std::byte, 68> sid{};
    ASSERT_EQ(SidOf(name, &sid), TRUE) << name;
    EXPECT_EQ(EqualSid(sid.data(), const_cast<Sid*>(&security::kAdministratorsSid)), TRUE);
  }
}

TEST_F(LookupFunctionsTest, AccountsOfThisMachine) {
  const Sid root = SidOfUnixUser(0);
  EXPECT_EQ(FullNameOf(root), "Unix User\\root");
  EXPECT_EQ(FullNameOf(SidOfUnixGroup(0)), "Unix Group\\root");
  std::array<std::byte, 68> sid{};
  ASSERT_EQ(SidOf("root", &sid), TRUE);
  EXPECT_EQ(EqualSid(sid.data(), const_cast<Sid*>(&root)), TRUE);
  ASSERT_EQ(SidOf("Unix Group\\root", &sid), TRUE);
  const Sid group = SidOfUnixGroup(0);
  EXPECT_EQ(EqualSid(sid.data(), const_cast<Sid*>(&group)), TRUE);
  ExpectError(SidOf("ROOT", &sid), ERROR_NONE_MAPPED);
  ExpectError(SidOf("BUILTIN\\root", &sid), ERROR_NONE_MAPPED);
}

TEST_F(LookupFunctionsTest, AccountsThatNobodyHas) {
  Names names;
  for (const Sid& sid : {ClientSid(1001), Sid(5, {32, 9999}), SidOfUnixUser(0xFFFFFFF0),
                         SidOfUnixGroup(0xFFFFFFF0), Sid(22, {3, 0}), Sid(5, {})}) {
    ExpectError(NameOf(sid, &names), ERROR_NONE_MAPPED);
  }
  std::array<std::byte, 68> sid{};
  for (const char* const name : {"", "nobody has this", "\\", "@", "x\\Everyone"}) {
    ExpectError(SidOf(name, &sid), ERROR_NONE_MAPPED);
  }
}

TEST_F(LookupFunctionsTest, SizesOfBothAreTold) {
  Names names;
  names.name_units = 64;
  names.domain_units = 7;
  ExpectError(NameOf(security::kAdministratorsSid, &names), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(names.name_units, 15U);
  EXPECT_EQ(names.domain_units, 8U);
  EXPECT_EQ(names.name[0], 0);
  // Without buffers that would be large enough.
  auto* const sid = const_cast<Sid*>(&security::kAdministratorsSid);
  ASSERT_EQ(LookupAccountSidA(nullptr, sid, nullptr, &names.name_units, nullptr,
                              &names.domain_units, &names.use),
            TRUE);
  EXPECT_EQ(names.name_units, 14U);
  DWORD bytes = 15;
  DWORD units = 8;
  std::array<char, 8> domain{};
  std::array<std::byte, 16> memory{};
  ExpectError(LookupAccountNameA(nullptr, "Administrators", memory.data(), &bytes, domain.data(),
                                 &units, &names.use),
              ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(bytes, 16U);
  EXPECT_EQ(units, 8U);
  ASSERT_EQ(LookupAccountNameA(nullptr, "Administrators", memory.data(), &bytes, domain.data(),
                               &units, &names.use),
            TRUE);
  EXPECT_STREQ(domain.data(), "BUILTIN");
  EXPECT_EQ(units, 7U);
}

TEST_F(LookupFunctionsTest, AccountsWithWrongArguments) {
  Names names;
  auto* const sid = const_cast<Sid*>(&security::kWorldSid);
  std::array<std::byte, 8> endless = {std::byte{1}, std::byte{255}};
  for (const PSID bad : {PSID{nullptr}, PSID{endless.data()}}) {
    ExpectError(LookupAccountSidA(nullptr, bad, nullptr, &names.name_units, nullptr,
                                  &names.domain_units, &names.use),
                ERROR_INVALID_SID);
  }
  ExpectError(LookupAccountSidA("other", sid, nullptr, &names.name_units, nullptr,
                                &names.domain_units, &names.use),
              ERROR_INVALID_PARAMETER);
  ExpectError(
      LookupAccountSidA(nullptr, sid, nullptr, nullptr, nullptr, &names.domain_units, &names.use),
      ERROR_NOACCESS);
  ExpectError(LookupAccountSidW(nullptr, sid, nullptr, &names.name_units, nullptr,
                                &names.domain_units, nullptr),
              ERROR_NOACCESS);
  DWORD bytes = 68;
  ExpectError(LookupAccountNameW(nullptr, nullptr, endless.data(), &bytes, nullptr,
                                 &names.domain_units, &names.use),
              ERROR_INVALID_PARAMETER);
  ExpectError(LookupAccountNameA(nullptr, "\xff", endless.data(), &bytes, nullptr,
                                 &names.domain_units, &names.use),
              ERROR_INVALID_PARAMETER);
  ExpectError(LookupAccountNameA(nullptr, "Everyone", nullptr, &bytes, nullptr, &names.domain_units,
                                 &names.use),
              ERROR_NOACCESS);
}

TEST_F(LookupFunctionsTest, TheNameOfWhoeverActs) {
  std::array<char, 64> name{};
  DWORD units = name.size();
  if (geteuid() == 0) {
    ASSERT_EQ(GetUserNameA(name.data(), &units), TRUE);
    EXPECT_STREQ(name.data(), "root");
  }
  ASSERT_EQ(ImpersonateAnonymousToken(GetCurrentThread()), TRUE);
  std::array<WCHAR, 64> wide{};
  units = wide.size();
  ASSERT_EQ(GetUserNameW(wide.data(), &units), TRUE);
  EXPECT_EQ(std::u16string(wide.data()), u"ANONYMOUS LOGON");
  EXPECT_EQ(units, 15U);
  units = 15;
  ExpectError(GetUserNameA(name.data(), &units), ERROR_INSUFFICIENT_BUFFER);
  EXPECT_EQ(units, 16U);
  ExpectError(GetUserNameA(name.data(), nullptr), ERROR_NOACCESS);
  ASSERT_EQ(Impersonate(MakeClient()), security::Fault::kNone);
  units = name.size();
  ExpectError(GetUserNameA(name.data(), &units), ERROR_NONE_MAPPED);
  ASSERT_EQ(Impersonate(MakeClient({.level = security::ImpersonationLevel::kAnonymous})),
            security::Fault::kNone);
  ExpectError(GetUserNameA(name.data(), &units), ERROR_CANT_OPEN_ANONYMOUS);
  ExpectError(GetUserNameW(wide.data(), &units), ERROR_CANT_OPEN_ANONYMOUS);
  EXPECT_EQ(units, name.size()) << "nothing is told";
}

TEST_F(LookupFunctionsTest, NumbersAreGivenOnce) {
  LUID a{};
  LUID b{};
  ASSERT_EQ(AllocateLocallyUniqueId(&a), TRUE);
  ASSERT_EQ(AllocateLocallyUniqueId(&b), TRUE);
  EXPECT_NE(a.LowPart, b.LowPart);
  ExpectError(AllocateLocallyUniqueId(nullptr), ERROR_NOACCESS);
}

}  // namespace
}  // namespace ktlsim::authorization
