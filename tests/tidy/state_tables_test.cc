// States are tables: each is shown in a README, and a test compares the two.
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

TEST(StateTablesTest, EachIsComparedWithItsReadme) {
  static const std::regex definition(
      "constexpr (auto|StateTable<[^=;]*>|StateTable) (k\\w+Table)\\b");
  std::string compared;
  for (const SourceFile& file : Sources()) {
    if (file.In("tests") && file.code.find("ExpectReadmeShows(") != std::string::npos) {
      compared += file.code;
    }
  }
  int tables = 0;
  for (const SourceFile& file : Sources()) {
    if (file.In("tests") || file.code.find("StateTable") == std::string::npos) continue;
    for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), definition);
         at != std::sregex_iterator(); ++at) {
      ++tables;
      EXPECT_NE(compared.find((*at)[2].str()), std::string::npos)
          << file.path << ": no test says ExpectReadmeShows(\"...\", " << (*at)[2] << ")";
    }
  }
  EXPECT_GE(tables, 4);
}

}  // namespace
}  // namespace ktlsim::test
