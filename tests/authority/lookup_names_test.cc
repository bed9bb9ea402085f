// LookupAccountName and LookupAccountSid know the accounts that are loaded.
#include <array>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "tests/authority/authority_test_support.h"

namespace ktlsim::test {
namespace {

constexpr char kText[] = R"(
domain = 'EXAMPLE'
domain-sid = 'S-1-5-21-1-2-3'
[[group]]
name = 'staff'
sid = 'S-1-5-21-1-2-3-1100'
)";

std::string Accounts() {
  return kText + AccountText("Ålice", "sid = 'S-1-5-21-1-2-3-1001'\nupn = 'al@example.org'\n") +
         AccountText("root", "sid = 'S-1-5-21-1-2-3-1002'\n");
}

class LookupNamesTest : public AuthorityTest {
 protected:
  // "domain\name use" of a SID; or the error.
  static std::string NameOf(const char* sid_text) {
    security::Sid sid = accounts::test::SidOfText(sid_text);
    std::array<char, 64> name{};
    std::array<char, 64> domain{};
    DWORD name_units = name.size();
    DWORD domain_units = domain.size();
    SID_NAME_USE use = SidTypeUnknown;
    if (LookupAccountSidA(nullptr, &sid, name.data(), &name_units, domain.data(), &domain_units,
                          &use) != TRUE) {
      return std::to_string(GetLastError());
    }
    return std::string(domain.data()) + "\\" + name.data() + " " + std::to_string(use);
  }
  // "SID domain use" of a name; or the error.
  static std::string SidOf(const char* name) {
    std::array<std::byte, SECURITY_MAX_SID_SIZE> sid{};
    auto bytes = static_cast<DWORD>(sid.size());
    std::array<char, 64> domain{};
    auto units = static_cast<DWORD>(domain.size());
    SID_NAME_USE use = SidTypeUnknown;
    if (LookupAccountNameA(nullptr, name, sid.data(), &bytes, domain.data(), &units, &use) !=
        TRUE) {
      return std::to_string(GetLastError());
    }
    const auto view = security::SidView::Read(sid);
    return accounts::test::SidTextOf(*view) + " " + domain.data() + " " + std::to_string(use);
  }
};

constexpr char kNoneMapped[] = "1332";  // ERROR_NONE_MAPPED, as NameOf and SidOf tell it

TEST_F(LookupNamesTest, UsersGroupsAndTheDomainByTheirSids) {
  EXPECT_EQ(NameOf("S-1-5-21-1-2-3-1001"), kNoneMapped) << "nothing is loaded";
  ASSERT_EQ(Load(Accounts()), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(NameOf("S-1-5-21-1-2-3-1001"), "EXAMPLE\\Ålice 1");
  EXPECT_EQ(NameOf("S-1-5-21-1-2-3-1100"), "EXAMPLE\\staff 2");
  EXPECT_EQ(NameOf("S-1-5-21-1-2-3"), "EXAMPLE\\EXAMPLE 3");
  EXPECT_EQ(NameOf("S-1-5-21-1-2-3-1003"), kNoneMapped);
  EXPECT_EQ(NameOf("S-1-22-1-0"), "Unix User\\root 1");
}

TEST_F(LookupNamesTest, UsersGroupsAndTheDomainByTheirNames) {
  ASSERT_EQ(Load(Accounts()), SEC_E_OK) << KtlsimLastErrorText();
  const std::string user = "S-1-5-21-1-2-3-1001 EXAMPLE 1";
  for (const char* const name : {"Ålice", "ÅLICE", "EXAMPLE\\Ålice", "example\\Ålice", ".\\Ålice",
                                 "Ålice@example", "al@example.org", "AL@EXAMPLE.ORG"}) {
    EXPECT_EQ(SidOf(name), user) << name;
  }
  EXPECT_EQ(SidOf("STAFF"), "S-1-5-21-1-2-3-1100 EXAMPLE 2");
  EXPECT_EQ(SidOf("example\\staff"), "S-1-5-21-1-2-3-1100 EXAMPLE 2");
  EXPECT_EQ(SidOf("Example"), "S-1-5-21-1-2-3 EXAMPLE 3");
  for (const char* const name : {"\\Ålice", "OTHER\\Ålice", "Ålice@example.org", "EXAMPLE\\",
                                 "EXAMPLE\\al@example.org", "@EXAMPLE", "al", "ålice"}) {
    EXPECT_EQ(SidOf(name), kNoneMapped) << name;
  }
}

// A name without a domain: everybody's first, then the directory's, then the machine's.
TEST_F(LookupNamesTest, TheOrderOfTheDomains) {
  ASSERT_EQ(Load(Accounts() + AccountText("Everyone")), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(SidOf("Everyone"), "S-1-1-0  5");
  EXPECT_NE(SidOf("EXAMPLE\\Everyone"), kNoneMapped);
  EXPECT_EQ(SidOf("root"), "S-1-5-21-1-2-3-1002 EXAMPLE 1");
  EXPECT_EQ(SidOf("Unix User\\root"), "S-1-22-1-0 Unix User 1");
  ASSERT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_OK);
  EXPECT_EQ(SidOf("root"), "S-1-22-1-0 Unix User 1") << "there is no directory any more";
}

TEST_F(LookupNamesTest, InUtf16AndOfWhoeverActs) {
  ASSERT_EQ(Load(Accounts()), SEC_E_OK) << KtlsimLastErrorText();
  std::array<std::byte, SECURITY_MAX_SID_SIZE> sid{};
  auto bytes = static_cast<DWORD>(sid.size());
  std::array<WCHAR, 16> domain{};
  DWORD units = 7;  // "EXAMPLE" without its end
  SID_NAME_USE use = SidTypeUnknown;
  EXPECT_EQ(LookupAccountNameW(nullptr, u"EXAMPLE\\Ålice", sid.data(), &bytes, domain.data(),
                               &units, &use),
            FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_INSUFFICIENT_BUFFER});
  EXPECT_EQ(units, 8U);
  EXPECT_EQ(bytes, 28U);
  ASSERT_EQ(LookupAccountNameW(nullptr, u"EXAMPLE\\Ålice", sid.data(), &bytes, domain.data(),
                               &units, &use),
            TRUE);
  EXPECT_EQ(std::u16string(domain.data()), u"EXAMPLE");
  std::array<WCHAR, 16> name{};
  auto name_units = static_cast<DWORD>(name.size());
  units = static_cast<DWORD>(domain.size());
  ASSERT_EQ(
      LookupAccountSidW(nullptr, sid.data(), name.data(), &name_units, domain.data(), &units, &use),
      TRUE);
  EXPECT_EQ(std::u16string(name.data()), u"Ålice");
  HANDLE token = nullptr;
  ASSERT_EQ(LogOn("al@example.org", kPassword, LOGON32_LOGON_NETWORK, &token),
            DWORD{ERROR_SUCCESS});
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  name_units = static_cast<DWORD>(name.size());
  ASSERT_EQ(GetUserNameW(name.data(), &name_units), TRUE);
  EXPECT_EQ(std::u16string(name.data()), u"Ålice");
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

TEST_F(LookupNamesTest, AChildKnowsTheNamesOfItsParent) {
  KTLSIM_SKIP_CHILD_WITH_THREADS();
  ASSERT_EQ(Load(Accounts()), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(InChild([] { return NameOf("S-1-5-21-1-2-3-1100") == "EXAMPLE\\staff 2" ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace ktlsim::test
