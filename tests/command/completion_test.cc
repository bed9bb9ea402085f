#include "kernel_sim/command/completion.h"

#include <string>

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

class CompletionTest : public ::testing::Test {
 protected:
  CompletionTest() {
    CLI::App* const command = app_.add_subcommand("do", "Does it; quickly. Really");
    command->add_option("FILE", text_, "What it is done to")->type_name("");
    command->add_option("-o,--out", text_, "Where it's [a:b]")->type_name("FILE");
    command->add_option("--in", text_, "Where from")->type_name("DIR");
    command->add_option("--size", text_, "How much [1]")->type_name("N");
    command->add_flag("--fast", flag_, "Faster");
  }
  std::string Of(const char* shell) const { return ShellCompletion(shell, app_); }
  // Whether the script has this line, blanks at its ends aside.
  static bool HasLine(const std::string& script, const std::string& line) {
    const std::size_t at = script.find(line + "\n");
    return at != std::string::npos &&
           script.find_last_not_of(' ', at - 1) == script.rfind('\n', at - 1);
  }

  CLI::App app_{"A program", "ktlsim"};
  std::string text_;
  bool flag_ = false;
};

TEST_F(CompletionTest, BashKnowsWhatTakesWhichValue) {
  const std::string script = Of("bash");
  EXPECT_TRUE(HasLine(script, "options='-h --help -o --out --in --size --fast'")) << script;
  EXPECT_TRUE(HasLine(script, "-o | --out) kind=file ;;")) << script;
  EXPECT_TRUE(HasLine(script, "--in) kind=folder ;;")) << script;
  EXPECT_TRUE(HasLine(script, "--size) kind=text ;;")) << script;
  EXPECT_TRUE(HasLine(script, "*) kind=argument ;;")) << script;
}

TEST_F(CompletionTest, HelpIsShortAndQuoted) {
  const std::string zsh = Of("zsh");
  EXPECT_TRUE(HasLine(zsh, "'do:Does it'")) << zsh;
  EXPECT_TRUE(HasLine(zsh, "'*--out=[Where it'\\''s]:file:_files' \\")) << zsh;
  EXPECT_TRUE(HasLine(zsh, "'*--fast[Faster]' \\")) << zsh;
  EXPECT_TRUE(HasLine(zsh, "'*:argument:_files'")) << zsh;
  const std::string fish = Of("fish");
  EXPECT_TRUE(HasLine(fish, "complete -c ktlsim -n __fish_use_subcommand -a do -d 'Does it'"))
      << fish;
  EXPECT_TRUE(HasLine(
      fish,
      "complete -c ktlsim -n '__fish_seen_subcommand_from do' -s o -l out -r -F -d 'Where it\\'s'"))
      << fish;
  EXPECT_TRUE(
      HasLine(fish, "complete -c ktlsim -n '__fish_seen_subcommand_from do' -l fast -d 'Faster'"))
      << fish;
}

TEST_F(CompletionTest, OtherShellsHaveNone) {
  EXPECT_EQ(Of("tcsh"), "");
  EXPECT_EQ(Of(""), "");
}

}  // namespace
}  // namespace ktlsim::command
