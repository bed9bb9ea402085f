// Every function of the C API says what it does, at which level it may be called, and what it
// returns.
#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

struct Function {
  std::string name;
  std::string result;
  std::string comment;  // the lines of /// directly above it, without a break
  std::string path;
  std::size_t line = 0;
};

// The block of /// lines that ends where `at` begins.
std::string CommentAbove(const std::string& text, std::size_t at) {
  std::vector<std::string> lines;
  std::size_t end = at;
  while (end > 0) {
    const std::size_t start = end >= 2 ? text.rfind('\n', end - 2) + 1 : 0;
    const std::string line = text.substr(start, end - start - 1);
    if (!line.starts_with("///")) break;
    lines.push_back(line.substr(std::min<std::size_t>(4, line.size())));
    end = start;
  }
  std::string comment;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) comment.append(*line).append(" ");
  return comment;
}

std::vector<Function> PublicFunctions() {
  static const std::regex declaration(
      "\\nKTLSIM_(?:OUT_)?API\\s+([\\w ]+?[ *]+)(?:SEC_ENTRY\\s+)?(\\w+)\\(");
  std::vector<Function> functions;
  for (const SourceFile& file : Sources()) {
    if (!file.In("kernel_sim/include")) continue;
    for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), declaration);
         at != std::sregex_iterator(); ++at) {
      const auto start = static_cast<std::size_t>(at->position(0)) + 1;
      functions.push_back({.name = (*at)[2],
                           .result = (*at)[1],
                           .comment = CommentAbove(file.text, start),
                           .path = file.path,
                           .line = LineAt(file.text, start)});
    }
  }
  return functions;
}

TEST(PublicFunctionsTest, EachSaysWhatItDoesItsLevelAndWhatItReturns) {
  const std::vector<Function> functions = PublicFunctions();
  EXPECT_GE(functions.size(), 70U) << "the declarations were not found";
  for (const Function& one : functions) {
    const std::string where = one.path + ":" + std::to_string(one.line) + ": " + one.name;
    EXPECT_FALSE(one.comment.empty()) << where << " has no comment of its own (///)";
    // The twin of another function refers to it.
    if (one.comment.starts_with("As ") && one.comment.find(", ") != std::string::npos) {
      const std::string twin = one.comment.substr(3, one.comment.find_first_of(", ", 3) - 3);
      EXPECT_TRUE(std::any_of(functions.begin(), functions.end(),
                              [&](const Function& other) { return other.name == twin; }))
          << where << " refers to " << twin << ", which is not there";
      if (one.comment.find("Level:") == std::string::npos) continue;
    }
    EXPECT_NE(one.comment.find("Level: "), std::string::npos) << where << " does not say its level";
    if (one.result.find("void") != std::string::npos) continue;
    EXPECT_NE(one.comment.find("Returns: "), std::string::npos)
        << where << " does not say what it returns";
    if (one.result.find("SECURITY_STATUS") != std::string::npos &&
        one.comment.find("Returns: as ") == std::string::npos &&
        one.comment.find("Returns: also ") == std::string::npos) {
      EXPECT_NE(one.comment.find("SEC_E_"), std::string::npos) << where << " names no status";
    }
  }
}

}  // namespace
}  // namespace ktlsim::test
