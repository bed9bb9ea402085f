// Programs in C and in C++, in user mode and in kernel mode, link into one and work.

#include "tests/sspi/callers/callers.h"

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

TEST(CallersTest, UserModeCMakesAConnection) {
  EXPECT_STREQ(RunUserModeC(LocalhostCertificate()), nullptr);
}

TEST(CallersTest, UserModeCxxMakesAConnection) {
  EXPECT_STREQ(RunUserModeCxx(LocalhostCertificate()), nullptr);
}

TEST(CallersTest, KernelModeCMakesAConnection) {
  EXPECT_STREQ(RunKernelModeC(LocalhostCertificate()), nullptr);
}

TEST(CallersTest, KernelModeCxxMakesAConnection) {
  EXPECT_STREQ(RunKernelModeCxx(LocalhostCertificate()), nullptr);
}

}  // namespace
}  // namespace ktlsim::test
