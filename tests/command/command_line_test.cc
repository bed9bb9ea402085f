#include "kernel_sim/command/command_line.h"

#include <array>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/manual.h"
#include "kernel_sim/command/similar.h"

namespace ktlsim::command {
namespace {

TEST(SimilarNameTest, FindsASlipOfTheFingerAndNothingElse) {
  const std::vector<std::string> known = {"run", "serve", "load", "stress"};
  EXPECT_EQ(SimilarName("sevre", known), "serve");
  EXPECT_EQ(SimilarName("laod", known), "load");
  EXPECT_EQ(SimilarName("strss", known), "stress");
  EXPECT_EQ(SimilarName("foo", known), "");
  EXPECT_EQ(SimilarName("", known), "");
  EXPECT_EQ(SimilarName(std::string(1000000, 's'), known), "");
}

TEST(WrapTextTest, BreaksAtBlanksAndKeepsLongWords) {
  EXPECT_EQ(WrapText("one two three", 7, 0), "one two\nthree");
  EXPECT_EQ(WrapText("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(WrapText("a-word-that-is-long b", 5, 0), "a-word-that-is-long\nb");
  EXPECT_EQ(WrapText("one\n\ntwo", 80, 0), "one\n\ntwo");
  EXPECT_EQ(WrapText("", 80, 0), "");
}

TEST(WithoutPasswordsTest, HidesThemAndNothingElse) {
  const std::vector<std::string> given = {
      "ktlsim",   "load", "--digest",        "a:b:c",           "--digest=d:e",
      "--digest", "f",    "https://h:1/a:b", "--context-store", "redis://u:p@h:1/2"};
  EXPECT_EQ(
      WithoutPasswords(given),
      (std::vector<std::string>{"ktlsim", "load", "--digest", "a:***", "--digest=d:***", "--digest",
                                "f", "https://h:1/a:b", "--context-store", "redis://***@h:1/2"}));
  EXPECT_EQ(
      WithoutPasswords({"-H", "Authorization: Bearer x", "--header=proxy-authorization:y",
                        "-HCOOKIE : a=b", "X-Api-Key: k", "Accept: text/html", "/authorization"}),
      (std::vector<std::string>{"-H", "Authorization: ***", "--header=proxy-authorization: ***",
                                "-HCOOKIE : ***", "X-Api-Key: ***", "Accept: text/html",
                                "/authorization"}));
}

// Commands that do not start the library.
bool StartsNothing(const std::string& command) {
  return command == "users" || command == "accounts" || command == "access" || command == "sddl" ||
         command == "audit";
}

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() {
    AddRunCommand(app_);
    AddServeCommand(app_);
    AddLoadCommand(app_);
    AddStressCommand(app_);
    AddUsersCommand(app_);
    AddAccountsCommand(app_);
    AddAccessCommand(app_);
    AddSddlCommand(app_);
    AddAuditCommand(app_);
    UseWrappedHelp(app_);
  }

  static std::size_t LongestLine(const std::string& text) {
    std::size_t longest = 0;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      longest = std::max(longest, end - begin);
      begin = end + 1;
    }
    return longest;
  }

  std::vector<const CLI::App*> commands() const {
    return static_cast<const CLI::App&>(app_).get_subcommands([](const CLI::App*) { return true; });
  }

  CLI::App app_{"What is tested", "ktlsim"};
};

TEST_F(CommandsTest, HelpFitsTheTerminal) {
  for (const char* columns : {"60", "80", "100"}) {
    ASSERT_EQ(setenv("COLUMNS", columns, 1), 0);
    for (const CLI::App* command : commands()) {
      EXPECT_LE(LongestLine(command->help()), std::stoul(columns)) << command->get_name();
    }
  }
  unsetenv("COLUMNS");
}

TEST_F(CommandsTest, EveryOptionHasHelpThatBeginsWithACapitalOrIsAListOfWords) {
  for (const CLI::App* command : commands()) {
    for (const CLI::Option* option : command->get_options()) {
      EXPECT_FALSE(option->get_description().empty())
          << command->get_name() << " " << option->get_name();
    }
  }
}

TEST_F(CommandsTest, TheSettingsOfTheLibraryAreInEveryCommand) {
  for (const CLI::App* command : commands()) {
    if (StartsNothing(command->get_name())) continue;
    for (const char* name :
         {"--processors", "--crypto-processors", "--queue-depth", "--queue-wait-limit",
          "--notify-threads", "--pin-processors", "--time-every-call", "--placement"}) {
      EXPECT_NE(command->get_option_no_throw(name), nullptr) << command->get_name() << " " << name;
    }
  }
}

TEST_F(CommandsTest, TheManualHasEveryOption) {
  const std::string page = FillManual(
      ".SS run\n.\\\" OPTIONS run\n.\\\" OPTIONS serve\n.\\\" OPTIONS load\n"
      ".\\\" OPTIONS stress\n.\\\" OPTIONS users\n.\\\" OPTIONS accounts\n.\\\" OPTIONS access\n"
      ".\\\" OPTIONS sddl\n.\\\" OPTIONS audit\n.\\\" OPTIONS nothing\n",
      app_);
  EXPECT_TRUE(page.starts_with(".SS run\n.TP\n"));
  EXPECT_TRUE(page.ends_with(".\\\" OPTIONS nothing\n"));
  for (const CLI::App* command : commands()) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (name == "help") continue;
        EXPECT_NE(page.find(EscapeRoff("--" + name)), std::string::npos) << name;
      }
    }
  }
}

TEST(ShellTextTest, QuotesWhatAShellWouldTakeApart) {
  const std::array<const char*, 6> arguments = {"ktlsim", "load", "a b", "", "it's", "--seed=7"};
  EXPECT_EQ(ShellText(arguments), "ktlsim load 'a b' '' 'it'\\''s' --seed=7");
}

TEST(EscapeRoffTest, NothingOfATextIsARequest) {
  EXPECT_EQ(EscapeRoff(".sp"), "\\&.sp");
  EXPECT_EQ(EscapeRoff("a\\b--c"), "a\\eb\\-\\-c");
  EXPECT_EQ(EscapeRoff("say \"x\""), "say \\(dqx\\(dq");
}

TEST_F(CommandsTest, MistakesHaveAnExitCode) {
  std::array<char, 7> program = {"ktlsim"};
  std::array<char, 6> mistyped = {"sevre"};
  std::array<char*, 2> arguments = {program.data(), mistyped.data()};
  EXPECT_EQ(ParseCommandLine(app_, 2, arguments.data()), kExitUsage);
  EXPECT_EQ(ParseCommandLine(app_, 1, arguments.data()), kExitUsage);
}

}  // namespace
}  // namespace ktlsim::command
