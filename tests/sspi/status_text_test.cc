// Walks the statuses that the public headers define: each has its name and its text.
#include <ktlsim/sspi_ext.h>

#include <cctype>
#include <cstdint>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/paths.h"

namespace ktlsim::sspi {
namespace {

constexpr auto kUndefined = static_cast<SECURITY_STATUS>(0x8009FFFF);

TEST(StatusTextTest, EveryStatusOfTheHeadersHasItsNameAndText) {
  const std::regex definition(
      R"(#define (\w+) \(\((?:SECURITY_STATUS|HRESULT|NTSTATUS)\)0x([0-9A-Fa-f]{8})\))");
  std::set<std::uint32_t> seen;
  for (const char* header : {"ktlsim/detail/status_codes.h", "ktlsim/sspi_ext.h"}) {
    std::ifstream file(test::SourceRoot() + "/kernel_sim/include/" + header);
    ASSERT_TRUE(file) << header;
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, definition)) continue;
      const auto number = static_cast<std::uint32_t>(std::stoul(match[2], nullptr, 16));
      // Where several names have one number, the first is shown.
      if (!seen.insert(number).second) continue;
      const auto status = static_cast<SECURITY_STATUS>(number);
      EXPECT_EQ(KtlsimStatusName(status), match[1].str());
      EXPECT_STRNE(KtlsimStatusText(status), KtlsimStatusText(kUndefined)) << match[1];
      SECURITY_STATUS found = kUndefined;
      EXPECT_EQ(KtlsimStatusFromName(match[1].str().c_str(), &found), SEC_E_OK);
      EXPECT_EQ(found, status);
    }
  }
  EXPECT_GT(seen.size(), 100U);
}

TEST(StatusTextTest, OtherNumbersAndNamesAreToldApart) {
  EXPECT_EQ(KtlsimStatusName(kUndefined), nullptr);
  EXPECT_STRNE(KtlsimStatusText(kUndefined), "");
  SECURITY_STATUS status = kUndefined;
  EXPECT_EQ(KtlsimStatusFromName("SEC_E_NOTHING", &status), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimStatusFromName("", &status), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimStatusFromName(nullptr, &status), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimStatusFromName("SEC_E_OK", nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(status, kUndefined);
  EXPECT_EQ(KtlsimStatusFromName("sec_e_untrusted_root", &status), SEC_E_OK);
  EXPECT_EQ(status, SEC_E_UNTRUSTED_ROOT);
}

}  // namespace
}  // namespace ktlsim::sspi
