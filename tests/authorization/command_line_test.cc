// How a command line is split.
#include "kernel_sim/authorization/command_line.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::authorization {
namespace {

using Words = std::vector<std::string>;

TEST(CommandLineTest, BlanksSeparate) {
  EXPECT_EQ(SplitCommandLine(""), Words());
  EXPECT_EQ(SplitCommandLine(" \t "), Words());
  EXPECT_EQ(SplitCommandLine("a"), Words({"a"}));
  EXPECT_EQ(SplitCommandLine("  a \t b  "), Words({"a", "b"}));
}

TEST(CommandLineTest, QuotesHoldTogether) {
  EXPECT_EQ(SplitCommandLine(R"("a b" c)"), Words({"a b", "c"}));
  EXPECT_EQ(SplitCommandLine(R"(x"a b"y)"), Words({"xa by"}));
  EXPECT_EQ(SplitCommandLine(R"("" a "")"), Words({"", "a", ""}));
  EXPECT_EQ(SplitCommandLine(R"("a b)"), Words({"a b"})) << "to the end";
  EXPECT_EQ(SplitCommandLine(R"(")"), Words({""}));
}

// The published examples of Windows.
TEST(CommandLineTest, BackslashesBeforeQuotes) {
  EXPECT_EQ(SplitCommandLine(R"("abc" d e)"), Words({"abc", "d", "e"}));
  EXPECT_EQ(SplitCommandLine(R"(a\\b d"e f"g h)"), Words({R"(a\\b)", "de fg", "h"}));
  EXPECT_EQ(SplitCommandLine(R"(a\\\"b c d)"), Words({R"(a\"b)", "c", "d"}));
  EXPECT_EQ(SplitCommandLine(R"(a\\\\"b c" d e)"), Words({R"(a\\b c)", "d", "e"}));
  EXPECT_EQ(SplitCommandLine(R"(a\"b c)"), Words({R"(a"b)", "c"}));
  EXPECT_EQ(SplitCommandLine(R"(\)"), Words({R"(\)"}));
  EXPECT_EQ(SplitCommandLine(R"(\\)"), Words({R"(\\)"}));
  EXPECT_EQ(SplitCommandLine(R"(\\")"), Words({R"(\)"}));
}

}  // namespace
}  // namespace ktlsim::authorization
