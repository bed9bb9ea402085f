#include "kernel_sim/serve/file_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace ktlsim::serve {
namespace {

using Wait = FileTree::Wait;

// A root with files and links in it, and next to it a file that must not be reached. The parameter:
// name by name, as without openat2.
class FileTreeTest : public testing::TestWithParam<bool> {
 protected:
  FileTreeTest() {
    std::filesystem::create_directories(root() + "/sub/deep");
    Write("secret", "secret");
    Write("root/file", "0123456789");
    Write("root/sub/deep/file", "deep");
    Link("../secret", "root/out");
    Link("../../secret", "root/sub/out");
    Link(base_ + "/secret", "root/absolute");
    Link("..", "root/parent");
    Link("sub/deep", "root/inside");
    Link("loop", "root/loop");
  }

  std::string root() const { return base_ + "/root"; }
  void Write(const std::string& path, const std::string& text) const {
    std::ofstream(base_ + "/" + path) << text;
  }
  void Link(const std::string& target, const std::string& path) const {
    std::filesystem::create_symlink(target, base_ + "/" + path);
  }

  int Open(const std::string& path, FileFacts* facts = nullptr, OpenFile* opened = nullptr) const {
    Result<FileTree> tree = FileTree::Open(root());
    EXPECT_TRUE(tree.ok());
    if (GetParam()) tree->WalkAlways();
    OpenFile file;
    FileFacts unused;
    const int error_number =
        tree->OpenBelow(path, Wait::kMayBlock, &file, facts != nullptr ? facts : &unused);
    if (opened != nullptr) *opened = std::move(file);
    return error_number;
  }

  const test::TemporaryFolder temporary_;
  const std::string& base_ = temporary_.path();
};

TEST_P(FileTreeTest, OpensWhatIsBelow) {
  FileFacts facts;
  EXPECT_EQ(Open("file", &facts), 0);
  EXPECT_TRUE(facts.regular);
  EXPECT_EQ(facts.bytes, 10U);
  EXPECT_EQ(Open("sub/deep/file", &facts), 0);
  EXPECT_EQ(facts.bytes, 4U);
  EXPECT_EQ(Open("sub", &facts), 0);
  EXPECT_TRUE(facts.directory);
  EXPECT_EQ(Open("", &facts), 0);
  EXPECT_TRUE(facts.directory);
}

TEST_P(FileTreeTest, NamesWhatIsNotThere) {
  EXPECT_EQ(Open("nothing"), ENOENT);
  EXPECT_EQ(Open("sub/nothing/file"), ENOENT);
  EXPECT_EQ(Open("file/below"), ENOTDIR);
  EXPECT_EQ(Open(std::string(300, 'x')), ENAMETOOLONG);
}

TEST_P(FileTreeTest, NeverLeavesTheRoot) {
  for (const char* path : {"out", "sub/out", "absolute", "parent/secret", "../secret",
                           "sub/../../secret", "/etc/passwd", "loop"}) {
    OpenFile file;
    FileFacts facts;
    const int error_number = Open(path, &facts, &file);
    // The walk never gets dots or a leading slash: ResolveTarget refuses those.
    if (GetParam() && (std::string(path).find("..") == 0 || path[0] == '/' ||
                       std::string(path).find("/..") != std::string::npos)) {
      continue;
    }
    EXPECT_NE(error_number, 0) << path;
    EXPECT_FALSE(static_cast<bool>(file)) << path;
  }
}

TEST_P(FileTreeTest, FollowsALinkInsideWhereTheKernelGuardsIt) {
  EXPECT_EQ(Open("inside/file"), GetParam() ? ENOTDIR : 0);
}

TEST_P(FileTreeTest, WaitsForNoFifo) {
  ASSERT_EQ(mkfifo((root() + "/fifo").c_str(), 0600), 0);
  FileFacts facts;
  EXPECT_EQ(Open("fifo", &facts), 0);
  EXPECT_FALSE(facts.regular);
}

TEST_P(FileTreeTest, ReadsFromAnyOffset) {
  OpenFile file;
  ASSERT_EQ(Open("file", nullptr, &file), 0);
  std::array<std::byte, 6> bytes{};
  EXPECT_EQ(ReadBlocking(file, 0, bytes), 6);
  EXPECT_EQ(ReadBlocking(file, 6, bytes), 4);
  EXPECT_EQ(static_cast<char>(bytes[0]), '6');
  EXPECT_EQ(ReadBlocking(file, 10, bytes), 0);
  const int cached = ReadCached(file, 0, bytes);
  EXPECT_TRUE(cached == 6 || cached == -EAGAIN) << cached;
}

TEST_P(FileTreeTest, ARootMustBeAFolder) {
  EXPECT_FALSE(FileTree::Open(root() + "/file").ok());
  EXPECT_FALSE(FileTree::Open(root() + "/nothing").ok());
}

INSTANTIATE_TEST_SUITE_P(Ways, FileTreeTest, testing::Values(false, true),
                         [](const auto& tested) { return tested.param ? "Walk" : "Openat2"; });

}  // namespace
}  // namespace ktlsim::serve
