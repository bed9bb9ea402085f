// Everything that a name can lead to instead of the file that is wanted.
#include "kernel_sim/base/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace ktlsim {
namespace {

constexpr std::size_t kMax = 4096;

class FileTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string File(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  std::string Fifo() const {
    EXPECT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
    return Path("fifo");
  }
  std::string Socket() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, Path("socket").c_str(), sizeof(address.sun_path) - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    close(socket);
    return Path("socket");
  }
  static std::string Why(const std::string& path, std::size_t bytes_max = kMax) {
    const Result<FileText> read = ReadFile(path.c_str(), bytes_max);
    return read.ok() ? "read" : read.status().ToString();
  }
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  static bool Tells(const std::string& text, const std::string& word) {
    return text.find(word) != std::string::npos;
  }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

// Does something to the file at one step of its reading.
class Meddler final : public ReadFileObserver {
 public:
  Meddler(ReadFileStep step, std::function<void()> what) : step_(step), what_(std::move(what)) {}
  void OnStep(ReadFileStep step) override {
    if (step == step_) what_();
  }

 private:
  const ReadFileStep step_;
  const std::function<void()> what_;
};

TEST_F(FileTest, ReadsAllOfARegularFile) {
  const std::string text("a\0b\r\n", 5);
  const Result<FileText> read = ReadFile(File("f", text).c_str(), kMax);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->text(), text);
  EXPECT_EQ(Why(File("empty", "")), "read");
  std::filesystem::create_symlink(Path("f"), Path("link"));
  EXPECT_EQ(Why(Path("link")), "read");
}

TEST_F(FileTest, RefusesWhatIsNoRegularFileWithoutWaiting) {
  EXPECT_TRUE(Tells(Why(Fifo()), "FIFO"));
  EXPECT_TRUE(Tells(Why(folder_), "directory"));
  EXPECT_TRUE(Tells(Why("/dev/zero"), "device"));
  EXPECT_TRUE(Tells(Why(Socket()), "socket"));
  EXPECT_TRUE(Tells(Why(Path("none")), "No such file"));
  std::filesystem::create_symlink(Path("loop"), Path("loop"));
  EXPECT_TRUE(Tells(Why(Path("loop")), "symbolic links"));
  std::filesystem::create_symlink(Path("fifo"), Path("link"));
  EXPECT_TRUE(Tells(Why(Path("link")), "FIFO"));
}

TEST_F(FileTest, NobodyWhoWaitsAtAFifoHearsOfIt) {
  const std::string fifo = Fifo();
  EXPECT_TRUE(Tells(Why(fifo), "FIFO"));
  EXPECT_EQ(open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1) << "there is a reader";
}

TEST_F(FileTest, BoundsTheSize) {
  const std::string path = File("f", std::string(kMax, 'x'));
  EXPECT_EQ(Why(path), "read");
  EXPECT_TRUE(Tells(Why(path, kMax - 1), "too large"));
  const std::string sparse = File("sparse", "");
  std::filesystem::resize_file(sparse, std::uintmax_t{1} << 40);
  EXPECT_TRUE(Tells(Why(sparse), "too large"));
}

TEST_F(FileTest, TheKernelsFilesSayTheyAreEmptyAndAreReadAllTheSame) {
  const Result<FileText> read = ReadFile("/proc/self/stat", kMax);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read->text().empty());
  EXPECT_TRUE(Tells(Why("/proc/self/maps", 64), "too large"));
}

TEST_F(FileTest, AnErrorOfTheReadingIsAnError) {
  // The page at address zero.
  EXPECT_TRUE(Tells(Why("/proc/self/mem"), "read the file")) << Why("/proc/self/mem");
}

TEST_F(FileTest, AFileThatChangesMeanwhileIsNotRead) {
  const auto resize = [this](std::uintmax_t bytes) {
    return [this, bytes] { std::filesystem::resize_file(Path("f"), bytes); };
  };
  const auto touch = [this] {
    const timespec times[2] = {{1, 0}, {1, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, Path("f").c_str(), times, 0), 0);
  };
  for (const ReadFileStep step : {ReadFileStep::kOpened, ReadFileStep::kRead}) {
    for (const std::function<void()>& change :
         {std::function<void()>(resize(10)), std::function<void()>(resize(0)),
          std::function<void()>(resize(2000)), std::function<void()>(touch)}) {
      File("f", std::string(1000, 'x'));
      Meddler meddler(step, change);
      const Result<FileText> read = ReadFile(Path("f").c_str(), kMax, &meddler);
      ASSERT_FALSE(read.ok());
      EXPECT_TRUE(Tells(read.status().ToString(), "changed while it was read"));
    }
  }
}

