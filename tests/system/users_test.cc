// `ktlsim users`: the file that it keeps, beside Apache's htdigest, and how a password gets in.

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"
#include "tests/system/kept_file_test.h"

namespace ktlsim::system_tests {
namespace {

constexpr const char* kCircleOfLife = "939e7578ed9e3c518a452acee763bce9";  // RFC 2617 3.5

class UsersTest : public KeptFileTest {
 protected:
  UsersTest() : KeptFileTest("users", "users") {}
  Finished Users(std::vector<std::string> arguments, const std::string& input = "") const {
    return Run(std::move(arguments), input);
  }

  const std::string realm_ = "testrealm@host.com";
};

TEST_F(UsersTest, AddWritesALineForEachAlgorithm) {
  Expect(0, "added", Users({"add", file_, "Mufasa", "--realm", realm_}, "Circle Of Life\n"));
  EXPECT_EQ(Content(), "Mufasa:testrealm@host.com:" + std::string(kCircleOfLife) +
                           "\n"
                           "SHA-256:Mufasa:testrealm@host.com:"
                           "3ba6cd94661c5ef34598040c868f13b8775df29109986be50ad35ae537dd3aa4\n"
                           "SHA-512-256:Mufasa:testrealm@host.com:"
                           "4f89a1c293dd533bc27546c1da0608df9efcaa6bd1c350edca70a01c8a823360\n");
  struct stat facts{};
  ASSERT_EQ(stat(file_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600);
}

TEST_F(UsersTest, AnotherPasswordLeavesNoLineWithTheOldOne) {
  Users({"add", file_, "a", "--realm", "r"}, "old\n");
  Expect(0, "replaced", Users({"add", file_, "a", "--algorithm", "sha-256"}, "new\n"));
  EXPECT_EQ(Content().find("a:r:"), std::string("SHA-256:").size()) << Content();
  Expect(0, "right: sha-256", Users({"check", file_, "a"}, "new"));
  Expect(1, "another one", Users({"check", file_, "a"}, "old"));
  Expect(1, "another one", Users({"check", file_, "b", "--realm", "r"}, "new"));
}

TEST_F(UsersTest, RemoveTakesAllLinesOfTheUserAndNoOther) {
  for (const char* user : {"a", "b"}) Users({"add", file_, user, "--realm", "r"}, "x\n");
  Users({"add", file_, "a", "--realm", "s"}, "x\n");
  Expect(2, "\"r\", \"s\"", Users({"remove", file_, "a"}));
  Expect(0, "3 lines", Users({"remove", file_, "a", "--realm", "r"}));
  Expect(2, "no user", Users({"remove", file_, "a", "--realm", "r"}));
  Expect(0, "from \"s\"", Users({"remove", file_, "a"}));
  const Finished list = Users({"list", file_});
  EXPECT_EQ(list.code, 0);
  EXPECT_NE(list.output.find("md5,sha-256,sha-512-256"), std::string::npos) << list.output;
  EXPECT_EQ(list.output.find("\na "), std::string::npos) << list.output;
}

TEST_F(UsersTest, TheFileIsThatOfHtdigest) {
  std::ofstream(file_) << "# kept\nMufasa:" + realm_ + ":" + kCircleOfLife + "\n";
  Expect(0, "right: md5", Users({"check", file_, "Mufasa"}, "Circle Of Life"));
  Expect(0, "1 user in 1 realm, 1 line", Users({"check", file_}));
  Users({"add", file_, "Simba", "--realm", realm_}, "x\n");
  EXPECT_TRUE(Content().starts_with("# kept\nMufasa:")) << Content();
}

TEST_F(UsersTest, ApacheTakesTheFileToo) {
  if (RunProgram({"sh", "-c", "command -v htdigest"}).code != 0) {
    GTEST_SKIP() << "there is no htdigest here";
  }
  Users({"add", file_, "a", "--realm", "r"}, "old\n");
  // It asks at a terminal only, and takes standard input where there is none.
  const Finished changed = RunProgram({"setsid", "-w", "htdigest", file_, "r", "a"}, "new\nnew\n");
  ASSERT_EQ(changed.code, 0) << changed.output;
  Expect(1, "right for md5 and not for sha-256, sha-512-256", Users({"check", file_, "a"}, "new"));
}

TEST_F(UsersTest, MistakesAreNamedWithTheirRemedy) {
  Expect(2, "add, remove, check, list", Users({"ad", file_}));
  Expect(2, "FILE", Users({"list"}));
  Expect(2, "a user is needed", Users({"add", file_}));
  Expect(2, "--realm", Users({"add", file_, "a"}));
  Expect(2, "colons", Users({"add", file_, "a:b", "--realm", "r"}));
  Expect(2, "colons", Users({"add", file_, "a", "--realm", "r:s"}));
  Expect(2, "comment", Users({"add", file_, "#a", "--realm", "r"}));
  Expect(2, "not one of md5", Users({"add", file_, "a", "--realm", "r", "--algorithm", "sha1"}));
  Expect(2, "empty", Users({"add", file_, "a", "--realm", "r"}, ""));
  Expect(2, "empty", Users({"add", file_, "a", "--realm", "r"}, "\n"));
  Expect(2, "control", Users({"add", file_, "a", "--realm", "r"}, "a\tb\n"));
  Expect(2, "UTF-8", Users({"add", file_, "a", "--realm", "r"}, "\xff\n"));
  Expect(2, "longer", Users({"add", file_, "a", "--realm", "r"}, std::string(5000, 'x')));
  Expect(2, "No such file", Users({"list", file_}));
  Expect(2, "No such file", Users({"add", "/no/folder/x", "a", "--realm", "r"}, "x\n"));
  EXPECT_NE(access(file_.c_str(), F_OK), 0);
  std::ofstream(file_) << "good:r:" + std::string(kCircleOfLife) + "\nbad line\n";
  Expect(1, "line 2", Users({"check", file_}));
  Expect(2, "line 2", Users({"add", file_, "a", "--realm", "r"}, "x\n"));
  EXPECT_TRUE(Content().ends_with("bad line\n"));
}

TEST_F(UsersTest, AFileThatOthersReadIsWarnedOf) {
  std::ofstream(file_) << "a:r:" + std::string(kCircleOfLife) + "\n";
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  Expect(0, "others may read", Users({"check", file_}));
  ASSERT_EQ(chmod(file_.c_str(), 0600), 0);
  EXPECT_EQ(Users({"check", file_}).output.find("others"), std::string::npos);
}

// Whoever types before that is shown: the prompt comes first.
bool WaitForNoEcho(int terminal) {
  for (int i = 0; i < 30000; ++i) {
    termios settings{};
    if (tcgetattr(terminal, &settings) != 0) return false;
    if ((settings.c_lflag & ECHO) == 0) return true;
    poll(nullptr, 0, 1);
  }
  return false;
}

// A person at a terminal: `typed` answers the prompts one after the other. Returns all that the
// terminal showed, and the exit code.
Finished AtATerminal(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& typed) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  Finished finished{-1, ""};
  std::size_t prompts = 0;
  std::size_t looked_at = 0;
  for (;;) {
    pollfd waiting{terminal, POLLIN, 0};
    if (poll(&waiting, 1, 30000) <= 0) break;
    char piece[1024];
    const ssize_t bytes = read(terminal, piece, sizeof(piece));
    if (bytes <= 0) break;
    finished.output.append(piece, static_cast<std::size_t>(bytes));
    const std::size_t prompt = finished.output.find(": ", looked_at);
    if (prompt == std::string::npos || prompts == typed.size()) continue;
    looked_at = prompt + 2;
    const std::string& line = typed[prompts++];
    if (!WaitForNoEcho(terminal) || write(terminal, line.data(), line.size()) < 0) break;
  }
  int status = 0;
  waitpid(child, &status, 0);
  close(terminal);
  finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return finished;
}

TEST_F(UsersTest, APasswordIsTypedTwiceAndNotShown) {
  const std::vector<std::string> add = {test::CommandPath(), "users", "add", file_, "a",
                                        "--realm",           "r"};
  const Finished added = AtATerminal(add, {"se cret\n", "se cret\n"});
  EXPECT_EQ(added.code, 0) << added.output;
  EXPECT_EQ(added.output.find("se cret"), std::string::npos) << added.output;
  Expect(0, "right", Users({"check", file_, "a"}, "se cret"));
  const Finished differs = AtATerminal(add, {"one\n", "other\n"});
  EXPECT_EQ(differs.code, 2) << differs.output;
  EXPECT_NE(differs.output.find("differ"), std::string::npos) << differs.output;
  Expect(0, "right", Users({"check", file_, "a"}, "se cret"));
  const Finished checked =
      AtATerminal({test::CommandPath(), "users", "check", file_, "a"}, {"se cret\n"});
  EXPECT_EQ(checked.code, 0) << checked.output;
}

TEST_F(UsersTest, APersonWhoThinksBetterOfItChangesNothing) {
  const Finished given_up =
      AtATerminal({test::CommandPath(), "users", "add", file_, "a", "--realm", "r"}, {"\x03"});
  EXPECT_EQ(given_up.code, 2) << given_up.output;
  EXPECT_NE(access(file_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace ktlsim::system_tests
