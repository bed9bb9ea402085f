// What a test may not do, because tests run at the same time in processes of their own.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/tidy/source_tree.h"

namespace ktlsim::test {
namespace {

// A name that two tests share is written by one while the other reads or removes it.
TEST(TestHabitsTest, FilesLieInAFolderOfTheTestsOwn) {
  for (const SourceFile& file : Sources()) {
    if (!file.In("tests") || file.path == "tests/support/temporary_folder.h") continue;
    for (const char* call :
         {"TempDir(", "mkdtemp(", "mkstemp(", "temp_directory_path(", "tmpnam("}) {
      const std::size_t at = file.code.find(call);
      EXPECT_EQ(at, std::string::npos)
          << file.path << ":" << LineAt(file.code, at) << ": " << call
          << ") is for TemporaryFolder (tests/support/temporary_folder.h) alone";
    }
  }
}

// Folders of tests with threads that ThreadSanitizer does not run, and why.
const std::set<std::string> kNotUnderTsan = {
    "faults",   // one call at a time; its threads only move it away from the test's own state
    "support",  // no tests
    "system",   // the threads are in other processes
};

// The name of a folder's tests: "tls" for "tests/tls/record/key_test.cc" and for
// "tls/record/key.cc".
std::string TestsOf(const std::string& path) {
  std::string rest = path;
  for (const std::string above : {"tests/", "kernel_sim/"}) {
    if (rest.starts_with(above)) rest = rest.substr(above.size());
  }
  return rest.substr(0, rest.find('/'));
}

// A folder of tests that ./dev tsan does not build is not run under ThreadSanitizer.
TEST(TestHabitsTest, FoldersWithThreadsAreRunUnderThreadSanitizer) {
  const std::string dev = ReadFromRoot("dev");
  const std::size_t begin = dev.find("targets=(", dev.find("command_tsan() {"));
  ASSERT_NE(begin, std::string::npos);
  const std::string targets = dev.substr(begin, dev.find(')', begin) - begin);
  for (const SourceFile& file : Sources()) {
    if (file.In("bench") || file.In("examples")) continue;
    if (file.code.find("std::thread") == std::string::npos) continue;
    const std::string tests = TestsOf(file.path);
    if (kNotUnderTsan.contains(tests)) continue;
    EXPECT_NE(targets.find(tests + "_tests"), std::string::npos)
        << file.path << " has threads: `./dev tsan` should build " << tests << "_tests";
  }
}

}  // namespace
}  // namespace ktlsim::test