TEST_F(FileTest, ARenameOverTheFileLeavesTheOldContentWhole) {
  File("f", "old");
  File("g", "newer");
  Meddler meddler(ReadFileStep::kOpened, [this] { std::filesystem::rename(Path("g"), Path("f")); });
  const Result<FileText> read = ReadFile(Path("f").c_str(), kMax, &meddler);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->text(), "old");
}

TEST_F(FileTest, WhatBecomesAFifoBehindTheFirstLookIsRefusedToo) {
  File("f", "text");
  Meddler meddler(ReadFileStep::kLooked, [this] {
    std::filesystem::remove(Path("f"));
    ASSERT_EQ(mkfifo(Path("f").c_str(), 0600), 0);
  });
  const Result<FileText> read = ReadFile(Path("f").c_str(), kMax, &meddler);
  ASSERT_FALSE(read.ok());
  EXPECT_TRUE(Tells(read.status().ToString(), "FIFO"));
}

TEST_F(FileTest, ALeaseThatAnotherHoldsIsAnErrorAndNoWait) {
  // SIGIO tells the holder of the lease that another process wants the file.
  const auto before = std::signal(SIGIO, SIG_IGN);
  const int holder = open(File("f", "text").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(fcntl(holder, F_SETLEASE, F_WRLCK), 0) << std::strerror(errno);
  const std::string told = Why(Path("f"));
  close(holder);
  std::signal(SIGIO, before);
  EXPECT_TRUE(Tells(told, "another program")) << told;
  EXPECT_EQ(Why(Path("f")), "read");
}

TEST_F(FileTest, WritesReplacesAndSaysWhyNot) {
  EXPECT_TRUE(WriteFile(Path("f").c_str(), "a longer one").ok());
  EXPECT_TRUE(WriteFile(Path("f").c_str(), "text").ok());
  EXPECT_EQ(ReadFile(Path("f").c_str(), kMax)->text(), "text");
  EXPECT_TRUE(WriteFile("/dev/null", "text").ok());
  EXPECT_TRUE(Tells(WriteFile("/dev/full", "text").ToString(), "No space left"));
  EXPECT_TRUE(Tells(WriteFile(Fifo().c_str(), "text").ToString(), "FIFO"));
  EXPECT_TRUE(Tells(WriteFile(folder_.c_str(), "text").ToString(), "directory"));
  EXPECT_TRUE(Tells(WriteFile(Path("none/f").c_str(), "text").ToString(), "No such file"));
}

// What a reader has open stays whole while the file gets its new content.
TEST_F(FileTest, AReaderMeetsTheOldContentOrTheNew) {
  const std::string path = File("f", "the old content");
  const int reader = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_TRUE(WriteFile(path.c_str(), "new").ok());
  char old[32] = {};
  EXPECT_EQ(read(reader, old, sizeof(old)), 15);
  EXPECT_STREQ(old, "the old content");
  close(reader);
  EXPECT_EQ(ReadFile(path.c_str(), kMax)->text(), "new");
  EXPECT_EQ(Names(), std::set<std::string>{"f"}) << "nothing else is left";
}

TEST_F(FileTest, AReplacedFileKeepsItsModeAndItsLinks) {
  const std::string path = File("f", "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(mkdir(Path("d").c_str(), 0700), 0);
  ASSERT_EQ(symlink("../f", Path("d/first").c_str()), 0);
  ASSERT_EQ(symlink(Path("d/first").c_str(), Path("second").c_str()), 0);
  EXPECT_TRUE(WriteFile(Path("second").c_str(), "new").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(Path("second")));
  EXPECT_TRUE(std::filesystem::is_symlink(Path("d/first")));
  EXPECT_EQ(ReadFile(path.c_str(), kMax)->text(), "new");
  struct stat facts{};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777U, 0640U);
}

TEST_F(FileTest, ALinkToNothingIsFilledAndALoopRefused) {
  ASSERT_EQ(symlink("f", Path("link").c_str()), 0);
  EXPECT_TRUE(WriteFile(Path("link").c_str(), "text").ok());
  EXPECT_EQ(ReadFile(Path("f").c_str(), kMax)->text(), "text");
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  EXPECT_TRUE(Tells(WriteFile(Path("loop").c_str(), "text").ToString(), "symbolic links"));
}

// Both names show the new content, as they would not if one got a new file.
TEST_F(FileTest, AFileWithTwoNamesIsWrittenInPlace) {
  const std::string path = File("f", "a longer one");
  ASSERT_EQ(link(path.c_str(), Path("other").c_str()), 0);
  EXPECT_TRUE(WriteFile(path.c_str(), "new").ok());
  EXPECT_EQ(ReadFile(Path("other").c_str(), kMax)->text(), "new");
  EXPECT_EQ(Names(), (std::set<std::string>{"f", "other"}));
}

// "ktlsim run --json /dev/stdout > f": the shell's descriptor is the file that is meant.
TEST_F(FileTest, ADescriptorsFileIsWrittenInPlace) {
  const int shell = open(File("f", "a longer one").c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_TRUE(WriteFile(("/proc/self/fd/" + std::to_string(shell)).c_str(), "text").ok());
  EXPECT_TRUE(WriteFile(("/dev/fd/" + std::to_string(shell)).c_str(), "again").ok());
  char text[32] = {};
  EXPECT_EQ(pread(shell, text, sizeof(text), 0), 5);
  EXPECT_STREQ(text, "again");
  close(shell);
}

TEST_F(FileTest, TheOldContentStaysWhenTheNewCannotBeWritten) {
  const std::string path = File("f", "old");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small = {100, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status written = WriteFile(path.c_str(), std::string(1000, 'x'));
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_TRUE(Tells(written.ToString(), "File too large")) << written.ToString();
  EXPECT_EQ(ReadFile(path.c_str(), kMax)->text(), "old");
  EXPECT_EQ(Names(), std::set<std::string>{"f"});
}

TEST_F(FileTest, ReplacesAFileInOneStep) {
  const std::string path = File("f", "old content");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  std::filesystem::create_symlink(path, Path("link"));
  std::ifstream reader(path);
  ASSERT_TRUE(ReplaceFile(Path("link").c_str(), "new", 0600).ok());
  EXPECT_EQ(ReadFile(path.c_str(), kMax)->text(), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(Path("link"))) << "what it leads to is replaced";
  struct stat facts{};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777U, 0640U) << "its mode stays";
  std::string old;
  std::getline(reader, old);
  EXPECT_EQ(old, "old content") << "who has it open reads on";
  ASSERT_TRUE(ReplaceFile(Path("new").c_str(), "text", 0600).ok());
  ASSERT_EQ(stat(Path("new").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777U, 0600U);
}

TEST_F(FileTest, AReplacementThatFailsLeavesTheOldFile) {
  const std::string path = File("f", "old");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit little = {.rlim_cur = 100, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const Status status = ReplaceFile(path.c_str(), std::string(10000, 'x'), 0600);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_TRUE(Tells(status.ToString(), "write the file")) << status.ToString();
  EXPECT_EQ(ReadFile(path.c_str(), kMax)->text(), "old");
  EXPECT_TRUE(Tells(ReplaceFile(Fifo().c_str(), "text", 0600).ToString(), "FIFO"));
  EXPECT_TRUE(Tells(ReplaceFile(folder_.c_str(), "text", 0600).ToString(), "directory"));
  EXPECT_TRUE(Tells(ReplaceFile(Path("none/f").c_str(), "text", 0600).ToString(), "No such file"));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    files += entry.path().empty() ? 0 : 1;
  }
  EXPECT_EQ(files, 2) << "the file and the FIFO, and no draft";
}

TEST_F(FileTest, AFifoIsRefusedForWritingThoughSomebodyReads) {
  const std::string fifo = Fifo();
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_TRUE(Tells(WriteFile(fifo.c_str(), "text").ToString(), "FIFO"));
  close(reader);
}

TEST_F(FileTest, APipeOfThisProcessIsWrittenWithoutWaiting) {
  int ends[2] = {};
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string path = "/proc/self/fd/" + std::to_string(ends[1]);
  EXPECT_TRUE(WriteFile(path.c_str(), "text").ok());
  char text[5] = {};
  EXPECT_EQ(read(ends[0], text, 4), 4);
  EXPECT_STREQ(text, "text");
  const std::string much(1 << 20, 'x');
  EXPECT_TRUE(Tells(WriteFile(path.c_str(), much).ToString(), "temporarily unavailable"));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace ktlsim
