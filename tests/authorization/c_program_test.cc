// Runs the program of c_program_test.c.
#include <gtest/gtest.h>

extern "C" int RunCProgram(void);

namespace ktlsim::authorization {
namespace {

TEST(CProgramTest, RunsToItsEnd) { EXPECT_EQ(RunCProgram(), 0) << "the line that gave up"; }

}  // namespace
}  // namespace ktlsim::authorization
