// Names that nothing uses: members that are only declared, functions that no code calls.
#include <map>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/tidy/classes.h"

namespace ktlsim::test {
namespace {

// How often each identifier occurs in the code of all files.
std::map<std::string, int> CountWords(bool with_tests) {
  std::map<std::string, int> words;
  for (const SourceFile& file : Sources()) {
    if (!with_tests && file.In("tests")) continue;
    std::size_t i = 0;
    while (i < file.code.size()) {
      if (!IsWord(file.code[i])) {
        ++i;
        continue;
      }
      std::size_t end = i;
      while (end < file.code.size() && IsWord(file.code[end])) ++end;
      ++words[file.code.substr(i, end - i)];
      i = end;
    }
  }
  return words;
}

bool IsOurs(const SourceFile& file) {
  return (file.In("io") || file.In("tls") || file.In("kernel_sim")) &&
         !file.In("kernel_sim/include");
}

TEST(UnusedNamesTest, EveryMemberIsUsed) {
  const std::map<std::string, int> words = CountWords(true);
  for (const SourceFile& file : Sources()) {
    if (!IsOurs(file)) continue;
    for (const Class& one : ClassesOf(file)) {
      for (const Member& member : one.members) {
        EXPECT_GT(words.at(member.name), 1)
            << file.path << ":" << member.line << ": " << one.name << "::" << member.name;
      }
    }
  }
}

// Functions that a header declares: named a second time besides the definition, if that is
// elsewhere.
TEST(UnusedNamesTest, EveryFunctionIsCalled) {
  static const std::regex declaration("\\n +(?:[\\w:<>*&,\\[\\]]+ )+\\*?&?(\\w+)\\(");
  static const std::regex definition("\\w::(\\w+)\\([^;{}]*\\)[^;{}]*\\{");
  static const std::set<std::string> keywords = {"if",     "for",    "while", "switch",
                                                 "return", "sizeof", "main"};
  const std::map<std::string, int> words = CountWords(true);
  std::map<std::string, int> defined;
  for (const SourceFile& file : Sources()) {
    for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), definition);
         at != std::sregex_iterator(); ++at) {
      ++defined[(*at)[1]];
    }
  }
  for (const SourceFile& file : Sources()) {
    if (!IsOurs(file) || !file.Is(".h")) continue;
    for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), declaration);
         at != std::sregex_iterator(); ++at) {
      const std::string name = (*at)[1];
      if (keywords.contains(name)) continue;
      const auto known = defined.find(name);
      const int declared = 1 + (known == defined.end() ? 0 : known->second);
      EXPECT_GT(words.at(name), declared) << file.path << ": nothing calls " << name;
    }
  }
}

TEST(UnusedNamesTest, AnUnusedParameterHasItsNameInAComment) {
  static const std::regex cast("\\bstatic_cast<void>\\((\\w+)\\);");
  for (const SourceFile& file : Sources()) {
    if (!IsOurs(file) || file.code.find("static_cast<void>(") == std::string::npos) continue;
    for (auto at = std::sregex_iterator(file.code.begin(), file.code.end(), cast);
         at != std::sregex_iterator(); ++at) {
      ADD_FAILURE() << file.path << ":"
                    << LineAt(file.code, static_cast<std::size_t>(at->position())) << ": write /*"
                    << (*at)[1] << "*/ where the parameter is declared";
    }
  }
}

}  // namespace
}  // namespace ktlsim::test
