// KeptFileTest: for commands that keep a file, such as `ktlsim users` and `ktlsim accounts`.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {

class KeptFileTest : public testing::Test {
 protected:
  // `command` of ktlsim keeps a file called `name`.
  KeptFileTest(std::string command, const std::string& name)
      : file_(folder_.File(name)), command_(std::move(command)) {}

  Finished Run(std::vector<std::string> arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), {test::CommandPath(), command_});
    return RunProgram(arguments, input);
  }
  static void Expect(int code, const std::string& word, const Finished& told) {
    EXPECT_EQ(told.code, code) << told.output;
    EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
  }
  std::string Content() const {
    std::ifstream file(file_, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
  }

  test::TemporaryFolder folder_;
  const std::string file_;

 private:
  const std::string command_;
};

}  // namespace ktlsim::system_tests
