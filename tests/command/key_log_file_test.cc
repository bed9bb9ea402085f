#include "kernel_sim/command/key_log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace ktlsim::command {
namespace {

class KeyLogFileTest : public testing::Test {
 protected:
  KeyLogFileTest() { unsetenv("SSLKEYLOGFILE"); }
  ~KeyLogFileTest() override { unsetenv("SSLKEYLOGFILE"); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  static std::vector<std::string> Lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  static unsigned Mode(const std::string& path) {
    struct stat facts{};
    return stat(path.c_str(), &facts) == 0 ? facts.st_mode & 0777U : 0;
  }
  static std::unique_ptr<KeyLogFile> Open(const std::string& option) {
    std::string error;
    std::unique_ptr<KeyLogFile> file = KeyLogFile::Open(option, &error);
    EXPECT_EQ(error, "");
    return file;
  }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(KeyLogFileTest, NobodyHasAsked) {
  EXPECT_EQ(Open(""), nullptr);
  setenv("SSLKEYLOGFILE", "", 1);
  EXPECT_EQ(Open(""), nullptr);
  EXPECT_EQ(KeyLogFile::InUse(), nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(KeyLogFileTest, IsForItsOwnerAndAppended) {
  const mode_t before = umask(0);
  for (const char* const line : {"one", "two"}) {
    const auto file = Open(Path("keys"));
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(KeyLogFile::InUse(), file.get());
    KeyLogFile::OnLine(file.get(), line);
    EXPECT_EQ(file->Losses(), "");
    const std::string warning = file->Warning();
    EXPECT_NE(warning.find(Path("keys") + ", as --key-log asks"), std::string::npos) << warning;
    EXPECT_NE(warning.find("can decrypt"), std::string::npos) << warning;
    EXPECT_EQ(warning.find("other users"), std::string::npos) << warning;
  }
  umask(before);
  EXPECT_EQ(Mode(Path("keys")), 0600U);
  EXPECT_EQ(Lines(Path("keys")), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(KeyLogFile::InUse(), nullptr);
}

TEST_F(KeyLogFileTest, TheOptionGoesBeforeTheEnvironment) {
  setenv("SSLKEYLOGFILE", Path("variable").c_str(), 1);
  {
    const auto file = Open(Path("option"));
  }
  EXPECT_TRUE(std::filesystem::exists(Path("option")));
  EXPECT_FALSE(std::filesystem::exists(Path("variable")));
  const auto file = Open("");
  ASSERT_NE(file, nullptr);
  EXPECT_NE(file->Warning().find("as SSLKEYLOGFILE asks"), std::string::npos) << file->Warning();
  EXPECT_EQ(Mode(Path("variable")), 0600U);
}

TEST_F(KeyLogFileTest, AFileThatOthersCanReadIsWarnedAbout) {
  std::ofstream(Path("keys")) << "";
  ASSERT_EQ(chmod(Path("keys").c_str(), 0644), 0);
  const auto file = Open(Path("keys"));
  ASSERT_NE(file, nullptr);
  EXPECT_NE(file->Warning().find("(mode 644): chmod 600"), std::string::npos) << file->Warning();
}

TEST_F(KeyLogFileTest, WhatCannotBeWrittenIsRefusedWithARemedy) {
  std::string error;
  EXPECT_EQ(KeyLogFile::Open(Path("none/keys"), &error), nullptr);
  EXPECT_EQ(error,
            "--key-log: " + Path("none/keys") +
                ": open the file: No such file or directory; name a file that can be written");
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  setenv("SSLKEYLOGFILE", Path("fifo").c_str(), 1);
  EXPECT_EQ(KeyLogFile::Open("", &error), nullptr);
  EXPECT_NE(error.find("SSLKEYLOGFILE: " + Path("fifo")), std::string::npos) << error;
  EXPECT_NE(error.find("unset it"), std::string::npos) << error;
}

TEST_F(KeyLogFileTest, LinesOfSeveralThreadsDoNotMix) {
  constexpr int kThreads = 4;
  constexpr int kLines = 2000;
  const auto file = Open(Path("keys"));
  ASSERT_NE(file, nullptr);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&file, i] {
      const std::string line(200 + static_cast<std::size_t>(i), static_cast<char>('a' + i));
      for (int n = 0; n < kLines; ++n) KeyLogFile::OnLine(file.get(), line.c_str());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<int> seen(kThreads);
  for (const std::string& line : Lines(Path("keys"))) {
    ASSERT_FALSE(line.empty());
    const auto i = static_cast<std::size_t>(line[0] - 'a');
    ASSERT_EQ(line, std::string(200 + i, line[0]));
    ++seen[i];
  }
  EXPECT_EQ(seen, std::vector<int>(kThreads, kLines));
}

TEST_F(KeyLogFileTest, LossesAreCountedAndToldOnce) {
  const auto file = Open("/dev/full");
  ASSERT_NE(file, nullptr);
  std::string error;
  {
    const auto log = serve::Log::Open({.file = Path("log")}, &error);
    ASSERT_NE(log, nullptr) << error;
    file->TellLosses(log.get());
    for (int i = 0; i < 3; ++i) KeyLogFile::OnLine(file.get(), "CLIENT_RANDOM 00 11");
  }
  EXPECT_EQ(file->Losses(),
            "3 lines of the key log /dev/full could not be written: No space left on device");
  const std::vector<std::string> told = Lines(Path("log"));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("the key log cannot be written"), std::string::npos) << told[0];
  EXPECT_EQ(told[0].find("00 11"), std::string::npos) << "a secret is in the log: " << told[0];
}

TEST_F(KeyLogFileTest, IsOpenedAgainUnderItsName) {
  const auto file = Open(Path("keys"));
  ASSERT_NE(file, nullptr);
  KeyLogFile::OnLine(file.get(), "before");
  std::filesystem::rename(Path("keys"), Path("moved"));
  ASSERT_TRUE(file->Reopen().ok());
  KeyLogFile::OnLine(file.get(), "after");
  EXPECT_EQ(Lines(Path("moved")), std::vector<std::string>{"before"});
  EXPECT_EQ(Lines(Path("keys")), std::vector<std::string>{"after"});
  EXPECT_EQ(Mode(Path("keys")), 0600U);
  std::filesystem::remove_all(folder_);
  EXPECT_FALSE(file->Reopen().ok());
}

}  // namespace
}  // namespace ktlsim::command
