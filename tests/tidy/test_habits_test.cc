// What a test may not do, because tests run at the same time in processes of their own.
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

}  // namespace
}  // namespace ktlsim::test
