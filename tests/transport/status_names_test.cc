// Walks the statuses that the public headers define: each has its name.
#include <cstdint>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::transport {
namespace {

TEST(StatusNameTest, EveryStatusOfTheHeadersHasItsName) {
  const std::regex definition(
      R"(#define (\w+) \(\((?:SECURITY_STATUS|HRESULT|NTSTATUS)\)0x([0-9A-Fa-f]{8})\))");
  std::set<std::uint32_t> seen;
  for (const char* header : {"ktlsim/detail/status_codes.h", "ktlsim/sspi_ext.h"}) {
    std::ifstream file(std::string(KTLSIM_INCLUDE_DIR "/") + header);
    ASSERT_TRUE(file) << header;
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, definition)) continue;
      const auto number = static_cast<std::uint32_t>(std::stoul(match[2], nullptr, 16));
      // Of several names for one number the first is told.
      if (!seen.insert(number).second) continue;
      EXPECT_EQ(StatusName(static_cast<SECURITY_STATUS>(number)), match[1].str());
    }
  }
  EXPECT_GT(seen.size(), 100U);
  EXPECT_STREQ(StatusName(static_cast<SECURITY_STATUS>(0x8009FFFF)), "SECURITY_STATUS");
}

}  // namespace
}  // namespace ktlsim::transport
