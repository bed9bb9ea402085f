#include "kernel_sim/serve/log.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "kernel_sim/serve/connection_log.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::serve {
namespace {

TEST(LogTest, TextAndJsonLines) {
  EXPECT_EQ(FormatLogLine(false, "T", LogLevel::kWarning, "handshake failed",
                          {{"peer", "127.0.0.1:5"}, {"reason", "a b"}, {"empty", ""}}),
            "T warning handshake failed peer=127.0.0.1:5 reason=\"a b\" empty=\"\"");
  EXPECT_EQ(FormatLogLine(true, "T", LogLevel::kInfo, "e", {{"n", "v"}}),
            R"({"time":"T","level":"info","event":"e","n":"v"})");
}

TEST(LogTest, WhatAPeerChoseCannotMakeALine) {
  for (const bool json : {false, true}) {
    const std::string line =
        FormatLogLine(json, "T", LogLevel::kInfo, "e", {{"name", "x\"\n\\\x7f\xff y=z"}});
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_NE(line.find(R"("x\"\u000a\\\u007f\u00ff y=z")"), std::string::npos) << line;
  }
}

class LogFileTest : public testing::Test {
 protected:
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
  }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  std::string error_;
};

TEST_F(LogFileTest, WritesAppendsAndOpensAgain) {
  const std::string file = folder_ + "/log";
  const LogOptions options{.level = LogLevel::kInfo, .file = file};
  {
    const auto log = Log::Open(options, &error_);
    ASSERT_NE(log, nullptr) << error_;
    log->Write(LogLevel::kDebug, "unwanted");
    log->Write(LogLevel::kInfo, "one");
  }
  const auto log = Log::Open(options, &error_);
  std::filesystem::rename(file, file + ".1");
  ASSERT_TRUE(log->Reopen().ok());
  EXPECT_TRUE(std::filesystem::exists(file));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_FALSE(log->Reopen().ok());
  EXPECT_EQ(log->lost(), 0U);
  const std::string first = Content(file + ".1");
  EXPECT_NE(first.find("info one\n"), std::string::npos);
  EXPECT_EQ(first.find("unwanted"), std::string::npos);
}

TEST_F(LogFileTest, AFullDiskCostsLinesOnly) {
  auto log = Log::Open({.file = "/dev/full"}, &error_);
  ASSERT_NE(log, nullptr) << error_;
  for (int i = 0; i < 100; ++i) log->Write(LogLevel::kError, "line");
  while (log->lost() < 100) std::this_thread::yield();
  EXPECT_EQ(log->lost(), 100U);
}

TEST_F(LogFileTest, AFileThatMayNotGrowCostsLinesOnly) {
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit allowed{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &allowed), 0);
  const rlimit small{.rlim_cur = 64, .rlim_max = allowed.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto log = Log::Open({.file = folder_ + "/log"}, &error_);
  ASSERT_NE(log, nullptr) << error_;
  for (int i = 0; i < 100; ++i) log->Write(LogLevel::kError, "line");
  while (log->lost() < 98) std::this_thread::yield();
  log.reset();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &allowed), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/log"), 64U);
}

TEST_F(LogFileTest, AFifoIsRefusedAtOnceWhetherSomebodyReadsOrNot) {
  const std::string fifo = folder_ + "/log";
  const auto log = Log::Open({.file = fifo}, &error_);
  ASSERT_NE(log, nullptr) << error_;
  std::filesystem::remove(fifo);
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_FALSE(log->Reopen().ok());
  EXPECT_EQ(Log::Open({.file = fifo}, &error_), nullptr);
  EXPECT_NE(error_.find("FIFO"), std::string::npos) << error_;
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_EQ(Log::Open({.file = fifo}, &error_), nullptr);
  close(reader);
}

TEST_F(LogFileTest, APipeThatNobodyReadsHoldsUpNothing) {
  int ends[2] = {};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  auto log = Log::Open({.file = "/proc/self/fd/" + std::to_string(ends[1])}, &error_);
  ASSERT_NE(log, nullptr) << error_;
  const std::string text(1000, 'x');
  for (int i = 0; i < 1000; ++i) log->Write(LogLevel::kError, text);
  while (log->lost() < 900) std::this_thread::yield();
  log.reset();
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LogFileTest, SaysWhyAFileCannotBeOpened) {
  EXPECT_EQ(Log::Open({.file = "/no/folder/log"}, &error_), nullptr);
  EXPECT_EQ(
      error_,
      "/no/folder/log: open the file: No such file or directory; name a file in a folder that "
      "exists");
}

TEST(LineRateTest, LetsSoManyThroughASecondAndTellsTheRest) {
  LineRate rate(3);
  std::uint64_t left_out = 0;
  const std::uint64_t second = 7 * kNsPerSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(rate.Admit(second, &left_out));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(rate.Admit(second + kNsPerMs, &left_out));
  EXPECT_EQ(left_out, 0U);
  EXPECT_TRUE(rate.Admit(second + kNsPerSecond, &left_out));
  EXPECT_EQ(left_out, 5U);
  EXPECT_TRUE(rate.Admit(second + kNsPerSecond, &left_out));
  EXPECT_EQ(left_out, 0U);
  EXPECT_EQ(rate.left_out_in_all(), 5U);
}

}  // namespace
}  // namespace ktlsim::serve
