// The documents: what they link to exists, and lines can be read.
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

constexpr std::size_t kColumnsMax = 120;

// Columns of a terminal: a UTF-8 continuation byte takes none.
std::size_t Columns(const std::string& line) {
  std::size_t columns = 0;
  for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return columns;
}

TEST(DocumentsTest, LinksLeadSomewhere) {
  static const std::regex link("\\]\\(([^)#: ]+)(#[^)]*)?\\)");
  for (const std::string& path : Documents()) {
    const std::string text = ReadFromRoot(path);
    const auto folder = std::filesystem::path(SourceRoot()) / path;
    for (auto at = std::sregex_iterator(text.begin(), text.end(), link);
         at != std::sregex_iterator(); ++at) {
      EXPECT_TRUE(std::filesystem::exists(folder.parent_path() / (*at)[1].str()))
          << path << ": " << (*at)[1];
    }
  }
}

TEST(DocumentsTest, LinesFit) {
  for (const std::string& path : Documents()) {
    std::istringstream text(ReadFromRoot(path));
    std::string line;
    for (int number = 1; std::getline(text, line); ++number) {
      if (line.starts_with("|")) continue;  // a table's row is one line
      EXPECT_LE(Columns(line), kColumnsMax) << path << ":" << number;
    }
  }
}

// Each folder with sources says what is in it.
TEST(DocumentsTest, FoldersHaveAReadme) {
  for (const char* folder : {"bench",
                             "io",
                             "kernel_sim",
                             "kernel_sim/accounts",
                             "kernel_sim/audit",
                             "kernel_sim/authorization",
                             "kernel_sim/base",
                             "kernel_sim/command",
                             "kernel_sim/digest",
                             "kernel_sim/context_store",
                             "kernel_sim/executive",
                             "kernel_sim/include",
                             "kernel_sim/packaging",
                             "kernel_sim/security",
                             "kernel_sim/serve",
                             "kernel_sim/sspi",
                             "kernel_sim/transport",
                             "tls",
                             "tls/handshake",
                             "tls/identity",
                             "tls/record"}) {
    const std::string readme = std::string(folder) + "/README.md";
    EXPECT_TRUE(std::filesystem::exists(SourceRoot() + "/" + readme)) << readme;
  }
}

// Open work is recorded elsewhere, not in the source.
bool HasWord(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || !IsWord(text[at - 1]);
    const std::size_t end = at + word.size();
    if (begins && (end == text.size() || !IsWord(text[end]))) return true;
  }
  return false;
}

TEST(DocumentsTest, NothingIsLeftToDo) {
  static const std::string marks[] = {"TODO", "FIXME", "XXX", "HACK"};
  for (const SourceFile& file : Sources()) {
    if (file.In("tests/tidy")) continue;
    for (const std::string& mark : marks) EXPECT_FALSE(HasWord(file.text, mark)) << file.path;
  }
}

// The marks that a merge leaves where two changes conflict.
TEST(DocumentsTest, NoConflictIsLeft) {
  static const std::string marks[] = {std::string(7, '<') + " ", std::string(7, '>') + " "};
  for (const std::string& mark : marks) {
    for (const SourceFile& file : Sources()) {
      EXPECT_EQ(file.text.find(mark), std::string::npos) << file.path;
    }
    for (const std::string& path : Documents()) {
      EXPECT_EQ(ReadFromRoot(path).find(mark), std::string::npos) << path;
    }
  }
}

// clang-format breaks an indented list in a comment; two lines of words then stand alone.
TEST(DocumentsTest, HeadersOpenWithAComment) {
  for (const SourceFile& file : Sources()) {
    if (!file.Is(".h")) continue;
    EXPECT_TRUE(file.text.starts_with("//")) << file.path << ": say what it is for, and what a "
                                             << "newcomer gets wrong";
  }
}

}  // namespace
}  // namespace ktlsim::test
