// KtlsimStart and the first use with a failing allocation: a status, nothing is left over, and the
// next start works.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <filesystem>
#include <iterator>

#include <gtest/gtest.h>

#include "tests/faults/fault_run.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

std::ptrdiff_t Entries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

KtlsimOptions WithRoles(ULONG placement) {
  KtlsimOptions options = OptionsFor(placement);
  options.cbSize = sizeof(options);
  options.pszProcessorRoles = "a role whose name is longer than a string holds by itself,io";
  options.fFlags = KTLSIM_PIN_PROCESSORS;
  return options;
}

class StartFaultsTest : public testing::TestWithParam<ULONG> {
 protected:
  void SetUp() override { EXPECT_EQ(KtlsimStop(), SEC_E_OK); }
  void TearDown() override { EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK); }
};

TEST_P(StartFaultsTest, AStartThatFailsLeavesNothing) {
  const KtlsimOptions options = WithRoles(GetParam());
  // What is made once per process exists.
  ASSERT_EQ(KtlsimStart(&options), SEC_E_OK);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  const std::ptrdiff_t threads = Entries("/proc/self/task");
  const std::ptrdiff_t descriptors = Entries("/proc/self/fd");
  PlayWithFaults("start", [&](FaultRun& run) {
    const SECURITY_STATUS status = run.Status([&] { return KtlsimStart(&options); });
    run.Judge(SEC_E_OK, "start", status);
    if (status != SEC_E_OK) {
      EXPECT_STRNE(KtlsimLastErrorText(), nullptr);
      // Threads that have been joined, or have said that they end, may still be listed.
      WaitUntil([&] { return Entries("/proc/self/task") <= threads; });
      EXPECT_EQ(Entries("/proc/self/fd"), descriptors);
    }
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  });
}

INSTANTIATE_TEST_SUITE_P(, StartFaultsTest,
                         testing::Values(KTLSIM_PLACEMENT_INLINE, KTLSIM_PLACEMENT_POOL),
                         [](const auto& test) {
                           return test.param == KTLSIM_PLACEMENT_INLINE ? "Inline" : "Pool";
                         });

}  // namespace
}  // namespace ktlsim::test
