// The walk-through of kernel_sim/security/README.md, line by line in a shell.
//
// In its block "$ " begins a command and "> " goes on with it; what follows is what the command
// prints.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {
namespace {

struct Step {
  std::string command;
  std::string output;
};

std::vector<Step> StepsOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<Step> steps;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      inside = line == "```console";
    } else if (inside && line.starts_with("$ ")) {
      steps.push_back({line.substr(2) + "\n", ""});
    } else if (inside && line.starts_with("> ") && !steps.empty()) {
      steps.back().command += line.substr(2) + "\n";
    } else if (inside && !steps.empty()) {
      steps.back().output += line + "\n";
    }
  }
  return steps;
}

// Which prints a mark after each command. Whatever it has started ends with it.
std::string ScriptOf(const std::vector<Step>& steps) {
  std::string script = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\nset +m\n";
  for (const Step& step : steps) script += step.command + "echo @@mark\n";
  return script;
}

TEST(WalkThroughTest, EachLineDoesWhatItSays) {
  const std::vector<Step> steps = StepsOf(test::SourceRoot() + "/kernel_sim/security/README.md");
  ASSERT_GT(steps.size(), 10U);
  const test::TemporaryFolder folder;
  const std::string script = folder.Write("script.sh", ScriptOf(steps));
  const std::string tools = std::filesystem::path(test::CommandPath()).parent_path();
  const Finished told = RunProgram(
      {"env", "-C", folder.path(), "PATH=" + tools + ":" + std::getenv("PATH"), "bash", script}, "",
      std::chrono::seconds(100));
  std::istringstream lines(told.output);
  std::size_t at = 0;
  std::string output;
  for (std::string line; std::getline(lines, line) && at < steps.size();) {
    if (line != "@@mark") {
      output += line + "\n";
      continue;
    }
    EXPECT_EQ(output, steps[at].output) << steps[at].command;
    output.clear();
    ++at;
  }
  EXPECT_EQ(at, steps.size()) << told.output;
}

}  // namespace
}  // namespace ktlsim::system_tests
