#include "kernel_sim/serve/file_path.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

struct PathCase {
  std::string target;
  unsigned refusal;
  std::string path;
  bool directory;
};

TEST(FilePathTest, ResolvesTargets) {
  const PathCase cases[] = {
      {"/", 0, "", true},
      {"/a", 0, "a", false},
      {"/a/b.txt", 0, "a/b.txt", false},
      {"/a/", 0, "a", true},
      {"//a///b//", 0, "a/b", true},
      {"/a?b/../c", 0, "a", false},
      {"/a#b", 0, "a", false},
      {"/%41%62c", 0, "Abc", false},
      {"/a%20b", 0, "a b", false},
      {"/%c3%a4", 0, "\xc3\xa4", false},
      {"/a%3fb", 0, "a?b", false},
      {"/a%25", 0, "a%", false},
      {"/...", 0, "...", false},
      {"/.hidden", 0, ".hidden", false},
      {"/a\\b", 0, "a\\b", false},
      {"http://host", 0, "", true},
      {"http://host/a/b", 0, "a/b", false},
      {"HTTPS://host:1/a/", 0, "a", true},
      {"*", 400, "", false},
      {"", 400, "", false},
      {"a", 400, "", false},
      {"/..", 400, "", false},
      {"/../a", 400, "", false},
      {"/a/../b", 400, "", false},
      {"/a/..", 400, "", false},
      {"/.", 400, "", false},
      {"/a/./b", 400, "", false},
      {"/%2e%2E/a", 400, "", false},
      {"/.%2e", 400, "", false},
      {"/%2e", 400, "", false},
      {"/a%00b", 400, "", false},
      {"/%", 400, "", false},
      {"/%4", 400, "", false},
      {"/%4g", 400, "", false},
      {"/a%2fb", 404, "", false},
      {"/..%2f..%2fetc/passwd", 404, "", false},
      {"/" + std::string(kTargetBytesMax, 'a'), 414, "", false},
  };
  for (const PathCase& c : cases) {
    const FilePath resolved = ResolveTarget(c.target);
    EXPECT_EQ(resolved.refusal, c.refusal) << c.target;
    if (c.refusal != 0) continue;
    EXPECT_EQ(resolved.path, c.path) << c.target;
    EXPECT_EQ(resolved.directory, c.directory) << c.target;
  }
}

// Method: every target of up to five characters out of those that matter. Every accepted path stays
// below the root by its text alone.
TEST(FilePathTest, LetsNothingThroughThatLeavesTheRoot) {
  const std::string letters = "/.%2ef0a";
  std::string target;
  std::size_t accepted = 0;
  for (std::size_t number = 0;
       number < letters.size() * letters.size() * letters.size() * letters.size() * letters.size();
       ++number) {
    target = "/";
    for (std::size_t left = number, i = 0; i < 5; ++i, left /= letters.size()) {
      target += letters[left % letters.size()];
    }
    const FilePath resolved = ResolveTarget(target);
    if (resolved.refusal != 0) continue;
    ++accepted;
    const std::string path = "/" + resolved.path + "/";
    ASSERT_EQ(path.find("/../"), std::string::npos) << target;
    ASSERT_EQ(path.find("/./"), std::string::npos) << target;
    ASSERT_EQ(path.find('\0'), std::string::npos) << target;
    ASSERT_TRUE(path == "//" || path.find("//") == std::string::npos) << target;
  }
  EXPECT_GT(accepted, 0U);
}

TEST(FilePathTest, LocationNamesTheSameFolder) {
  for (const std::string path : {"", "a", "a/b c", "\xc3\xa4?#%", "\r\nX: y"}) {
    const std::string location = DirectoryLocation(path);
    EXPECT_EQ(location.find_first_of(" ?#\r\n"), std::string::npos) << location;
    const FilePath back = ResolveTarget(location);
    EXPECT_EQ(back.path, path);
    EXPECT_TRUE(back.directory);
  }
}

TEST(FilePathTest, TheQueryStaysForLocation) {
  EXPECT_EQ(QueryOf("/a"), "");
  EXPECT_EQ(QueryOf("/a?"), "?");
  EXPECT_EQ(QueryOf("/a?b=c&d=%20?e"), "?b=c&d=%20?e");
  EXPECT_EQ(QueryOf("https://h/a?b#c?d"), "?b");
  EXPECT_EQ(QueryOf("/a?\r\nX: y\"<\xc3\xa4"), "?%0D%0AX:%20y%22%3C%C3%A4");
}

}  // namespace
}  // namespace ktlsim::serve
